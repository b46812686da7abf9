from __future__ import annotations

from pathlib import Path

import pytest

from remodal.training import memory
from remodal.training.memory import give_back


def held() -> int:
    """Bytes of this process that no file stands for."""
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("RssAnon"))


@pytest.mark.skipif(memory._trim() is None, reason="not glibc")
def test_holes_between_what_stays_are_given_back() -> None:
    pieces = [(bytearray(100_000), bytearray(1_000)) for _ in range(2_000)]
    stays = [small for _, small in pieces]
    del pieces
    before = held()
    give_back()
    assert before - held() > 100_000_000
    assert len(stays) == 2_000


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_trim", lambda: None)
    give_back()
