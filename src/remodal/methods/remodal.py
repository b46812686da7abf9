"""remodal: what the benchmark left standing. A regression a modality and a regression between modalities.

All that is learned are statistics of features that don't change, so that nothing is forgotten and the order hardly
matters. The features are the frozen model's; of a transformer, under prompts where a modality's first task gains by
them (:meth:`Remodal.adapted`).

- within a modality, ridge regression onto its classes (:mod:`remodal.adaptation.class_regression`);
- between the modalities of a tower, ridge regression onto the classes of all of them, on what a router may see
  (:mod:`remodal.adaptation.class_router`);
- the frozen model's own alignment to the classes' names joins in as far as it helps such items;
- a class that was not learned yet is scored by the frozen model alone.

The score of class c of modality m is ``log p(m) + log p(c | m)``. What was tried beside it stands in
``docs/experiments.md``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self, cast

import torch
from pydantic import Field
from torch import Tensor

from remodal.adaptation.adapt import suited
from remodal.adaptation.calibration import STRENGTHS, Calibration
from remodal.adaptation.class_regression import ClassRegression, Fitting
from remodal.adaptation.class_router import ClassRouter
from remodal.adaptation.expert import embeddings
from remodal.adaptation.first_sight import prompts_at_first_sight
from remodal.adaptation.lesson import Lesson
from remodal.adaptation.lift import Lift
from remodal.adaptation.rows import Rows
from remodal.backbones import Backbone, Tokens, Tower
from remodal.methods.additive import Additive, Signed, the_same
from remodal.methods.base import State, TaskData, methods
from remodal.methods.routed import UNKNOWN_MODALITY
from remodal.settings import Settings
from remodal.streams.base import Column
from remodal.training.seeding import generator, normal
from remodal.training.trainer import Recipe, Trainer


class RemodalSettings(Settings):
    """Settings of ``remodal``."""

    gone: ClassVar[frozenset[str]] = frozenset({"balance", "names"})
    width: int = Field(4000, ge=1, le=20_000, description="random features")
    rank: int = Field(512, ge=1, le=100_000, description="directions of a modality's Gram matrix")
    strength: float | None = Field(
        None, gt=0, description="penalty of a modality's regression, over an item's mean square; null: from the data"
    )
    router_strength: float | None = Field(
        None, gt=0, description="penalty of the router's regression, over its Gram's mean diagonal; null: from the data"
    )
    router_sharpness: float | None = Field(None, gt=0, description="of the router's softmax; null: from the data")
    adapt: bool | None = Field(
        None,
        description="train prompts on a modality's first task; null: where they act in layers and held-out items gain",
    )
    borrow: bool = Field(
        True, description="prompts of a new modality start from another's where these tell its items apart best"
    )
    prompt_length: int = Field(8, ge=1, le=1_000, description="keys and values a layer")
    learning_rate: float | None = Field(None, gt=0, description="of the prompts; null: as suits the encoder")
    steps: int | None = Field(None, ge=1, le=1_000_000, description="of training prompts; null: as suits the encoder")
    batch: int = Field(64, ge=1, le=100_000, description="items a step; frames, where each passes a transformer")


@dataclass
class Regressions:
    """router: between the modalities."""

    router: ClassRouter
    modalities: list[ClassRegression]

    def place(self, modality: str) -> int:
        """Where it stands among ``modalities``; after the last one if it is new."""
        return [*(one.name for one in self.modalities), modality].index(modality)


@methods.add("remodal")
class Remodal(Additive[Regressions]):
    """Regressions of each tower."""

    options: ClassVar[type[Settings]] = RemodalSettings
    settings: RemodalSettings
    part: ClassVar[type[Regressions]] = Regressions
    learns_modalities_apart = True

    def __init__(self, backbone: Backbone, settings: Settings, seed: int) -> None:
        super().__init__(backbone, settings, seed)
        self._lifts: dict[str, Lift] = {}

    @classmethod
    def needs_tokens(cls, settings: Settings, tower: Tower) -> bool:
        """Where prompts are trained."""
        adapt_ = cast(RemodalSettings, settings).adapt
        return tower.layers > 1 if adapt_ is None else adapt_

    def restore(self, state: State) -> None:
        """Take on what :meth:`state` gave; ValueError where its sizes aren't those that the settings give."""
        super().restore(_with_class_router(state))
        for name, part in self.parts_.items():
            tower = self.backbone.towers[name]
            lifted = tower.feature_width + self.settings.width + 1  # W isn't drawn yet
            for modality in part.modalities:
                modality.check(lifted, self._prompt_shape(tower), len(self._strengths))

    def _prompt_shape(self, tower: Tower) -> tuple[int, int, int, int]:
        return tower.layers, 2, self.settings.prompt_length, tower.width

    def fresh(self, tower: Tower, task: TaskData, trainer: Trainer) -> Regressions:
        """No modality yet."""
        return Regressions(ClassRouter.empty(tower.identity_width, len(self._router_strengths)), [])

    def learned(self, part: Regressions, tower: Tower, task: TaskData, trainer: Trainer) -> Regressions:
        """Add the task's moments to its modality's and to the router's."""
        at = part.place(task.modality)
        known = at < len(part.modalities)
        begun = part.modalities[at] if known else self.first_seen(part, tower, task, trainer)
        modality = begun.learned(task.tokens, task.labels, task.columns, self.fitting(tower))
        identity = Rows(task.tokens, tower.identity)
        rank, strengths = self.settings.rank, self._router_strengths
        router = part.router.learned(identity, task.labels, task.columns, rank=rank, strengths=strengths)
        return Regressions(router, [*part.modalities[:at], modality, *part.modalities[at + 1 :]])

    def begun(self, task: TaskData, trainer: Trainer) -> Self:
        """One that has settled what a modality's first items settle, too."""
        found, tower = super().begun(task, trainer), self.backbone.towers[task.tokens.tower]
        part = found.parts_[tower.name]
        if part.place(task.modality) == len(part.modalities):
            first = self.first_seen(part, tower, task, trainer)
            found.parts_[tower.name] = Regressions(part.router, [*part.modalities, first])
        return found

    def adapted(self, part: Regressions, tower: Tower, task: TaskData, trainer: Trainer) -> Tensor:
        """Prompts of a modality that is seen for the first time; ``[0]`` where the frozen model serves best."""
        chosen = self.settings
        if not self.needs_tokens(chosen, tower):
            return torch.zeros(0)

        def recipe(lesson: Lesson) -> Recipe:
            return suited(tower, lesson.tokens, chosen.batch, chosen.learning_rate, chosen.steps)

        known = [one.prompts for one in part.modalities if chosen.borrow and one.prompts.numel()]
        always = chosen.adapt is not None
        return prompts_at_first_sight(self.lesson(task), known, chosen.prompt_length, recipe, trainer, always=always)

    def first_seen(self, part: Regressions, tower: Tower, task: TaskData, trainer: Trainer) -> ClassRegression:
        """Of no class, with what the task settles of a modality that is new."""
        prompts = self.adapted(part, tower, task, trainer)
        return ClassRegression.begun(task.modality, task.tokens, prompts, self.fitting(tower))

    def added_up(self, tower: Tower, parts: Sequence[Signed[Regressions]]) -> Regressions:
        """Statistics add up."""
        router = ClassRouter.added_up([(sign, part.router) for sign, part in parts], rank=self.settings.rank)
        known: dict[str, list[Signed[ClassRegression]]] = {}
        for sign, part in parts:
            for modality in part.modalities:
                known.setdefault(modality.name, []).append((sign, modality))
        return Regressions(router, [self._in_one(signed, tower) for signed in known.values()])

    def _in_one(self, signed: Sequence[Signed[ClassRegression]], tower: Tower) -> ClassRegression:
        """What several learners hold of a modality."""
        first = signed[0][1]
        if len(signed) == 1:
            return first
        the_same(first.name, [(sign, one.centre) for sign, one in signed])
        the_same(first.name, [(sign, one.prompts) for sign, one in signed])
        return ClassRegression.added_up(signed, self.fitting(tower))

    @property
    def _strengths(self) -> tuple[float, ...]:
        """The penalties that are tried."""
        return STRENGTHS if self.settings.strength is None else (self.settings.strength,)

    @property
    def _router_strengths(self) -> tuple[float, ...]:
        """The router's penalties that are tried."""
        return STRENGTHS if self.settings.router_strength is None else (self.settings.router_strength,)

    def _nearness(self, tower: Tower, tokens: Tokens, columns: Sequence[Column]) -> Tensor:
        """Cosine of the frozen model's embeddings to the classes' names ``[n, classes]``."""
        anchors = self.backbone.anchors([column.name for column in columns])
        return embeddings(tower, tokens, None) @ anchors.T

    def lift(self, tower: Tower) -> Lift:
        """What the regressions of a tower see, W from the seed."""
        if tower.name not in self._lifts:
            draws = generator(self.seed, "remodal", tower.name)
            self._lifts[tower.name] = Lift(normal(tower.feature_width, self.settings.width, draws=draws))
        return self._lifts[tower.name]

    def fitting(self, tower: Tower) -> Fitting:
        """How a tower's regressions are fitted."""
        chosen = self.settings
        return Fitting(self.backbone, tower, self.lift(tower), chosen.rank, self._strengths)

    def part_scores(self, part: Regressions, tower: Tower, tokens: Tokens, columns: Sequence[Column]) -> Tensor:
        """``log p(m) + log p(c | m)``."""
        out = torch.empty(len(tokens), len(columns))
        learned = {column for modality in part.modalities for column in modality.columns}
        new = [at for at, column in enumerate(columns) if column not in learned]
        if new:
            out[:, new] = self.unlearned_scores(tower, tokens, [columns[at] for at in new])
        prior = part.router.log_probability(
            tower.identity(tokens), strengths=self._router_strengths, sharpness=self.settings.router_sharpness
        )
        for modality in part.modalities:
            places = {column: at for at, column in enumerate(modality.columns)}
            asked = [at for at, column in enumerate(columns) if column in places]
            if not asked:
                continue
            of_asked = [places[columns[at]] for at in asked]
            scores = modality.outputs(tokens, of_asked, self.fitting(tower))
            if naming := modality.calibration.naming:
                scores = scores + naming * self._nearness(tower, tokens, [columns[at] for at in asked])
            out[:, asked] = prior[modality.name][:, None] + (modality.calibration.sharpness * scores).log_softmax(1)
        return out

    def unlearned_scores(self, tower: Tower, tokens: Tokens, columns: Sequence[Column]) -> Tensor:
        """``log p(c | m)`` by the classes' names, and an unlikely m."""
        nearness = self._nearness(tower, tokens, columns)
        return UNKNOWN_MODALITY + (self.backbone.logit_scale * nearness).log_softmax(1)

    def strangeness(self, tokens: Tokens, modality: str) -> Tensor:
        """How low the highest output is, and what the modality's items don't tell of these ``[n, 2]``."""
        tower = self.backbone.towers[tokens.tower]
        part, how = self.parts_[tower.name], self.fitting(tower)
        learned = part.modalities[part.place(modality)]
        most = learned.outputs(tokens, list(range(len(learned.columns))), how).amax(1)
        return torch.stack([-most, learned.unexplained(tokens, how)], dim=1)


def _with_class_router(state: State) -> State:
    """A state of before routers knew classes: of one class a modality, without a name, and one penalty."""
    state = State(dict(state.tensors), {**state.values, "parts": dict(state.values["parts"])})
    for tower, part in state.values["parts"].items():
        if "identity" in part:
            before, router = f"parts/{tower}/identity", f"parts/{tower}/router"
            state.tensors[f"{router}/weights"] = state.tensors.pop(router)
            state.put(
                f"{router}/moments", {name: state.tensors.pop(f"{before}/{name}") for name in state.under(before)}
            )
            state.tensors[f"{router}/calibration/losses"] = Calibration.empty(1, namings=1).losses
            state.tensors[f"{router}/losses"] = ClassRouter.empty(0, 1).losses
            columns = [[one["name"], ""] for one in part["modalities"]]
            fields = {"columns": columns, "moments": {}, "calibration": {}}
            state.values["parts"][tower] = {"router": fields, "modalities": part["modalities"]}
    return state
