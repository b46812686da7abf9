"""What a run works with, made from its settings: the backbone, the stream's tasks, the method."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from remodal.backbones import Backbone, Engine, load_backbone
from remodal.errors import RemodalError
from remodal.features.extract import NeedsTokens, StemPass, extract
from remodal.features.progress import Progress, Silent
from remodal.features.shared import open_store
from remodal.learning.prepare import PreparedStream, prepare
from remodal.learning.settings import RunSettings
from remodal.methods import Method, methods
from remodal.streams import stream as open_stream
from remodal.streams.base import Quarantined
from remodal.streams.listing import listed


def backbone_for(settings: RunSettings, cache: Path, engine: Engine | None = None) -> Backbone:
    """The frozen model, as it shows itself to the method."""
    backbone = load_backbone(settings.backbone, cache, engine, settings.backbone_options)
    return backbone.published() if settings.features == "published" else backbone


def method_for(settings: RunSettings, backbone: Backbone) -> Method:
    """The method, which has learned nothing yet."""
    method = methods.get(settings.method)
    return method(backbone, method.options.checked(settings.options), settings.seed)


def open_stream_for(
    settings: RunSettings,
    cache: Path,
    *,
    strict: bool = False,
    engine: Engine | None = None,
    progress: Progress | None = None,
    needs_tokens: NeedsTokens | None = None,
    stem_pass: StemPass = extract,
) -> tuple[Backbone, PreparedStream]:
    """The backbone and the tasks that a run with these settings learns from.

    needs_tokens: of whichever methods are to learn from them; by default of the settings' own.
    """
    shown = progress or Silent()
    backbone = backbone_for(settings, cache, engine)
    stream = open_stream(
        settings.stream, order=settings.order, seed=settings.seed, **settings.stream_options.model_dump()
    )
    if strict:
        _refuse(stream.quarantined)
    with open_store(cache / "features") as store:
        prepared = prepare(stream, backbone, store, shown, needs_tokens or needs_of(settings), stem_pass)
    if prepared.quarantined:
        shown.note(f"skipped: {len(prepared.quarantined):,} that can't be used; the summary lists them")
    if prepared.repeated:
        shown.note(f"held out and learned from: {len(prepared.repeated):,} items; the summary names them")
    if strict:
        _refuse(prepared.quarantined)
    return backbone, prepared


def needs_of(*runs: RunSettings) -> NeedsTokens:
    """Whether any of these runs needs tokens."""
    methods_ = [methods.get(settings.method) for settings in runs]
    chosen = [method.options.checked(settings.options) for method, settings in zip(methods_, runs, strict=True)]
    return lambda tower: any(method.needs_tokens(own, tower) for method, own in zip(methods_, chosen, strict=True))


def _refuse(quarantined: Sequence[Quarantined]) -> None:
    """Stop where there are items that can't be used."""
    if quarantined:
        raise RemodalError(f"{listed(quarantined)} (strict)")
