"""Frozen models: stems whose tokens are cached, heads that take prompts, and the text space they are aligned to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from remodal.backbones.base import Backbone, Tower
from remodal.backbones.remembered import Remembered
from remodal.backbones.tokens import CHUNK, StoredTokens, Tokens
from remodal.registry import Registry

__all__ = ["CHUNK", "Backbone", "Remembered", "StoredTokens", "Tokens", "Tower", "backbones", "load_backbone"]

backbones = Registry[Callable[[Path, str], Backbone]]("backbone")


@backbones.add("lite")
def _lite(cache: Path, device: str) -> Backbone:
    """EfficientNet-lite0 + MiniLM from PyPI packages: no hub, no GPU needed."""
    from remodal.backbones.lite import Lite

    return Lite(cache, device)


def load_backbone(name: str, cache: Path, device: str = "cpu") -> Backbone:
    """The backbone registered under ``name``, or the CLIP model in the folder of that path.

    cache: folder for what a backbone computes once. device: where the stem runs. Raises UnknownName where there is
    neither.
    """
    if name not in backbones.names() and Path(name).is_dir():
        from remodal.backbones.clip import ClipBackbone

        return ClipBackbone(Path(name))
    return backbones.get(name)(cache, device)
