"""What was learned apart, merged: as if one had learned all of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from remodal.learning.evaluate import accuracy
from remodal.methods import methods
from remodal.methods.additive import Additive, Apart
from remodal.methods.base import TaskData
from remodal.testing import ToyBackbone, toy_stream
from remodal.training.trainer import Trainer

ADDITIVE = [name for name in methods.names() if issubclass(methods.get(name), Additive)]
STATED: dict[str, dict[str, Any]] = {
    # what is chosen on items that are left out may be chosen otherwise where others are
    "remodal": {"width": 64, "strength": 0.1, "router_strength": 0.1},
    "ranpac": {"width": 64},
    "ridge": {"width": 64},
    "first-session": {"width": 64, "steps": 2},
    "fly-cl": {"width": 64},
}
STREAM = toy_stream()


def learner(name: str, tasks: Sequence[TaskData], **settings: Any) -> Additive[Any]:
    """A method that has learned ``tasks``."""
    kind = methods.get(name)
    made = kind(ToyBackbone(), kind.options.checked({**STATED.get(name, {}), **settings}), 0)
    assert isinstance(made, Additive)
    for task in tasks:
        made.learn(task, Trainer(0, task.index))
    return made


def tasks(*indices: int) -> list[TaskData]:
    """Of the toy stream: images, sounds, sentences, images, sounds."""
    return [STREAM.tasks[index].train for index in indices]


def divided(task: TaskData, mask: torch.Tensor) -> tuple[TaskData, TaskData]:
    """The items that ``mask`` chooses, and the others; each with the classes that it has items of."""
    return task.part(mask.nonzero()[:, 0]), task.part((~mask).nonzero()[:, 0])


def scores(method: Additive[Any]) -> torch.Tensor:
    """Of all held-out items of the toy stream, among all classes; less each row's mean over what can be scored."""
    columns = [column for task in STREAM.tasks for column in task.columns]
    found = torch.cat([method.scores(task.test.tokens, columns) for task in STREAM.tasks])
    found = found.masked_fill(~found.isfinite(), torch.nan)
    return found - found.nanmean(1, keepdim=True)


def test_these_learn_from_statistics_alone() -> None:
    assert ADDITIVE == [
        "fecam", "first-session", "fly-cl", "gda-names", "nearest-mean", "ranpac", "remodal", "ridge",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ADDITIVE)
def test_modalities_that_were_learned_apart_are_all_known(name: str) -> None:
    """Towers, or modalities of a tower, that one alone has learned."""
    whole, one, other = learner(name, tasks(0, 2)), learner(name, tasks(0)), learner(name, tasks(2))
    torch.testing.assert_close(scores(one.merged(other)), scores(whole), rtol=1e-3, atol=1e-3, equal_nan=True)


@pytest.mark.parametrize("name", ADDITIVE)
def test_two_that_learned_on_from_one_are_as_one_that_learned_all(name: str) -> None:
    base = learner(name, tasks(0, 1))
    one, other = learner(name, tasks(0, 1, 3)), learner(name, tasks(0, 1, 4, 2))
    merged, whole = one.merged(other, base=base), learner(name, tasks(0, 1, 3, 4, 2))
    columns = [column for task in STREAM.tasks for column in task.columns]
    for task in STREAM.tasks:
        found, expected = accuracy(merged, task, columns), accuracy(whole, task, columns)
        assert found.aware == pytest.approx(expected.aware, abs=0.05)
        assert found.agnostic == pytest.approx(expected.agnostic, abs=0.05)
    for method, learned in ((one, (0, 1, 3)), (other, (0, 1, 4, 2))):  # neither is changed
        torch.testing.assert_close(
            scores(method), scores(learner(name, tasks(*learned))), rtol=0, atol=0, equal_nan=True
        )


@pytest.mark.parametrize("name", ADDITIVE)
@settings(max_examples=10, deadline=None)
@given(choice=st.lists(st.booleans(), min_size=24, max_size=24).filter(lambda one: 0 < sum(one) < 24))
def test_any_split_of_a_tasks_items_gives_the_same_statistics(name: str, choice: list[bool]) -> None:
    """Of two workers that began from one model; penalties are stated, or those that the base chose."""
    base = learner(name, tasks(0))
    first, second = divided(tasks(3)[0], torch.tensor(choice))
    merged = learner(name, [*tasks(0), first]).merged(learner(name, [*tasks(0), second]), base=base)
    whole = learner(name, [*tasks(0), *tasks(3)])
    tolerance = 1e-2 if name == "remodal" else 1e-4  # it keeps directions in 16 bits
    for found, expected in zip(statistics(merged), statistics(whole), strict=True):
        torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", ADDITIVE)
@settings(max_examples=10, deadline=None)
@given(workers=st.lists(st.integers(0, 4), min_size=24, max_size=24), first=st.booleans())
def test_any_number_of_workers_learn_a_task_together(name: str, workers: list[int], first: bool) -> None:
    """Its first items too: what these settle is settled before they are dealt out."""
    known = learner(name, [] if first else tasks(0))
    (task,) = tasks(0) if first else tasks(3)
    begun = known.begun(task, Trainer(0, task.index))

    def worker(number: int) -> Additive[Any]:
        one = learner(name, [])
        one.restore(begun.state())
        one.learn(task.part((torch.tensor(workers) == number).nonzero()[:, 0]), Trainer(0, task.index))
        return one

    one, *others = (worker(number) for number in sorted(set(workers)))
    merged = one.merged(*others, base=begun) if others else one
    whole = learner(name, [task] if first else [*tasks(0), task])
    tolerance = 1e-2 if name == "remodal" else 1e-4
    for found, expected in zip(statistics(merged), statistics(whole), strict=True):
        torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)


def statistics(method: Additive[Any]) -> list[torch.Tensor]:
    """What doesn't depend on the order of the items, nor on the sign of a direction."""
    ((name, part),) = method.parts_.items()
    match method:
        case _ if hasattr(part, "router"):
            order = sorted(range(len(part.router.columns)), key=lambda at: part.router.columns[at])
            (modality,) = part.modalities
            of = [modality.columns.index(part.router.columns[at]) for at in order]
            weights = modality.weights(method.fitting(method.backbone.towers[name]))  # type: ignore[attr-defined]
            return [part.router.weights()[:, order], weights[:, of], modality.square.float()]
        case _ if hasattr(part, "moments"):
            order = sorted(range(len(part.columns)), key=lambda at: part.columns[at])
            return [part.moments.half.float(), part.moments.cross[:, order].float()]
        case _ if hasattr(part, "sums"):
            order = sorted(range(len(part.columns)), key=lambda at: part.columns[at])
            return [part.sums[order]]
    classes = part.classes
    order = sorted(range(len(classes.columns)), key=lambda at: classes.columns[at])
    if hasattr(classes, "factors"):
        spread = [classes.factors[at].T @ classes.factors[at] for at in order]
        return [classes.counts[order], classes.means[order], torch.stack(spread)]
    return [classes.counts[order], classes.means[order], classes.factor.T @ classes.factor]


@pytest.mark.parametrize("name", ["remodal", "ridge", "ranpac", "fly-cl", "first-session"])
def test_a_modality_that_both_began_on_their_own_is_refused(name: str) -> None:
    """Its random features are of two centres."""
    one, other = learner(name, tasks(0)), learner(name, tasks(3))
    with pytest.raises(Apart, match="image was begun apart; valid: models that learned on from one"):
        one.merged(other)


@pytest.mark.parametrize("name", ["remodal", "ridge", "ranpac", "fly-cl", "first-session"])
def test_a_beginning_that_is_not_stated_is_refused(name: str) -> None:
    one, other = learner(name, tasks(0, 3)), learner(name, tasks(0, 4))
    with pytest.raises(Apart, match="was begun in one model, whose items would count twice; valid: that model"):
        one.merged(other)


def test_prompts_of_two_beginnings_are_refused() -> None:
    adapting: dict[str, Any] = {"adapt": True, "steps": 3, "learning_rate": 0.1}
    one, other = learner("remodal", tasks(0), **adapting), learner("remodal", tasks(3), **adapting)
    with pytest.raises(Apart, match="image was begun apart"):
        one.merged(other)


def test_a_merged_one_learns_on() -> None:
    merged = learner("remodal", tasks(0)).merged(learner("remodal", tasks(2)))
    for task in tasks(1, 3, 4):
        merged.learn(task, Trainer(0, task.index))
    columns = [column for task in STREAM.tasks for column in task.columns]
    assert all((accuracy(merged, task, columns).agnostic or 0) > 0.8 for task in STREAM.tasks)
