"""Frozen models: stems whose tokens are cached, heads that take prompts, and the text space they are aligned to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from remodal.backbones.base import Backbone
from remodal.backbones.encoder import Encoder
from remodal.backbones.engine import Engine
from remodal.backbones.settings import ClipSettings, LiteSettings, VitSettings
from remodal.backbones.tokens import CHUNK, StoredTokens, Tokens
from remodal.backbones.tower import Tower
from remodal.errors import UnknownName
from remodal.registry import Registry
from remodal.settings import Settings

__all__ = [
    "CHUNK",
    "Backbone",
    "Encoder",
    "Engine",
    "Registered",
    "StoredTokens",
    "Tokens",
    "Tower",
    "backbones",
    "clip_in",
    "load_backbone",
    "registered",
]

Load = Callable[[Path, Engine, Any], Backbone]
"""(cache, engine, settings) -> the backbone. What it imports, it imports when it is called."""


class Registered(NamedTuple):
    """What can be set of a backbone, and what loads it, of whose docstring users are shown the first line."""

    options: type[Settings]
    load: Load


backbones = Registry[Registered]("backbone")


def _lite(cache: Path, engine: Engine, settings: LiteSettings) -> Backbone:
    """EfficientNet-lite0 + MiniLM from PyPI packages: no hub, no GPU needed."""
    from remodal.backbones.lite import Lite

    return Lite(cache, engine)


def _vit(cache: Path, engine: Engine, settings: VitSettings) -> Backbone:
    """A ViT-S/14 + MiniLM from PyPI packages, with prompts in its layers: no hub needed."""
    from remodal.backbones.vit import Vit

    return Vit(cache, engine, settings)


backbones.add("lite")(Registered(LiteSettings, _lite))
backbones.add("vit")(Registered(VitSettings, _vit))


def registered(name: str) -> Registered:
    """The backbone registered under ``name``, or the CLIP model in the folder of that path.

    Raises UnknownName where there is neither.
    """
    if name in backbones.names():
        return backbones.get(name)
    if Path(name).is_dir():
        return clip_in(Path(name))
    unknown = UnknownName("backbone", name, backbones.names())
    unknown.args = (f"{unknown}, or the folder of a CLIP model",)
    raise unknown


def clip_in(folder: Path) -> Registered:
    """The CLIP model in a folder, whether there is one or not."""

    def load(cache: Path, engine: Engine, settings: ClipSettings) -> Backbone:
        """Any CLIPModel of transformers with its tokenizer, with prompts in every layer."""
        from remodal.backbones.clip import ClipBackbone

        return ClipBackbone(folder, engine, settings)

    return Registered(ClipSettings, load)


def load_backbone(
    name: str, cache: Path, engine: Engine | None = None, settings: Mapping[str, object] | None = None
) -> Backbone:
    """The backbone registered under ``name``, or the CLIP model in the folder of that path.

    cache: folder for what a backbone computes once. engine: where it computes; the CPU by default. settings: the
    backbone's own, by name; those that aren't named have their defaults.

    Raises:
        RemodalError: There is neither, a setting isn't known or valid, or what it needs isn't installed.
    """
    found = registered(name)
    return found.load(cache, engine or Engine(), found.options.checked(settings or {}))
