"""The one training loop: every method that learns by gradient learns here.

A *stage* is one call of :meth:`Trainer.fit`. Within a task each stage has a name of its own; its state (parameters,
optimiser, schedule position, sampler position, generator) goes to a journal as it advances, so that a process killed
at any moment goes on from there, bit for bit. A method's other computations are deterministic and are done again.

Several processes train a stage together where its loss can be divided, see :mod:`remodal.training.parallel`; any other
stage is trained by the first of them, and the others take what it gives.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Generator, Tensor

from remodal.errors import RemodalError
from remodal.features.progress import Progress, Silent
from remodal.training import adamw, sgd
from remodal.training.parallel import ALONE, Team
from remodal.training.seeding import generator, shuffled

Parameters = dict[str, Tensor]
Loss = Callable[[Parameters, Tensor, Generator], Tensor]
"""(parameters, indices of the batch's samples, generator) -> scalar."""
Record = dict[str, Any]

JOURNAL_SECONDS = 1.0
"""Between two entries; what came after the last one is done again, to the same bits."""


@dataclass(frozen=True)
class Recipe:
    """How a stage is trained: cosine schedule with linear warm-up, gradient clipping.

    momentum: of stochastic gradient descent; None: AdamW. clip: largest norm of the gradients together; None: any.
    """

    learning_rate: float
    steps: int
    batch: int
    weight_decay: float = 0.0
    momentum: float | None = None
    warm_up: float = 0.05
    clip: float | None = 1.0

    def rate(self, step: int) -> float:
        """Learning rate of ``step``, from 0."""
        warm = max(1, round(self.warm_up * self.steps))
        if step < warm:
            return self.learning_rate * (step + 1) / warm
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, self.steps - warm)))

    def fresh_moments(self, parameters: Parameters) -> dict[str, Tensor]:
        """What the optimiser remembers of each parameter, before the first step."""
        return adamw.fresh_moments(parameters) if self.momentum is None else sgd.fresh_velocities(parameters)

    def move(self, parameters: Parameters, moments: dict[str, Tensor], step: int) -> None:
        """Take ``step``, from 0: move ``parameters`` by their gradients, in place."""
        if self.clip is not None:
            adamw.clip_gradients(parameters, self.clip)
        if self.momentum is None:
            adamw.adamw(parameters, moments, step + 1, self.rate(step), self.weight_decay)
        else:
            sgd.sgd(parameters, moments, self.rate(step), self.momentum, self.weight_decay)


@dataclass
class StageState:
    """All that a stage needs to go on: position, parameters, the optimiser's moments, generator, and its records."""

    step: int
    parameters: Parameters
    moments: dict[str, Tensor]
    generator: Tensor
    records: list[Record]
    """What was recorded of the stage so far."""


class Journal(Protocol):
    """Where stages' states of the running task are kept."""

    def load(self, stage: str) -> StageState | None:
        """The last state of ``stage``, or None."""

    def save(self, stage: str, state: StageState) -> None:
        """Keep ``state`` in place of the stage's last one."""


class NoJournal:
    """Keeps nothing: for learning that need not survive its process."""

    def load(self, stage: str) -> StageState | None:
        """Nothing is kept."""
        return None

    def save(self, stage: str, state: StageState) -> None:
        """Nothing is kept."""


class Trainer:
    """Trains the stages of one task.

    seed: the run's. task: index of the task, part of every generator's purpose. record: takes one record an epoch.
    part: what stands before the names of its stages and purposes. team: the processes that train together; all but the
    first have neither journal nor record.
    """

    def __init__(
        self,
        seed: int,
        task: int,
        journal: Journal | None = None,
        record: Callable[[Record], None] | None = None,
        progress: Progress | None = None,
        part: tuple[str, ...] = (),
        team: Team = ALONE,
    ) -> None:
        self.seed, self.task = seed, task
        self._part, self._team = part, team
        self._journal: Journal = journal or NoJournal()
        self._record = record or (lambda _: None)
        self._progress = progress or Silent()
        self._saved = time.monotonic()

    def generator(self, purpose: str) -> Generator:
        """A generator for a purpose of this task outside :meth:`fit`."""
        return generator(self.seed, self.task, *self._part, purpose)

    def part(self, name: str) -> Trainer:
        """For a part of the task, whose stages and purposes may have names that other parts use too."""
        part = (*self._part, name)
        return Trainer(self.seed, self.task, self._journal, self._record, self._progress, part, self._team)

    def fit(
        self,
        stage: str,
        start: Parameters,
        loss: Loss,
        samples: int,
        recipe: Recipe,
        *,
        divisible: bool = False,
    ) -> Parameters:
        """Minimise ``loss`` over ``samples`` samples in shuffled batches; the trained parameters, without gradients.

        start: initial values by name; they are not changed. divisible: whether the loss is a mean over the batch's
        items, and of what doesn't depend on them, and draws nothing; so that several processes may share a batch.
        """
        stage = " ".join((*self._part, stage))
        steps, epoch_steps = recipe.steps, math.ceil(samples / recipe.batch)
        parameters = {name: value.detach().clone().requires_grad_() for name, value in start.items()}
        moments = recipe.fresh_moments(parameters)
        draws = generator(self.seed, self.task, stage)
        first, records = 0, list[Record]()
        if (state := self._journal.load(stage)) is not None:
            _restore(state, parameters, moments, draws)
            first, records = state.step, list(state.records)
            for record in records:
                self._record(record)
        first = self._begun(stage, samples, recipe, first, [*parameters.values(), *moments.values()])
        if not divisible and self._team.rank:
            first = steps  # the first process trains this stage
        team = self._team if divisible else ALONE
        with self._progress.work(stage, steps) as count:
            count(first)
            for step, epoch, batch in self._batches(stage, samples, recipe, first):
                for parameter in parameters.values():
                    parameter.grad = None
                value = team.gradients(lambda items: loss(parameters, items, draws), list(parameters.values()), batch)
                recipe.move(parameters, moments, step)
                count()
                if (step + 1) % epoch_steps == 0 or step + 1 == steps:
                    record = {"task": self.task, "stage": stage, "epoch": epoch, "step": step + 1}
                    records.append({**record, "loss": float(value)})
                    self._record(records[-1])
                if time.monotonic() - self._saved > JOURNAL_SECONDS:
                    self._journal.save(stage, _snapshot(step + 1, parameters, moments, draws, records))
                    self._saved = time.monotonic()
        self._team.take(parameters.values())
        return {name: value.detach() for name, value in parameters.items()}

    def _begun(self, stage: str, samples: int, recipe: Recipe, first: int, numbers: list[Tensor]) -> int:
        """The step that all processes begin the stage at, with the first one's ``numbers``."""
        own: list[Any] = [self.task, stage, samples, recipe.steps]
        *there, begun = json.loads(self._team.told(json.dumps([*own, first]).encode()))
        if there != own:
            raise RemodalError(
                f"process {self._team.rank} comes to {_named(*own)} where the first comes to {_named(*there)}; "
                "valid: the same versions and threads in all processes"
            )
        self._team.take(numbers)
        return int(begun)

    def _batches(self, stage: str, samples: int, recipe: Recipe, first: int) -> Iterator[tuple[int, int, Tensor]]:
        """(step, epoch, indices) from step ``first`` on; an epoch's order depends on the epoch alone."""
        per_epoch = math.ceil(samples / recipe.batch)
        for epoch in range(first // per_epoch, math.ceil(recipe.steps / per_epoch)):
            order = shuffled(samples, generator(self.seed, self.task, stage, "order", epoch))
            for position, batch in enumerate(torch.split(order, recipe.batch)):
                step = epoch * per_epoch + position
                if first <= step < recipe.steps:
                    yield step, epoch, batch


def _named(task: int, stage: str, samples: int, steps: int) -> str:
    return f"stage {stage!r} of step {task} ({steps:,} steps over {samples:,} items)"


def _snapshot(
    step: int, parameters: Parameters, moments: dict[str, Tensor], draws: Generator, records: list[Record]
) -> StageState:
    copied = {name: value.detach().clone() for name, value in parameters.items()}
    kept = {name: value.clone() for name, value in moments.items()}
    return StageState(step, copied, kept, draws.get_state(), list(records))


def _restore(state: StageState, parameters: Parameters, moments: dict[str, Tensor], draws: Generator) -> None:
    with torch.no_grad():
        for name, value in parameters.items():
            value.copy_(state.parameters[name])
    for name, value in moments.items():
        value.copy_(state.moments[name])
    draws.set_state(state.generator)
