"""A contact sheet: one example of each class, as it is decoded, a section a modality."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from remodal.errors import BadItem
from remodal.modalities import MODALITIES, Medium, get_modality
from remodal.modalities.audio import SPAN, Audio
from remodal.modalities.base import centre_squares
from remodal.streams.base import Item, Stream

WIDTH, MARGIN, GAP = 1240, 20, 10
INSIDE = WIDTH - 2 * MARGIN
HEADING, LABEL, SENTENCE = 40, 22, 24
MOST_CLASSES = 60
PAPER, INK, FAINT, BLANK = (255, 255, 255), (28, 30, 34), (112, 118, 128), (38, 40, 46)
WAVE = (84, 120, 220)
FRAMES_SHOWN = 4
WAVE_SHARE = 0.28
"""Of a sound's tile, above its log-mel picture."""

Draw = Callable[[Any, int, int], Image.Image]
"""(medium, width, height) -> the tile."""


class _Tiles(NamedTuple):
    """How a modality's media are drawn: at most ``in_row`` beside each other, each ``shape`` times as wide as high."""

    draw: Draw
    in_row: int
    shape: float


class _Example(NamedTuple):
    """A class, and an item of it; None where none decodes."""

    label: str
    medium: Medium | None


def draw_sheet(stream: Stream) -> Image.Image:
    """The contact sheet of ``stream``, 1240 pixels wide; equal streams give equal pixels."""
    by_modality: dict[str, dict[str, list[Item]]] = {}
    for task in stream:
        classes = by_modality.setdefault(task.modality, {})
        for item in (*task.train, *task.test):
            classes.setdefault(item.label, []).append(item)
    sections = [_section(modality, by_modality[modality]) for modality in MODALITIES if modality in by_modality]
    sheet = Image.new("RGB", (WIDTH, sum(part.height for part in sections) + MARGIN), PAPER)
    top = 0
    for part in sections:
        sheet.paste(part, (0, top))
        top += part.height
    return sheet


def _section(modality: str, classes: dict[str, list[Item]]) -> Image.Image:
    shown = [_example(label, classes[label]) for label in sorted(classes)[:MOST_CLASSES]]
    body = _sentences(shown) if modality == "text" else _grid(shown, TILES[modality])
    section = Image.new("RGB", (WIDTH, HEADING + body.height + GAP), PAPER)
    pen = ImageDraw.Draw(section)
    items = sum(len(some) for some in classes.values())
    more = f", the first {MOST_CLASSES} shown" if len(classes) > MOST_CLASSES else ""
    title = _font(17, bold=True)
    pen.text((MARGIN, HEADING - 10), modality, INK, title, anchor="ls")
    after = MARGIN + title.getlength(modality) + 10
    pen.text((after, HEADING - 10), f"{len(classes)} classes, {items:,} items{more}", FAINT, _font(13), anchor="ls")
    section.paste(body, (0, HEADING))
    return section


def _example(label: str, items: Iterable[Item]) -> _Example:
    """The first item that decodes, in an order that looks random and is always the same."""
    for item in sorted(items, key=lambda item: hashlib.sha256(item.id.encode()).digest()):
        try:
            return _Example(label, get_modality(item.modality).decode(item.read(), where=item.id, unit=item.unit))
        except BadItem:
            continue
    return _Example(label, None)


def _grid(shown: Sequence[_Example], tiles: _Tiles) -> Image.Image:
    """Tiles in rows that are as even as can be, each with its class below."""
    rows = -(-len(shown) // tiles.in_row)
    in_row = max(-(-len(shown) // rows), tiles.in_row // 2)
    width = (INSIDE - (in_row - 1) * GAP) // in_row
    height = round(width / tiles.shape)
    grid = Image.new("RGB", (WIDTH, rows * (height + LABEL)), PAPER)
    pen, font = ImageDraw.Draw(grid), _font(12)
    for index, example in enumerate(shown):
        left, top = MARGIN + index % in_row * (width + GAP), index // in_row * (height + LABEL)
        if example.medium is None:
            pen.rectangle((left, top, left + width - 1, top + height - 1), BLANK)
        else:
            grid.paste(tiles.draw(example.medium, width, height), (left, top))
        pen.text((left, top + height + 15), _cut(example.label, font, width), INK, font, anchor="ls")
    return grid


def _sentences(shown: Sequence[_Example]) -> Image.Image:
    """Two columns of a class and a sentence each."""
    rows = -(-len(shown) // 2)
    body = Image.new("RGB", (WIDTH, rows * SENTENCE), PAPER)
    pen, font, bold = ImageDraw.Draw(body), _font(12), _font(12, bold=True)
    column = (INSIDE - 2 * GAP) // 2
    indent = min(column // 3, round(max(bold.getlength(example.label) for example in shown)) + GAP)
    for index, (label, sentence) in enumerate(shown):
        left, top = MARGIN + index // rows * (column + 2 * GAP), index % rows * SENTENCE
        pen.text((left, top + 15), _cut(label, bold, indent - GAP // 2), INK, bold, anchor="ls")
        text = " ".join(str(sentence or "").split())
        pen.text((left + indent, top + 15), _cut(text, font, column - indent), FAINT, font, anchor="ls")
    return body


def _picture(medium: NDArray[np.uint8], width: int, height: int) -> Image.Image:
    return Image.fromarray(centre_squares(medium[None], height)[0])


def _strip(medium: NDArray[np.uint8], width: int, height: int) -> Image.Image:
    """Frames from the first to the last."""
    picked = np.linspace(0, len(medium) - 1, FRAMES_SHOWN).round().astype(int)
    strip = Image.new("RGB", (width, height), PAPER)
    for position, index in enumerate(picked):
        left, right = (round(edge * width / FRAMES_SHOWN) for edge in (position, position + 1))
        strip.paste(Image.fromarray(centre_squares(medium[index][None], right - left)[0]), (left, 0))
    return strip


def _depth(medium: NDArray[np.float32], width: int, height: int) -> Image.Image:
    """The middle page in colour: near is yellow, far is violet, no reading is black."""
    page = medium[len(medium) // 2]
    readings = page[page > 0]
    near, far = np.percentile(readings, (1, 99)) if readings.size else (0.0, 1.0)
    colours = mpl.colormaps["plasma"](np.clip((far - page) / max(far - near, 1e-6), 0, 1), bytes=True)[..., :3]
    colours[page <= 0] = BLANK
    return Image.fromarray(centre_squares(colours[None], height)[0])


def _sound(medium: NDArray[np.float32], width: int, height: int) -> Image.Image:
    """The waveform above its log-mel picture, a short sound padded as the picture is."""
    wave = np.pad(medium, (0, max(0, SPAN - len(medium))))
    above = round(height * WAVE_SHARE)
    tile = Image.new("RGB", (width, height), PAPER)
    pen = ImageDraw.Draw(tile)
    loudest = max(float(np.abs(wave).max()), 1e-9)
    edges = np.linspace(0, len(wave), width + 1).astype(int)
    for x, (start, end) in enumerate(pairwise(edges)):
        part = wave[start : max(end, start + 1)] / loudest
        low, high = ((1 - value) * (above - 1) / 2 for value in (part.min(), part.max()))
        pen.line((x, high, x, low), WAVE)
    pictures = Audio().pictures(medium, 128)[..., 0]
    mel = mpl.colormaps["magma"](np.concatenate(list(pictures), axis=1), bytes=True)[..., :3]
    drawn = Image.fromarray(np.ascontiguousarray(mel)).resize((width, height - above), Image.Resampling.BICUBIC)
    tile.paste(drawn, (0, above))
    return tile


TILES = {
    "image": _Tiles(_picture, 10, 1.0),
    "video": _Tiles(_strip, 3, FRAMES_SHOWN),
    "audio": _Tiles(_sound, 10, 1.0),
    "depth": _Tiles(_depth, 10, 1.0),
}


def _cut(text: str, font: ImageFont.FreeTypeFont, width: float) -> str:
    """``text``, with an ellipsis where it is wider than ``width`` pixels."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(f"{text}…") > width:
        text = text[:-1]
    return f"{text.rstrip()}…"


def _font(size: int, *, bold: bool = False) -> ImageFont.FreeTypeFont:
    # matplotlib brings a font with most of the world's alphabets
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(Path(mpl.get_data_path()) / "fonts" / "ttf" / name, size)
