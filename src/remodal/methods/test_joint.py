from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from remodal.errors import RemodalError
from remodal.learning.metrics import mean
from remodal.learning.prepare import PreparedStream
from remodal.methods import methods
from remodal.methods.joint import JointMethod
from remodal.methods.parts import PartsMethod
from remodal.streams.base import Column
from remodal.testing import toy_stream
from remodal.testing.candidate import Candidate, columns_of, held_out_scores

STREAM = toy_stream()


def learned(name: str, stream: PreparedStream = STREAM, **settings: object) -> torch.Tensor:
    """Scores of all held-out items by a method that has learned the stream."""
    return held_out_scores(Candidate.of(methods.get(name), settings).learned(stream.tasks), stream)


def fitted(name: str) -> dict[str, Any]:
    """Parts of the method that was fitted to all items."""
    method = Candidate.of(methods.get(f"joint-{name}")).learned(STREAM.tasks)
    assert isinstance(method, JointMethod)
    assert isinstance(method.fitted_, PartsMethod)
    return method.fitted_.parts_


def right(name: str, stream: PreparedStream, **settings: object) -> float:
    """Share of held-out items whose name is found, the modality not being given."""
    names = [column.name for column in columns_of(stream)]
    truth = [task.train.classes[label] for task in stream.tasks for label in task.test.labels.tolist()]
    found = learned(name, stream, **settings).nan_to_num(nan=-torch.inf).argmax(1).tolist()
    return sum(names[one] == name for one, name in zip(found, truth, strict=True)) / len(truth)


@pytest.mark.parametrize("name", ["nearest-mean", "fecam"])
def test_sums_of_all_items_at_once_are_those_of_one_task_after_the_other(name: str) -> None:
    torch.testing.assert_close(learned(f"joint-{name}"), learned(name), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["finetune", "l2p", "per-modality"])
def test_it_is_a_bound_of_what_forgets(name: str) -> None:
    settings = {"steps": 60, "learning_rate": 0.1 if name == "per-modality" else 0.03}
    streams = [toy_stream(seed=seed) for seed in range(2)]
    bound, own = (mean(right(one, stream, **settings) for stream in streams) for one in (f"joint-{name}", name))
    assert bound is not None
    assert own is not None
    assert bound > own


def test_of_a_method_that_learns_modalities_apart_the_items_of_a_modality_are_one_task() -> None:
    sessions = {
        tower: [session.columns for session in part.sessions]
        for tower, part in fitted("s-prompts").items()  # sessions: one a task that was learned
    }
    of_images = [Column("image", name) for name in ("cat", "dog", "oak", "elm")]
    of_sounds = [Column("audio", name) for name in ("bell", "dog", "rain", "wind")]
    assert sessions == {"vision": [of_images, of_sounds], "text": [[Column("text", "cat"), Column("text", "tea")]]}


def test_of_others_the_items_of_a_tower_are_one_task() -> None:
    assert {tower: len(part.keys) for tower, part in fitted("dualprompt").items()} == {"vision": 1, "text": 1}


def test_classes_of_one_name_have_one_anchor() -> None:
    items = toy_stream((("image", ("cat", "dog")),)).tasks[0].train
    columns = (Column("audio", "cat"), Column("image", "cat"))
    lesson = Candidate.of(methods.get("finetune")).new().lesson(replace(items, columns=columns))
    assert lesson.labels.tolist() == [0] * len(items.labels)
    assert len(lesson.anchors) == 1


def test_it_has_the_settings_of_its_method() -> None:
    assert methods.get("joint-l2p").options is methods.get("l2p").options
    assert methods.get("joint-l2p") is methods.get("joint-l2p")


def test_a_name_that_is_nothing_is_refused_with_the_nearest() -> None:
    with pytest.raises(RemodalError, match="unknown method 'joint-coma'; did you mean 'joint-comm'?"):
        methods.get("joint-coma")
