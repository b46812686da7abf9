"""``benchmarks/against_peers.py`` gives others what ``remodal`` learns from, and counts all answers alike."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """The benchmarks' modules can be imported."""
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "benchmarks")


def test_a_course_has_what_the_frozen_network_makes_of_the_pictures(
    folder: Path, graphs_only: Path, tmp_path: Path
) -> None:
    from peers.course import Course
    from peers.exporting import Chosen, export, tasks_of

    chosen = Chosen(0, "image", stream=str(folder), pictures=True)
    written = export(chosen, tmp_path / "work", graphs_only)
    course, (task,) = Course(written), tasks_of(chosen)
    assert course.names == list(task.classes)
    (labels,) = course.labels("train")
    assert [course.names[label] for label in labels] == [item.label for item in task.train]
    (shown,) = course.inputs("test", "pictures")
    for kind in ("published", "shared"):
        (given,) = course.inputs("test", kind)
        assert np.allclose((given**2).mean(1), 1, atol=1e-5)
        network = torch.jit.load(str(written / f"{kind}.pt"))
        with torch.no_grad():
            computed = network(torch.from_numpy(shown)).numpy()
        assert np.allclose(computed, given, atol=0.02)  # stored features come from tokens of 16 bits
        assert computed.std(0).max() > 0.1  # it tells the pictures apart


def test_an_answer_is_right_where_the_name_is(tmp_path: Path) -> None:
    from peers.course import FILE, Course, Labeller, measured

    # class 0 is a dog in pictures and class 2 a dog in sounds: two classes of one name
    (tmp_path / FILE).write_text(json.dumps({"names": ["dog", "cat", "dog"], "classes": [[0, 1], [2]]}))
    for split in ("train", "test"):
        np.save(tmp_path / f"{split}-tasks.npy", np.array([0, 0, 1]))
        np.save(tmp_path / f"{split}-labels.npy", np.array([0, 1, 2]))
        np.save(tmp_path / f"{split}-shared.npy", np.array([[0.0], [1.0], [2.0]]))

    class AlwaysDog(Labeller):
        def learn(self, task: int) -> None:
            pass

        def answers(self, items: NDArray[Any]) -> list[int]:
            return [0] * len(items)

    found = measured(AlwaysDog(Course(tmp_path), "shared"), tasks=2, choosing=False)
    assert found["accuracy"] == [[0.5], [0.5, 1.0]]
    chosen = measured(AlwaysDog(Course(tmp_path), "shared"), tasks=2, choosing=True)
    assert chosen["accuracy"] == [[0.5, 1.0]]
