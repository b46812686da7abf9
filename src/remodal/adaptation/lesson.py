"""A task that is learned by gradient: its items are brought to the text anchors of their classes.

A method says what is trained and how it embeds a batch, or which prompts act on it; what it adds to the loss; and
nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import Generator, Tensor
from torch.nn import functional

from remodal.adaptation.alignment import Head
from remodal.adaptation.rows import Rows
from remodal.backbones import Tokens, Tower
from remodal.training.trainer import Parameters, Recipe, Trainer

Embedder = Callable[[Parameters, Tensor], Tensor]
"""(parameters, positions of a batch's items) -> embeddings ``[n, d]``, L2-normalised."""
Prompting = Callable[[Parameters, Tensor], Tensor]
"""(parameters, positions of a batch's items) -> prompts, as :meth:`Tower.features` takes them."""
Extra = Callable[[Parameters, Tensor, Tensor], Tensor]
"""(parameters, positions of a batch's items, their embeddings ``[n, d]``) -> what is added to the loss.

A mean over the batch's items, or a number that doesn't depend on them; so that several processes may share a batch.
"""


@dataclass(frozen=True)
class Lesson:
    """Items of one tower, and where they belong.

    labels: int64 ``[n]``, rows of ``anchors [classes, d]``. scale: of the cosines in the softmax.
    """

    tower: Tower
    tokens: Tokens
    labels: Tensor
    anchors: Tensor
    scale: float

    def fit(
        self,
        stage: str,
        start: Parameters,
        embedded: Embedder,
        recipe: Recipe,
        trainer: Trainer,
        extra: Extra | None = None,
    ) -> Parameters:
        """What ``start`` becomes by cross-entropy of ``scale * z . anchors`` over the classes, and ``extra``.

        stage: what the trainer's journal calls it.
        """

        def loss(parameters: Parameters, batch: Tensor, _: Generator) -> Tensor:
            z = embedded(parameters, batch)
            total = functional.cross_entropy(self.scale * z @ self.anchors.T, self.labels[batch])
            return total if extra is None else total + extra(parameters, batch, z)

        return trainer.fit(stage, start, loss, len(self.tokens), recipe, divisible=True)

    def fit_prompts(
        self,
        stage: str,
        start: Parameters,
        prompts: Prompting,
        adapter: Tensor,
        recipe: Recipe,
        trainer: Trainer,
        extra: Extra | None = None,
        *,
        under: Tensor | None = None,
    ) -> Parameters:
        """:meth:`fit` of prompts and of the alignment beside them, which is ``"adapter"`` among what it gives.

        adapter: A ``[d, feature_width]`` before. under: prompts that act on all items at first; None: none does.
        """
        tokens = self.tower.resident(self.tokens)
        head = Head.on(
            self.tower, Rows(tokens, partial(self.tower.features, prompts=under)), adapter, self.anchors, self.labels
        )

        def embedded(parameters: Parameters, batch: Tensor) -> Tensor:
            features = self.tower.features(tokens[batch], prompts(parameters, batch))
            return head.embedded(features, parameters["adapter"])

        trained = self.fit(stage, {**start, "adapter": head.start()}, embedded, recipe, trainer, extra)
        return {**trained, "adapter": head.learned(trained["adapter"])}
