"""BOFA: what is kept of a task's map, and what classes are brought to."""

from __future__ import annotations

import torch

from remodal.methods.bofa import Bofa, BofaSettings, Bridge, prototypes, unused
from remodal.testing import ToyBackbone, toy_stream
from remodal.testing.candidate import learn

STREAM = toy_stream([("image", ("cat", "dog")), ("image", ("oak", "elm")), ("image", ("cup", "sofa"))])


def taught(tasks: int) -> Bridge:
    method = Bofa(ToyBackbone(), BofaSettings(steps=20, batch=8, directions=4), seed=0)
    learn(method, STREAM.tasks[:tasks])
    return method.parts_["vision"]


def test_what_a_later_task_keeps_lies_in_few_directions_and_the_first_keeps_all() -> None:
    assert torch.linalg.matrix_rank(taught(1).last) > 4
    assert torch.linalg.matrix_rank(taught(2).last) == 4


def test_earlier_tasks_items_hardly_see_what_a_later_task_keeps() -> None:
    tower, change = ToyBackbone().tower("image"), taught(2).last
    seen = [(tower.features(task.train.tokens) @ change.T).square().mean() for task in STREAM.tasks[:2]]
    assert 3 * seen[0] < seen[1]


def test_the_map_is_the_mean_of_those_that_tasks_kept() -> None:
    kept = [taught(tasks).last for tasks in (1, 2, 3)]
    torch.testing.assert_close(taught(3).mean, torch.stack(kept).mean(0))


def test_the_directions_with_the_least_second_moment_by_hand() -> None:
    basis = torch.eye(4)[:, :3]
    moment = torch.tensor([[3.0, 0, 0, 0], [0, 1.0, 0, 0], [0, 0, 2.0, 0], [0, 0, 0, 0.1]])
    torch.testing.assert_close(unused(basis, moment, 2).abs(), torch.tensor([[0.0, 0], [1, 0], [0, 1], [0, 0]]))
    assert unused(basis, moment, 9).shape == (4, 3)


def test_a_prototype_lies_between_the_classes_mean_and_its_name() -> None:
    tower, means = ToyBackbone().tower("image"), torch.randn(2, 24, generator=torch.Generator().manual_seed(0))
    names = ToyBackbone().anchors(["cat", "dog"])
    found = prototypes(tower, means, names)
    own = torch.nn.functional.normalize(tower.align(means))
    torch.testing.assert_close((found * own).sum(1), (found * names).sum(1))
    torch.testing.assert_close(found.norm(dim=1), torch.ones(2))
