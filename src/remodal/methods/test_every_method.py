"""What holds for every registered method: a new one is tested by being registered."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from remodal.backbones import Tokens
from remodal.learning.checkpoint import FileJournal
from remodal.learning.evaluate import accuracy
from remodal.learning.prepare import PreparedStream
from remodal.methods import Method, State, methods
from remodal.streams.base import Column
from remodal.testing import ToyBackbone, toy_stream
from remodal.training.trainer import StageState, Trainer

EVERY = pytest.mark.parametrize("name", methods.names())


SMALL: dict[str, dict[str, int]] = {
    "ridge": {"width": 64},
    "comm": {"realign_steps": 12, "realign_draws": 64},
    "joint": {"realign_steps": 12, "realign_draws": 64},
}
"""Settings that make a method as small as the toy stream is."""


def new(name: str, seed: int = 0) -> Method:
    chosen = methods.get(name)
    return chosen(ToyBackbone(), chosen.options.checked(SMALL.get(name, {})), seed)


def learned(name: str, stream: PreparedStream, seed: int = 0) -> Method:
    method = new(name, seed)
    for index, task in enumerate(stream.tasks):
        method.learn(task.train, Trainer(seed, index))
    return method


def columns(stream: PreparedStream) -> list[Column]:
    return list(dict.fromkeys(column for task in stream.tasks for column in task.columns))


def all_scores(method: Method, stream: PreparedStream) -> Tensor:
    with torch.inference_mode():
        return torch.cat([method.scores(task.test.tokens, columns(stream)) for task in stream.tasks])


@EVERY
def test_scores_are_one_number_a_candidate_and_never_of_another_tower(name: str) -> None:
    stream = toy_stream()
    method = learned(name, stream)
    for task in stream.tasks:
        scores = method.scores(task.test.tokens, columns(stream))
        assert scores.shape == (len(task.test.labels), len(columns(stream)))
        other = [method.backbone.reads[column.modality] != task.test.tokens.tower for column in columns(stream)]
        assert (scores[:, torch.tensor(other)] == -torch.inf).all()
        assert scores[:, ~torch.tensor(other)].isfinite().all()


@EVERY
def test_an_items_scores_depend_on_the_item_alone(name: str) -> None:
    stream = toy_stream()
    method = learned(name, stream)
    tokens = stream.tasks[1].test.tokens
    whole = method.scores(tokens, columns(stream))
    order = torch.randperm(len(tokens), generator=torch.Generator().manual_seed(0))
    for size in (1, 7, 32):
        batches = [method.scores(batch, columns(stream)) for batch in tokens[order].batches(size)]
        torch.testing.assert_close(torch.cat(batches), whole[order], atol=1e-4, rtol=1e-4)


@EVERY
def test_two_runs_of_one_seed_are_equal(name: str) -> None:
    stream = toy_stream()
    assert torch.equal(all_scores(learned(name, stream), stream), all_scores(learned(name, stream), stream))


@EVERY
def test_a_restored_method_scores_and_learns_on_as_the_saved_one(name: str) -> None:
    stream = toy_stream()
    method, restored = new(name), new(name)
    for index, task in enumerate(stream.tasks[:3]):
        method.learn(task.train, Trainer(0, index))
    saved = method.state()
    restored.restore(
        State({key: value.clone() for key, value in saved.tensors.items()}, saved.values)
    )  # as if it came from a file
    for index, task in enumerate(stream.tasks[3:], start=3):
        method.learn(task.train, Trainer(0, index))
        restored.learn(task.train, Trainer(0, index))
    assert torch.equal(all_scores(method, stream), all_scores(restored, stream))


class Killed(Exception):
    """The process ends here."""


class KillingJournal(FileJournal):
    """A journal on disk that dies at its ``left``-th entry."""

    left = 0

    def save(self, stage: str, state: StageState) -> None:
        super().save(stage, state)
        self.left -= 1
        if self.left == 0:
            raise Killed


@EVERY
def test_a_task_killed_in_the_middle_is_learned_to_the_same_bits(
    name: str, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("remodal.training.trainer.JOURNAL_SECONDS", 0.0)  # an entry a step
    stream = toy_stream()
    expected = all_scores(learned(name, stream), stream)
    for entries in (1, 2, 8, 30):
        path = tmp_path_factory.mktemp("journal") / "journal.safetensors"
        method = new(name)
        for index, task in enumerate(stream.tasks[:-1]):
            method.learn(task.train, Trainer(0, index))
        before = method.state()
        before = State({key: value.clone() for key, value in before.tensors.items()}, before.values)
        last = len(stream.tasks) - 1
        journal = KillingJournal(path, last)
        journal.left = entries
        try:
            method.learn(stream.tasks[-1].train, Trainer(0, last, journal))
        except Killed:
            method = new(name)
            method.restore(before)
            method.learn(stream.tasks[-1].train, Trainer(0, last, FileJournal(path, last)))
        assert torch.equal(all_scores(method, stream), expected), entries


@EVERY
def test_shuffled_labels_give_chance(name: str) -> None:
    stream = toy_stream((("image", ("cat", "dog", "oak", "elm")),), items=60, shuffled=True)
    found = accuracy(learned(name, stream), stream.tasks[0], columns(stream))
    assert found.aware == pytest.approx(0.25, abs=0.12)  # 240 items: four standard errors


@EVERY
def test_the_state_is_plain_and_flat_over_tasks(name: str) -> None:
    """Tasks of one class each: what is stored grows by a class's share, the same for the last as for the first."""
    if name == "joint":
        pytest.skip("joint keeps every item, and says so")
    stream = toy_stream([("image", (f"class {index}",)) for index in range(24)], items=4)
    method = new(name)
    sizes = []
    for index, task in enumerate(stream.tasks):
        method.learn(task.train, Trainer(0, index))
        sizes.append(sum(tensor.numel() for tensor in method.state().tensors.values()))
    grown = [after - before for before, after in itertools.pairwise(sizes)]
    assert max(grown[12:]) <= max(grown[:12])


def test_tokens_are_indexed_with_all_their_frames() -> None:
    tokens = Tokens("vision", torch.arange(12).view(6, 1, 2).half(), torch.tensor([1, 3, 2]))
    assert tokens[torch.tensor([2, 0])].frames[:, 0, 0].tolist() == [8, 10, 0]
    assert [list(positions) for positions, _ in tokens.by_length()] == [[0], [2], [1]]
