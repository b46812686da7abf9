"""Where the cache lies."""

from __future__ import annotations

import pwd
import sys
from pathlib import Path

import pytest

from remodal.cache import cache_folder
from remodal.errors import RemodalError


def test_the_variable_decides(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("REMODAL_CACHE", str(tmp_path / "mine"))
    assert cache_folder() == tmp_path / "mine"


@pytest.mark.parametrize(
    ("platform", "xdg", "folder"),
    [
        ("linux", "", "home/.cache/remodal"),
        ("linux", "relative/is/ignored", "home/.cache/remodal"),
        ("linux", "{tmp}/xdg", "xdg/remodal"),
        ("darwin", "{tmp}/xdg", "home/Library/Caches/remodal"),
    ],
)
def test_without_it_the_platform_decides(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, platform: str, xdg: str, folder: str
) -> None:
    monkeypatch.delenv("REMODAL_CACHE", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", xdg.format(tmp=tmp_path))
    monkeypatch.setattr(sys, "platform", platform)
    assert cache_folder() == tmp_path / folder


@pytest.mark.parametrize("chosen", ["", "~/mine"])
def test_a_user_without_a_home_is_told_what_to_say(monkeypatch: pytest.MonkeyPatch, chosen: str) -> None:
    def unknown(user: int) -> None:
        raise KeyError(user)

    for name in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("REMODAL_CACHE", chosen)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    with pytest.raises(
        RemodalError, match=r"^found no home folder .*; valid: REMODAL_CACHE with the path of a folder$"
    ):
        cache_folder()
