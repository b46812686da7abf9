"""A saved model, written for runtimes of ONNX: one file a tower, from what is read of an item to its probabilities."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from remodal import __version__
from remodal.backbones.exportable import Exportable, GraphInput
from remodal.backbones.onnx_graph import session
from remodal.backbones.packaged import cutting_tokenizer
from remodal.errors import RemodalError, UnknownName
from remodal.export.answering import Answering, probabilities
from remodal.export.graph import PROBABILITIES, TOKENS, Graph, graph_of, joined, labelled
from remodal.features.progress import Progress, Silent
from remodal.files import replacing, write_text
from remodal.model import Model
from remodal.saved import unused
from remodal.saved.card import markdown
from remodal.streams.base import Column

FORMATS = ("onnx",)
FRAMES = "frames"
TOLERANCE = 1e-4
"""Difference of a probability from the model's own, at most."""
HERE = Path(__file__).parent
BESIDE = ("answer.py", "index.html")
"""Examples that are written beside the graphs."""


class Tower(NamedTuple):
    """What was written of a tower. items: held-out ones that were answered by both. off: the largest difference."""

    file: Path
    modalities: tuple[str, ...]
    inputs: tuple[GraphInput, ...]
    classes: int
    items: int
    off: float


class Exported(NamedTuple):
    """What was written."""

    folder: Path
    towers: tuple[Tower, ...]


def export(model: Model, into: str | Path, to: str = "onnx", progress: Progress | None = None) -> Exported:
    """Write ``model`` into a folder, for runtimes that know nothing of it.

    Of each tower that has learned something, one file: network, head, router and labels. Beside them a note on what
    they take and give, two examples, and the tokenizer where there is a text tower. Each file is there whole or not at
    all. The answers of a tower's file are compared with the model's, on all items that the model holds out.

    Raises:
        UnknownName: ``to`` isn't one of :data:`FORMATS`.
        RemodalError: The model's backbone or method can't be written so; it has learned nothing; or ``into`` holds a
            saved model.
    """
    if to not in FORMATS:
        raise UnknownName("format", to, FORMATS)
    folder = unused(into)
    columns = model.candidates()
    towers = []
    names = dict.fromkeys(model.backbone.reads[column.modality] for column in columns)
    with (progress or Silent()).work("export", len(names)) as count:
        for name in names:
            towers.append(_write_tower(model, name, folder / f"{name}.onnx"))
            count()
    _write_beside(model, folder, towers)
    return Exported(folder, tuple(towers))


def _write_tower(model: Model, name: str, file: Path) -> Tower:
    encoder, reads = model.backbone.towers[name].encoder, model.backbone.reads
    if not isinstance(encoder, Exportable):
        raise RemodalError(
            f"found a model on the backbone {model.backbone_name!r}, whose {name!r} can't be written as ONNX; "
            "valid: one on 'lite'"
        )
    modalities = [modality for modality, tower in reads.items() if tower == name]
    columns = [column for column in model.seen_ if column.modality in modalities]
    stem, inputs = encoder.graph_stem(modalities).eval(), encoder.graph_inputs(modalities)
    answering = Answering(model.method, encoder.for_graph(), columns).eval()
    with torch.inference_mode():
        example = stem(*(one.example for one in inputs))
        answering(example)  # what is solved when it is first asked for is a constant of the trace then
    head = _head(model, answering, example)
    items, off = _compared(model, name, head, columns)
    told = {
        "made_with": f"remodal {__version__}",
        "method": model.method_name,
        "backbone": model.backbone.fingerprint,
        "inputs": {one.name: one.meaning for one in inputs},
        "modalities": modalities,
    }
    graph = labelled(joined(graph_of(stem, inputs, TOKENS, FRAMES), head), columns, told)
    with replacing(file) as part:
        part.write_bytes(graph.SerializeToString())
    return Tower(file, tuple(modalities), tuple(inputs), len(columns), items, off)


def _head(model: Model, answering: Answering, example: Tensor) -> Graph:
    """From tokens to probabilities."""
    try:
        return graph_of(answering, [GraphInput(TOKENS, "", example, FRAMES)], PROBABILITIES)
    except Exception as error:  # whatever a method's own code raises where numbers aren't known yet
        said = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise RemodalError(f"the method {model.method_name!r} can't be written as ONNX ({said})") from error


def _compared(model: Model, tower: str, head: Graph, columns: Sequence[Column]) -> tuple[int, float]:
    """On how many held-out items the head was asked, and by how much it is off at most; RemodalError if by too much."""
    held_out = [kept.tokens for kept in model.learned_.held_out.kept.values() if kept.tokens.tower == tower]
    running, items, off = session(head.SerializeToString()), sum(map(len, held_out)), 0.0
    for one in (one for tokens in held_out for one in tokens.batches(1)):
        with torch.inference_mode():
            wanted = probabilities(model.method.scores(one, columns))[0].numpy()
        try:
            found = running.run([PROBABILITIES], {TOKENS: one.frames.numpy()})[0]
        except Exception:  # whatever a graph raises that holds for other items alone
            off = math.inf
            break
        off = max(off, float(abs(found - wanted).max()))
    if not off <= TOLERANCE:
        told = "fails" if off == math.inf else f"gives probabilities that differ from its own by up to {off:.1g}"
        raise RemodalError(
            f"the method {model.method_name!r} can't be written as ONNX: asked about {items} held-out items, the graph "
            f"of {tower!r} {told}; valid: up to {TOLERANCE}"
        )
    return items, off


def _write_beside(model: Model, folder: Path, towers: Sequence[Tower]) -> None:
    """The note, the examples and the tokenizer."""
    for name in BESIDE:
        write_text(folder / name, (HERE / name).read_text(encoding="utf-8"))
    if any("text" in tower.modalities for tower in towers):
        write_text(folder / "tokenizer.json", cutting_tokenizer().to_str())
    licences = sorted({licence for source in model.learned_.sources for licence in source.licences})
    write_text(folder / "README.md", markdown(HERE / "note.md.jinja", model=model, towers=towers, licences=licences))
