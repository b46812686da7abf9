"""A state in pieces is the same state, and what was there before is not written again."""

from __future__ import annotations

from pathlib import Path

import torch

from remodal.methods.base import State
from remodal.saved.pieces import BLOCK, gathered, stored
from remodal.testing.candidate import same


def state(rows: int = 3 * BLOCK // 4000) -> State:
    """Tensors of all kinds, one of them of ``rows`` rows of a thousand numbers."""
    draws = torch.Generator().manual_seed(0)
    tensors = {
        "large": torch.arange(rows * 1000.0).view(rows, 1000),
        "a/long line": torch.arange(BLOCK // 8 + 3),
        "a/half": torch.randn(2, 3, 30_000, generator=draws).half(),
        "a/turned": torch.randn(300, 400, generator=draws, dtype=torch.float64).T,
        "number": torch.tensor(0.1),
        "none": torch.zeros(0, 7),
    }
    return State(tensors, {"classes": [["image", "crème"]], "temperature": 0.1})


def test_it_comes_back_to_the_bit(tmp_path: Path) -> None:
    files = stored(tmp_path, state())
    assert len(files) > 8
    assert same(gathered(tmp_path, files), State(dict(sorted(state().tensors.items())), state().values))
    assert same(gathered(tmp_path, stored(tmp_path, State())), State())


def test_of_rows_that_are_added_only_their_blocks_are_written(tmp_path: Path) -> None:
    before = set(stored(tmp_path, state()))
    after = set(stored(tmp_path, state(rows=3 * BLOCK // 4000 + 40)))
    assert len(after - before) <= 2  # the last block, and one more
    assert sum(file.bytes for file in after - before) < 2 * BLOCK


def test_a_file_that_was_damaged_is_written_again(tmp_path: Path) -> None:
    files = stored(tmp_path, state())
    (tmp_path / files[0].name).write_bytes(b"x")
    assert stored(tmp_path, state()) == files
    gathered(tmp_path, files)
