"""Models on a hub; the hub is a folder here, asked through the client's own functions."""

from __future__ import annotations

import shutil
from fnmatch import fnmatch
from pathlib import Path

import huggingface_hub
import pytest

import remodal
from remodal.errors import RemodalError


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a folder for each ``owner/name``."""
    root = tmp_path / "hub"

    def download(name: str, allow_patterns: list[str]) -> str:
        if not (root / name).is_dir():
            raise FileNotFoundError(f"404: no repository\n{name}")
        copied = tmp_path / "hub's cache" / name
        _copy(root / name, copied, allow_patterns)
        return str(copied)

    def create(_: object, name: str, *, private: bool, exist_ok: bool) -> str:
        (root / name).mkdir(parents=True, exist_ok=exist_ok)
        return f"https://hub.example/{name}"

    def upload(_: object, repo_id: str, folder_path: Path, allow_patterns: list[str], commit_message: str) -> None:
        _copy(folder_path, root / repo_id, allow_patterns)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    monkeypatch.setattr(huggingface_hub.HfApi, "create_repo", create)
    monkeypatch.setattr(huggingface_hub.HfApi, "upload_folder", upload)
    return root


def _copy(source: Path, target: Path, patterns: list[str]) -> None:
    for file in source.rglob("*"):
        name = file.relative_to(source)
        if file.is_file() and any(fnmatch(str(name), pattern) for pattern in patterns):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, target / name)


def test_a_model_goes_to_the_hub_and_comes_back(hub: Path, saved: Path, folder: Path, lite_cache: Path) -> None:
    model = remodal.load(saved, cache=lite_cache)
    assert model.push_to_hub("someone/things") == "https://hub.example/someone/things"
    assert {path.name for path in (hub / "someone/things").iterdir()} == {"README.md", "config.json", "tensors"}
    fetched = remodal.load("someone/things", cache=lite_cache)
    media = [folder / "image/warm/0.png", remodal.Text("hot tea")]
    assert fetched.predict(media) == model.predict(media)


def test_only_a_models_files_are_fetched(hub: Path, saved: Path, lite_cache: Path, tmp_path: Path) -> None:
    shutil.copytree(saved, hub / "someone/things")
    (hub / "someone/things/setup.py").write_text("raise SystemExit")
    remodal.load("someone/things", cache=lite_cache)
    assert not list((tmp_path / "hub's cache").rglob("setup.py"))


def test_a_model_that_is_not_there_is_one_line(hub: Path) -> None:
    with pytest.raises(RemodalError, match="someone/nothing: no such folder, and not to be had from the hub") as raised:
        remodal.load("someone/nothing")
    assert "\n" not in str(raised.value)


def test_a_folder_goes_before_a_hub(
    hub: Path, saved: Path, lite_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(saved, tmp_path / "someone/things")
    monkeypatch.chdir(tmp_path)
    loaded = remodal.load("someone/things", cache=lite_cache)
    assert loaded.saved_as == ((tmp_path / "someone/things").resolve(), 1)
