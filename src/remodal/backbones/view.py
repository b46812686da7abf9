"""A backbone seen through other towers: its names and its text space, and its stem, and so the same store."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from remodal.backbones.base import Backbone
from remodal.backbones.tower import Tower


class View(Backbone):
    """``whole``, whose modalities are read by ``towers``, of the names of its own."""

    def __init__(self, whole: Backbone, towers: Mapping[str, Tower]) -> None:
        self._whole, self.towers = whole, dict(towers)
        self.name, self.width, self.logit_scale = whole.name, whole.width, whole.logit_scale
        self.reads, self.engine, self.settings = whole.reads, whole.engine, whole.settings

    @property
    def fingerprint(self) -> str:
        """The whole backbone's: the same is stored."""
        return self._whole.fingerprint

    def embed_name(self, name: str) -> Tensor:
        """As the whole backbone."""
        return self._whole.embed_name(name)
