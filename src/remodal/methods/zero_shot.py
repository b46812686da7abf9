"""The frozen model as it is: cosine to the text anchors of the candidates. Nothing is learned."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from remodal.backbones import Tokens
from remodal.methods.base import Method, State, TaskData, methods, readable
from remodal.methods.parts import frozen_logits
from remodal.streams.base import Column
from remodal.training.trainer import Trainer


@methods.add("zero-shot")
class ZeroShot(Method):
    """The lower bound that needs no data; one name in two modalities gets one score."""

    frozen_alone = True

    def learn(self, task: TaskData, trainer: Trainer) -> None:
        """Nothing to learn."""

    def scores(self, tokens: Tokens, columns: Sequence[Column]) -> Tensor:
        """``scale * z . anchor``."""
        tower = self.backbone.towers[tokens.tower]
        scores = frozen_logits(self.backbone, tower, tokens, columns)
        return scores.masked_fill(~readable(tokens, columns, self.backbone), -torch.inf)

    def state(self) -> State:
        """Empty."""
        return State()

    def restore(self, state: State) -> None:
        """Nothing to take on."""
