from __future__ import annotations

import subprocess
import sys

import pytest

from remodal.training import memory
from remodal.training.memory import give_back

HELD = """
from pathlib import Path
from remodal.training.memory import give_back

def held():
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("RssAnon"))

pieces = [(bytearray(100_000), bytearray(1_000)) for _ in range(2_000)]
stays = [small for _, small in pieces]
del pieces
before = held()
give_back()
print(before - held())
"""


@pytest.mark.skipif(memory._trim() is None, reason="not glibc")
def test_holes_between_what_stays_are_given_back() -> None:
    done = subprocess.run([sys.executable, "-c", HELD], check=True, capture_output=True, text=True)
    assert int(done.stdout) > 100_000_000


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_trim", lambda: None)
    give_back()
