"""Frozen models: stems whose tokens are cached, heads that take prompts, and the text space they are aligned to."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from remodal.backbones.base import Backbone
from remodal.backbones.encoder import Encoder
from remodal.backbones.engine import WEIGHTLESS, Engine
from remodal.backbones.settings import MODALITIES, LiteSettings, PretrainedSettings, TowersSettings, VitSettings
from remodal.backbones.sources import SUFFIXES, is_id, settings_in
from remodal.backbones.tokens import CHUNK, StoredTokens, Tokens
from remodal.backbones.tower import Tower
from remodal.errors import UnknownName, installed_with
from remodal.registry import Registry
from remodal.settings import Settings

__all__ = [
    "CHUNK",
    "WEIGHTLESS",
    "Backbone",
    "Encoder",
    "Engine",
    "Registered",
    "StoredTokens",
    "Tokens",
    "Tower",
    "backbones",
    "in_source",
    "load_backbone",
    "registered",
]

Load = Callable[[Path, Engine, Any, frozenset[str]], Backbone]
"""(cache, engine, settings, modalities) -> the backbone. What it imports, it imports when it is called."""


class Registered(NamedTuple):
    """What can be set of a backbone, and what loads it, of whose docstring users are shown the first line."""

    options: type[Settings]
    load: Load


backbones = Registry[Registered]("backbone")


def _lite(cache: Path, engine: Engine, settings: LiteSettings, modalities: frozenset[str]) -> Backbone:
    """EfficientNet-lite0 + MiniLM from PyPI packages: no hub, no GPU needed."""
    from remodal.backbones.lite.lite import Lite

    # each network is read when it is asked for the first time
    return Lite(cache, engine)


def _vit(cache: Path, engine: Engine, settings: VitSettings, modalities: frozenset[str]) -> Backbone:
    """A ViT-S/14 + MiniLM from PyPI packages, with prompts in its layers: no hub needed."""
    with installed_with("transformer"):
        from remodal.backbones.transformer.vit import Vit

    return Vit(cache, engine, settings, modalities)


def _towers(
    cache: Path, engine: Engine, settings: TowersSettings, modalities: frozenset[str], name: str = "towers"
) -> Backbone:
    """Encoders of transformers of your choice, one a modality: folders, or ids in the cache of a hub."""
    with installed_with("transformer"):
        from remodal.backbones.transformer.towers import Towers

    return Towers(name, settings.sources(), cache, engine, settings, modalities)


backbones.add("lite")(Registered(LiteSettings, _lite))
backbones.add("vit")(Registered(VitSettings, _vit))
backbones.add("towers")(Registered(TowersSettings, _towers))


def registered(name: str) -> Registered:
    """The backbone registered under ``name``; or the model in the folder of that path, or of that id; or a file's.

    A file of YAML says who reads each modality. Raises UnknownName where ``name`` is nothing of these.
    """
    if name in backbones.names():
        return backbones.get(name)
    if Path(name).suffix in SUFFIXES and not Path(name).is_dir():
        return _in_file(Path(name))
    if Path(name).is_dir() or is_id(name):
        return in_source(name)
    unknown = UnknownName("backbone", name, backbones.names())
    unknown.args = (f"{unknown}, a CLIP or SigLIP model's folder or id owner/name, or a YAML file of towers",)
    raise unknown


def in_source(source: str) -> Registered:
    """The model in a folder, or of an id, whether there is one or not."""

    def load(cache: Path, engine: Engine, settings: PretrainedSettings, modalities: frozenset[str]) -> Backbone:
        """A CLIP, SigLIP or CLAP model of transformers, with prompts in every layer."""
        with installed_with("transformer"):
            from remodal.backbones.transformer.towers import Towers

        return Towers(source, source, cache, engine, settings, modalities)

    return Registered(PretrainedSettings, load)


def _in_file(file: Path) -> Registered:
    def load(cache: Path, engine: Engine, settings: TowersSettings, modalities: frozenset[str]) -> Backbone:
        """Encoders of transformers, one a modality, as a file says."""
        return _towers(cache, engine, settings, modalities, str(file))

    return Registered(settings_in(file), load)


def load_backbone(
    name: str,
    cache: Path,
    engine: Engine | None = None,
    settings: Mapping[str, object] | None = None,
    modalities: Collection[str] = MODALITIES,
) -> Backbone:
    """The backbone that ``name`` stands for, as of :func:`registered`.

    cache: folder for what a backbone computes once. engine: where it computes; the CPU by default, and nowhere if
    ``WEIGHTLESS``. settings: the backbone's own, by name; those that aren't named have their defaults.
    modalities: what will be read. A network that reads none of them, nor the names of classes, has shapes alone.

    Raises:
        RemodalError: There is none, a setting isn't known or valid, or what it needs isn't installed.
    """
    found = registered(name)
    return found.load(cache, engine or Engine(), found.options.checked(settings or {}), frozenset(modalities))
