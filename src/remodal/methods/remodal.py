"""remodal: what the benchmark left standing. A regression a modality and a regression between modalities.

All that is learned are statistics of features that don't change, so that nothing is forgotten and the order hardly
matters. The features are the frozen model's; of a transformer, under prompts where a modality's first task gains by
them (:meth:`Remodal.adapted`).

- within a modality, ridge regression on ``[u, ReLU(u W) / sqrt(k), 1]``, u the features less the mean of the
  modality's first task, W drawn once (RanPAC: McDonnell et al., NeurIPS 2023, with the features themselves beside the
  random ones); the Gram matrix is kept by its leading directions, in 16 bits a number; classes with many items are held
  back a little, and what speaks for a class speaks a little for classes with near names (cosine of the text anchors);
  the penalty is the one of a few under which items are likeliest that the regression has not seen (leave-one-out, in
  closed form, of at most ``CHUNK`` items a task; :mod:`remodal.adaptation.calibration`);
- between the modalities of a tower, ridge regression onto the classes of all of them, on what a router may see
  (:mod:`remodal.adaptation.class_router`);
- the frozen model's own alignment to the classes' names joins in as far as it helps such items;
- a class that was not learned yet is scored by the frozen model alone.

A task is learned a chunk of items at a time, so that seconds an item and memory don't depend on how many it has.
Weights are solved from the statistics when an answer is asked for, so that a task costs no more where many classes are
known.

The score of class c of modality m is ``log p(m) + log p(c | m)``. What was tried beside it stands in
``docs/experiments.md``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar, Self, cast

import torch
from pydantic import Field
from torch import Tensor

from remodal.adaptation.adapt import suited
from remodal.adaptation.alignment import aligned
from remodal.adaptation.calibration import OUTPUTS, STRENGTHS, Calibration
from remodal.adaptation.class_router import ClassRouter
from remodal.adaptation.expert import embeddings
from remodal.adaptation.first_sight import features_under, prompts_at_first_sight
from remodal.adaptation.lesson import Lesson
from remodal.adaptation.lift import Lift
from remodal.adaptation.near import NearNames
from remodal.adaptation.ridge import LowRankRidge
from remodal.adaptation.rows import Rows, mean
from remodal.adaptation.summed import terms_of, total
from remodal.backbones import CHUNK, Backbone, Tokens, Tower
from remodal.methods.additive import Additive, Signed, the_same
from remodal.methods.base import State, TaskData, methods
from remodal.methods.routed import UNKNOWN_MODALITY
from remodal.settings import Settings
from remodal.streams.base import Column
from remodal.training.seeding import generator, normal
from remodal.training.trainer import Recipe, Trainer


class RemodalSettings(Settings):
    """Settings of ``remodal``."""

    width: int = Field(4000, ge=1, le=20_000, description="random features")
    rank: int = Field(512, ge=1, le=100_000, description="directions of a modality's Gram matrix")
    strength: float | None = Field(
        None, gt=0, description="penalty of a modality's regression, over an item's mean square; null: from the data"
    )
    router_strength: float | None = Field(
        None, gt=0, description="penalty of the router's regression, over its Gram's mean diagonal; null: from the data"
    )
    balance: float = Field(0.3, ge=0, description="weights are divided by this power of the class's size")
    names: float = Field(0.5, ge=0, description="share of what speaks for a class that speaks for near names too")
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
class Modality:
    """prompts: ``[layers, 2, length, width]``; empty, ``[0]``, where the frozen model serves as it is. centre:
    ``[features]``. threshold: ``centre W``. square: a number, the sum of the squares of all lifted items. stored:
    ``[lifted, classes]``, weights of a model that was saved by an earlier version, until it learns more; else ``[0]``.
    """

    name: str
    columns: list[Column]
    prompts: Tensor
    centre: Tensor
    threshold: Tensor
    moments: LowRankRidge
    square: Tensor
    calibration: Calibration
    near: NearNames
    stored: Tensor

    def __post_init__(self) -> None:
        self.solved: Tensor | None = None

    @classmethod
    def earlier(cls, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """Before modalities had prompts; before the sum of squares was kept, of which the Gram matrix has most."""
        if "square" not in tensors:
            kept = {name.removeprefix("moments/"): one for name, one in tensors.items() if name.startswith("moments/")}
            tensors = {**tensors, "square": LowRankRidge(**LowRankRidge.earlier(kept)).sketch.trace}
        if "stored" not in tensors:
            tensors = {**tensors, "stored": tensors["weights"]}
        return {"prompts": torch.zeros(0), **tensors}


@dataclass
class Regressions:
    """router: between the modalities."""

    router: ClassRouter
    modalities: list[Modality]

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
        sums = Calibration.empty(len(self._strengths)).losses.shape
        for name, part in self.parts_.items():
            for modality in part.modalities:  # before W is drawn
                lifted = self.backbone.towers[name].feature_width + self.settings.width + 1
                modality.moments.check(lifted, len(modality.columns))
                if modality.stored.shape not in ((0,), (lifted, len(modality.columns))):
                    raise ValueError(f"weights of the shape {tuple(modality.stored.shape)} for {modality.name}")
                shape, found = self._prompt_shape(self.backbone.towers[name]), tuple(modality.prompts.shape)
                if found not in ((0,), shape):
                    raise ValueError(f"prompts of the shape {found} for {modality.name}; valid: {shape}")
                if modality.square.shape != ():
                    raise ValueError(f"a sum of squares of the shape {tuple(modality.square.shape)}; valid: a number")
                if modality.calibration.losses.shape != sums:
                    raise ValueError(f"losses of {modality.name} of another shape than {tuple(sums)}")
                modality.near.check(len(modality.columns))

    def _prompt_shape(self, tower: Tower) -> tuple[int, int, int, int]:
        return tower.layers, 2, self.settings.prompt_length, tower.width

    def fresh(self, tower: Tower, task: TaskData, trainer: Trainer) -> Regressions:
        """No modality yet."""
        return Regressions(ClassRouter.empty(tower.identity_width, len(self._router_strengths)), [])

    def learned(self, part: Regressions, tower: Tower, task: TaskData, trainer: Trainer) -> Regressions:
        """Add the task's moments to its modality's and to the router's."""
        at = part.place(task.modality)
        modalities = [*part.modalities[:at], self.fitted(part, tower, task, trainer), *part.modalities[at + 1 :]]
        identity = Rows(task.tokens, tower.identity)
        rank, strengths = self.settings.rank, self._router_strengths
        router = part.router.learned(identity, task.labels, task.columns, rank=rank, strengths=strengths)
        return Regressions(router, modalities)

    def _chunks(self, task: TaskData) -> list[slice]:
        """About as many items at a time as directions are kept: cutting off costs more in smaller steps."""
        return task.chunks(max(CHUNK, self.settings.rank))

    def fitted(self, part: Regressions, tower: Tower, task: TaskData, trainer: Trainer) -> Modality:
        """The task's modality after it: what was stored of it, and the task."""
        at = part.place(task.modality)
        known = at < len(part.modalities)
        return self.extended(part.modalities[at] if known else self.first_seen(part, tower, task, trainer), tower, task)

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

    def first_seen(self, part: Regressions, tower: Tower, task: TaskData, trainer: Trainer) -> Modality:
        """Of no class; the centre is the mean of the task's items, by which prompts are learned too."""
        prompts, lift = self.adapted(part, tower, task, trainer), self.lift(tower)
        centre = mean(Rows(task.tokens, partial(features_under, prompts, tower)))
        return Modality(
            name=task.modality,
            columns=[],
            prompts=prompts,
            centre=centre,
            threshold=centre @ lift.w,
            moments=LowRankRidge.empty(lift.width),
            square=torch.tensor(0.0, dtype=torch.float64),
            calibration=Calibration.empty(len(self._strengths)),
            near=NearNames.empty(),
            stored=torch.zeros(0),
        )

    def extended(self, modality: Modality, tower: Tower, task: TaskData) -> Modality:
        """The modality after one more task, of which one chunk after the other is lifted."""
        known, labels = task.among(modality.columns)
        anchors = self.backbone.anchors([column.name for column in known])
        counts = torch.bincount(labels, minlength=len(known)).float()
        counts[: len(modality.columns)] += modality.moments.counts
        near = modality.near.grown(anchors)
        mixing = self._mixing(near, counts)
        moments, calibration, squares = modality.moments.sketch, modality.calibration, modality.square
        chunks = self._chunks(task)
        for rows in chunks:
            features, own = features_under(modality.prompts, tower, task.tokens[rows]), labels[rows]
            lifted = self.lift(tower).lifted(features, modality.centre, modality.threshold)
            square = lifted.square().sum(1)
            moments, squares = moments.added(lifted, own, len(known)), squares + square.sum()
            if rows is chunks[-1]:  # items of the whole task, beside all the others: enough to choose a few numbers
                step = -(-len(own) * len(known) // OUTPUTS)
                penalties = [strength * float(square.mean()) for strength in self._strengths]
                left_out = moments.left_out(own, penalties, step)
                nearness = aligned(tower, None, tower.features(task.tokens[rows][::step])) @ anchors.T
                calibration = calibration.added(mixed(left_out, mixing), own[::step], nearness)
            moments = moments.cut(self.settings.rank)
        return replace(
            modality,
            columns=known,
            moments=moments.rounded(),
            square=squares,
            calibration=calibration,
            near=near,
            stored=torch.zeros(0),
        )

    def weights(self, modality: Modality) -> Tensor:
        """Of its regression ``[lifted, classes]``, solved when they are first asked for."""
        if len(modality.stored):
            return modality.stored
        if modality.solved is None:
            counts = modality.moments.counts
            strength = self._strengths[modality.calibration.strength]
            near = modality.near.grown(self.backbone.anchors([column.name for column in modality.columns]))
            solved = modality.moments.sketch.solve(strength * float(modality.square) / float(counts.sum()))
            modality.solved = mixed(solved, self._mixing(near, counts))
        return modality.solved

    def _mixing(self, near: NearNames, counts: Tensor) -> Tensor:
        """What a class takes of each, of which there are ``counts`` items ``[classes]``."""
        return near.mixing(counts, self.settings.names, self.settings.balance)

    def added_up(self, tower: Tower, parts: Sequence[Signed[Regressions]]) -> Regressions:
        """Statistics add up."""
        router = ClassRouter.added_up([(sign, part.router) for sign, part in parts], rank=self.settings.rank)
        known: dict[str, list[Signed[Modality]]] = {}
        for sign, part in parts:
            for modality in part.modalities:
                known.setdefault(modality.name, []).append((sign, modality))
        return Regressions(router, [self._in_one(signed) for signed in known.values()])

    def _in_one(self, signed: Sequence[Signed[Modality]]) -> Modality:
        """What several learners hold of a modality."""
        first = signed[0][1]
        if len(signed) == 1:
            return first
        for begun in ([(sign, one.centre) for sign, one in signed], [(sign, one.prompts) for sign, one in signed]):
            the_same(first.name, begun)
        columns, terms = terms_of([(sign, one.moments, one.columns) for sign, one in signed])
        moments = LowRankRidge.added_up(terms, len(columns)).cut(self.settings.rank).rounded()
        calibration = Calibration.added_up([(sign, one.calibration) for sign, one in signed])
        square = total([(sign, one.square) for sign, one in signed])
        near = NearNames.empty().grown(self.backbone.anchors([column.name for column in columns]))
        return replace(
            first,
            columns=columns,
            moments=moments,
            square=square,
            calibration=calibration,
            near=near,
            stored=torch.zeros(0),
        )

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

    def _outputs(self, modality: Modality, tower: Tower, tokens: Tokens, classes: Sequence[int]) -> Tensor:
        """What the regression says of some classes ``[n, classes]``."""
        lift, features = self.lift(tower), features_under(modality.prompts, tower, tokens)
        if modality.prompts.numel():
            projected = features @ lift.w
        else:
            projected = tower.remembered(tokens, lift, lambda: features @ lift.w)
        return lift.outputs(
            features, projected, modality.centre, modality.threshold, self.weights(modality)[:, classes]
        )

    def part_scores(self, part: Regressions | None, tower: Tower, tokens: Tokens, columns: Sequence[Column]) -> Tensor:
        """``log p(m) + log p(c | m)``."""
        out = torch.empty(len(tokens), len(columns))
        modalities = part.modalities if part else []
        learned = {column for modality in modalities for column in modality.columns}
        new = [at for at, column in enumerate(columns) if column not in learned]
        if new:
            nearness = self._nearness(tower, tokens, [columns[at] for at in new])
            out[:, new] = UNKNOWN_MODALITY + (self.backbone.logit_scale * nearness).log_softmax(1)
        if part is not None:
            prior = part.router.log_probability(
                tower.identity(tokens), strengths=self._router_strengths, sharpness=self.settings.router_sharpness
            )
        for modality in modalities:
            places = {column: at for at, column in enumerate(modality.columns)}
            asked = [at for at, column in enumerate(columns) if column in places]
            if not asked:
                continue
            of_asked = [places[columns[at]] for at in asked]
            scores = self._outputs(modality, tower, tokens, of_asked)
            if naming := modality.calibration.naming:
                scores = scores + naming * self._nearness(tower, tokens, [columns[at] for at in asked])
            out[:, asked] = prior[modality.name][:, None] + (modality.calibration.sharpness * scores).log_softmax(1)
        return out


def mixed(outputs: Tensor, mixing: Tensor) -> Tensor:
    """``outputs`` ``[..., classes]``, each class with what it takes of the others; a sparse mixing writes into them."""
    if not mixing.is_sparse:
        return outputs @ mixing.T
    for rows in torch.split(outputs.view(-1, outputs.shape[-1]), CHUNK):  # views: little more memory than they have
        rows.copy_((mixing @ rows.T.contiguous()).T)
    return outputs


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
