"""A backbone seen as most papers see theirs: what each model itself makes of its last layer, and nothing before it.

The counterpart of :mod:`remodal.backbones.lite.last_layer` for transformers: the stem, the prompts and the store are
the same, and so are stored features, of which a part is taken.
"""

from __future__ import annotations

from torch import Tensor

from remodal.backbones.base import Backbone
from remodal.backbones.tokens import Tokens
from remodal.backbones.tower import Tower
from remodal.backbones.view import View


class OwnVector(Tower):
    """``whole`` with those of its features alone that are the model's own vector."""

    def __init__(self, whole: Tower) -> None:
        super().__init__(whole.encoder)
        self._whole = whole
        self.feature_width = len(range(*self.encoder.own.indices(whole.feature_width)))

    def features(self, tokens: Tokens, prompts: Tensor | None = None) -> Tensor:
        """As of the whole tower, ``[n, feature_width]``."""
        return self._whole.features(tokens, prompts)[:, self.encoder.own]

    def identity(self, tokens: Tokens) -> Tensor:
        """As of the whole tower."""
        return self._whole.identity(tokens)

    def frozen(self, tokens: Tokens) -> Tensor:
        """As of the whole tower: the same is stored."""
        return self._whole.frozen(tokens)


def own_vectors(whole: Backbone) -> View:
    """``whole`` with towers that show the models' own vectors alone."""
    return View(whole, {name: OwnVector(tower) for name, tower in whole.towers.items()})
