"""COMM: continual learning for multiple modalities, reconstructed.

Paper: Jin & Kim, "Continual Learning for Multiple Modalities", arXiv 2503.08064. Its abstract and public reviews state
the parts; its body isn't public to us, so the formulas are a reconstruction (``docs/design.md`` lists every choice):

(i)   intra-modal: the task trains a copy of its modality's prompts, held back by a penalty on the shift of the
      embeddings, and is merged into them (:mod:`remodal.adaptation.merge`);
(ii)  inter-modal: prompts of the other modalities seen so far join in, weighted by the relevance that a learned
      classifier over modalities gives them (:mod:`remodal.adaptation.blend`, :mod:`remodal.adaptation.router`);
(iii) re-alignment: class statistics, moved by the measured drift, give pseudo-features on which the alignment to the
      text anchors is trained again (:mod:`remodal.adaptation.realign`).

Snapshot rule: what a modality's task leaves (prompts with what they borrowed) is stored as it is, so that a task of
one modality can't change another's predictions within that modality.

Agnostic: ``score(class c of modality m) = log p(m) + log softmax_c(scale * h_m(x) . w_c / T_m)``, p from the router.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import torch
from pydantic import Field
from torch import Tensor

from remodal.adaptation.adapt import NOTHING, Adapted, Borrowed, Held, adapt, frozen, suited
from remodal.adaptation.alignment import aligned
from remodal.adaptation.blend import relevance
from remodal.adaptation.drift import Drift
from remodal.adaptation.expert import Expert
from remodal.adaptation.merge import merge, merge_rate
from remodal.adaptation.realign import Anchors, pseudo_draw, realign, temperature
from remodal.adaptation.router import Router
from remodal.adaptation.rows import Rows, in_chunks
from remodal.adaptation.statistics import ClassStatistics, pseudo_features
from remodal.backbones import Tower
from remodal.methods.base import TaskData, methods
from remodal.methods.routed import RoutedMethod
from remodal.settings import Settings
from remodal.training.trainer import Trainer

CALIBRATION_DRAWS = 32


class CommSettings(Settings):
    """Settings of ``comm``; each of the three parts can be switched off."""

    self_regularise: bool = Field(True, description="(i) penalty on shifts, and merging into the modality's prompts")
    blend: bool = Field(True, description="(ii) borrow other modalities' prompts by relevance")
    realign: bool = Field(True, description="(iii) statistics, drift compensation, re-alignment on pseudo-features")
    prompt_length: int = Field(8, ge=1, le=1_000, description="keys and values a layer")
    learning_rate: float | None = Field(None, gt=0, description="of the prompts; null: as suits the encoder")
    steps: int | None = Field(None, ge=1, le=1_000_000, description="of a task; null: as suits the encoder")
    batch: int = Field(64, ge=1, le=100_000, description="items a step; frames, where each passes a transformer")
    self_weight: float = Field(1.0, ge=0, description="lambda_s, weight of the shift's penalty")
    blend_weight: float = Field(0.3, ge=0, description="lambda, weight of the borrowed prompts")
    rank: int = Field(128, ge=1, le=4_000, description="directions of the shared covariance")
    realign_draws: int = Field(256, ge=1, le=10_000, description="pseudo-features in a step of re-alignment")
    realign_steps: int = Field(120, ge=1, le=100_000, description="steps of re-alignment")


@dataclass
class _Modality:
    """What is stored of one modality."""

    own: Tensor
    """P_m: the modality's own prompts."""
    expert: Expert
    """P~_m (own and borrowed prompts, as the last task left them), adapter and temperature."""
    statistics: ClassStatistics


@methods.add("comm")
class Comm(RoutedMethod[_Modality]):
    """The reconstruction of COMM, nothing added."""

    options = CommSettings
    settings: CommSettings
    part = _Modality
    router = Router

    def learned(self, part: _Modality | None, task: TaskData, trainer: Trainer) -> _Modality:
        """One task: borrow, adapt, merge, measure drift, store statistics, re-align."""
        tower, known = self.backbone.tower(task.modality), part
        weights = self.borrowing(task.modality, Rows(task.tokens, tower.identity))
        start = self._start(task, tower, known, weights, trainer)
        borrowed = NOTHING
        if self.settings.blend and self.settings.blend_weight:
            others = [self.parts_[name].own for name in weights]
            borrowed = Borrowed(others, [self.settings.blend_weight * weight for weight in weights.values()])

        before = None
        if known is not None:
            before = Rows(task.tokens, partial(tower.features, prompts=known.expert.prompts))
        learned = self._adapt(task, tower, start, borrowed, before, known, trainer)

        own, adapter = learned.prompts, learned.adapter
        if known is not None and self.settings.self_regularise:
            seen = {*known.statistics.classes, *task.classes}
            rate = merge_rate(len(task.classes), len(seen))
            own, adapter = merge(known.own, own, rate), merge(known.expert.adapter, adapter, rate)
        snapshot = borrowed.beside(own)
        statistics = known.statistics if known else ClassStatistics.empty(tower.feature_width, self.settings.rank)
        after = Rows(task.tokens, partial(tower.features, prompts=snapshot))
        if before is not None and self.settings.realign:
            statistics = statistics.moved(Drift.measured(before, after))
        statistics = statistics.added(after, task.labels, task.classes)
        expert = Expert(snapshot, adapter, 1.0)
        if self.settings.realign:
            expert = self._realigned(task.modality, expert, statistics, tower, trainer)
        return _Modality(own, expert, statistics)

    def routed(self, task: TaskData, trainer: Trainer) -> Router:
        """The tower's router after ``task``, which is trained by gradient."""
        tower = self.backbone.tower(task.modality)
        identity = Rows(task.tokens, tower.identity)
        router: Router = self.routers_[tower.name].learned(identity, task.labels, task.columns, trainer)
        return router

    def experts(self) -> dict[str, Expert]:
        """Snapshot, adapter and temperature of each modality."""
        return {name: one.expert for name, one in self.parts_.items()}

    def borrowing(self, modality: str, identity: Tensor | Rows) -> dict[str, float]:
        """alpha: weight of each other modality that the same tower reads, for items ``[n, identity_width]``."""
        router = self.routers_[self.backbone.reads[modality]]
        if not router.modalities:
            return {}
        own = router.modalities.index(modality) if modality in router.modalities else None
        weights = relevance(torch.cat([router.logits(some) for _, some in in_chunks(identity)]), own)
        pairs = zip(router.modalities, weights.tolist(), strict=True)
        return {name: weight for name, weight in pairs if name != modality}

    def _start(
        self,
        task: TaskData,
        tower: Tower,
        known: _Modality | None,
        weights: Mapping[str, float],
        trainer: Trainer,
    ) -> Adapted:
        """Q: the modality's own prompts; on first sight those of the most relevant other modality, if there is one."""
        if known is not None:
            return Adapted(known.own, known.expert.adapter)
        start = frozen(tower, self.backbone.width, self.settings.prompt_length, trainer)
        if weights and self.settings.blend:
            nearest = max(weights, key=lambda name: weights[name])
            start = Adapted(self.parts_[nearest].own, start.adapter)
        return start

    def _adapt(
        self,
        task: TaskData,
        tower: Tower,
        start: Adapted,
        borrowed: Borrowed,
        before: Rows | None,
        known: _Modality | None,
        trainer: Trainer,
    ) -> Adapted:
        held = None
        if self.settings.self_regularise and known is not None and before is not None:
            adapter = known.expert.adapter
            embedded = Rows(task.tokens, lambda tokens: aligned(tower, adapter, before.compute(tokens)))
            held = Held(embedded, self.settings.self_weight)
        recipe = suited(tower, task.tokens, self.settings.batch, self.settings.learning_rate, self.settings.steps)
        return adapt(self.lesson(task), start, recipe, trainer, borrowed=borrowed, held=held)

    def _realigned(
        self, modality: str, expert: Expert, stored: ClassStatistics, tower: Tower, trainer: Trainer
    ) -> Expert:
        by_modality = {name: one.statistics for name, one in self.parts_.items()} | {modality: stored}
        names = (name for one in by_modality.values() for name in one.classes)
        anchors = Anchors.of(self.backbone, stored.classes, names)
        scale = self.backbone.logit_scale
        basis = stored.basis()
        draw = pseudo_draw(stored, basis, self.settings.realign_draws)
        adapter = realign(tower, basis, draw, anchors, scale, self.settings.realign_steps, trainer, expert.adapter)
        draws = trainer.generator("temperature")
        features, labels = pseudo_features(stored.means, stored.factor, CALIBRATION_DRAWS, draws)
        calibrated = temperature(scale * aligned(tower, adapter, features) @ anchors.own.T, labels)
        return Expert(expert.prompts, adapter, calibrated)
