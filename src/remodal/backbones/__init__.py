"""Frozen models: stems whose tokens are cached, heads that take prompts, and the text space they are aligned to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from remodal.backbones.base import Backbone
from remodal.backbones.encoder import Encoder
from remodal.backbones.engine import Engine
from remodal.backbones.tokens import CHUNK, StoredTokens, Tokens
from remodal.backbones.tower import Tower
from remodal.registry import Registry

__all__ = [
    "CHUNK",
    "Backbone",
    "Encoder",
    "Engine",
    "StoredTokens",
    "Tokens",
    "Tower",
    "backbones",
    "load_backbone",
]

backbones = Registry[Callable[[Path, Engine], Backbone]]("backbone")


@backbones.add("lite")
def _lite(cache: Path, engine: Engine) -> Backbone:
    """EfficientNet-lite0 + MiniLM from PyPI packages: no hub, no GPU needed."""
    from remodal.backbones.lite import Lite

    return Lite(cache, engine)


@backbones.add("vit")
def _vit(cache: Path, engine: Engine) -> Backbone:
    """A ViT-S/14 + MiniLM from PyPI packages, with prompts in every layer: no hub needed."""
    from remodal.backbones.vit import Vit

    return Vit(cache, engine)


def load_backbone(name: str, cache: Path, engine: Engine | None = None) -> Backbone:
    """The backbone registered under ``name``, or the CLIP model in the folder of that path.

    cache: folder for what a backbone computes once. engine: where it computes; the CPU by default. Raises UnknownName
    where there is neither.
    """
    if name not in backbones.names() and Path(name).is_dir():
        from remodal.backbones.clip import ClipBackbone

        return ClipBackbone(Path(name), engine=engine or Engine())
    return backbones.get(name)(cache, engine or Engine())
