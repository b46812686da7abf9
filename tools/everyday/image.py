"""Images: icons and emoji by many designers, rasterised; the designers of the test are never in train."""

from __future__ import annotations

import fnmatch
import io
import json
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import resvg_py
from item import SPLIT_SEED, Item, encode_png, stable_order
from PIL import Image

VERSION = "2.2.535"
SIDE = 96  # pixels
AT_MOST = {"train": 90, "test": 30}  # a class
AT_MOST_OF_A_FAMILY = 12  # a class
INK = "#202020"  # for icons that take the colour of the text around them
LEAST_INK, MOST_INK = 0.015, 0.9  # of the pixels
NEAR_DUPLICATE = 0.985  # cosine of coarse grey versions
TEST_SHARE = 0.25
PARTITIONS = 20_000  # of the families into train and test, of which the evenest is taken


@dataclass(frozen=True)
class Icon:
    """A drawing in an icon set."""

    set: str
    name: str
    drawing: dict[str, object]  # body (SVG), left, top, width, height
    author: str
    licence: str

    @property
    def id(self) -> str:
        return f"{self.set}:{self.name}"


class Rules:
    """The choices in ``image.toml``."""

    def __init__(self, path: Path) -> None:
        rules = tomllib.loads(path.read_text())
        self.licences = set(rules["licences"])
        self.refused_categories = set(rules["refused_categories"])
        self.refused_sets = set(rules["refused_sets"])
        self.refused_icons: list[str] = rules["refused_icons"]
        self.style_words = set(rules["style_words"].split())
        self.refused_words = set(rules["refused_words"].split())
        self.families: dict[str, str] = rules["families"]
        self.labels = {name: label for label, names in rules["names"].items() for name in names.split()}

    def takes_set(self, name: str, info: dict[str, Any]) -> bool:
        return (
            info["license"].get("spdx") in self.licences
            and info.get("category") not in self.refused_categories
            and name not in self.refused_sets
        )

    def stripped(self, name: str) -> str:
        """The name without words for style and size: ``dog-24-filled`` -> ``dog``."""
        return "-".join(word for word in name.split("-") if word not in self.style_words)

    def label(self, icon: Icon) -> str | None:
        if self.refused_words & set(icon.name.split("-")):
            return None
        if any(fnmatch.fnmatch(icon.id, pattern) for pattern in self.refused_icons):
            return None
        return self.labels.get(self.stripped(icon.name))

    def family(self, icon: Icon) -> str:
        return self.families.get(icon.author, icon.author)


def read_icons(package: Path, rules: Rules) -> Iterator[Icon]:
    """All icons of the sets that the rules take."""
    for name, info in json.loads((package / "collections.json").read_text()).items():
        if not rules.takes_set(name, info):
            continue
        whole = json.loads((package / f"json/{name}.json").read_text())
        sizes = {side: whole.get(side, 16) for side in ("width", "height")}
        for icon, drawing in whole["icons"].items():
            if drawing.get("hidden") or {"rotate", "hFlip", "vFlip"} & set(drawing):
                continue
            yield Icon(name, icon, {**sizes, **drawing}, info["author"]["name"], info["license"]["spdx"])


def rasterised(icon: Icon) -> np.ndarray:
    """``[SIDE, SIDE, 3]`` uint8, on white."""
    left, top = icon.drawing.get("left", 0), icon.drawing.get("top", 0)
    width, height = icon.drawing["width"], icon.drawing["height"]
    body = str(icon.drawing["body"]).replace("currentColor", INK)
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="{left} {top} {width} {height}" width="{SIDE}" height="{SIDE}">{body}</svg>'
    )
    png = bytes(resvg_py.svg_to_bytes(svg_string=svg, width=SIDE, height=SIDE, background="#ffffff"))
    drawn = Image.open(io.BytesIO(png)).convert("RGB")
    square = Image.new("RGB", (SIDE, SIDE), "white")
    square.paste(drawn, ((SIDE - drawn.width) // 2, (SIDE - drawn.height) // 2))
    return np.asarray(square)


def coarse(pixels: np.ndarray) -> np.ndarray:
    """A 16 x 16 grey version, centred and of length 1: near duplicates have a cosine near 1."""
    grey = Image.fromarray(pixels).convert("L").resize((16, 16), Image.Resampling.BOX)
    values = np.asarray(grey, np.float32).ravel()
    values = values - values.mean()
    return np.asarray(values / max(float(np.linalg.norm(values)), 1e-6))


@dataclass(frozen=True)
class Drawing:
    """An icon with its class, its designer's family and its pixels."""

    icon: Icon
    label: str
    family: str
    pixels: np.ndarray


def distinct(icons: list[Icon], label: str, rules: Rules) -> Iterator[Drawing]:
    """The drawings of a class in a stable order, without empty ones, copies and more than a family's share."""
    families: Counter[str] = Counter()
    seen: list[np.ndarray] = []
    for icon in sorted(icons, key=lambda icon: stable_order(icon.id)):
        family = rules.family(icon)
        if families[family] == AT_MOST_OF_A_FAMILY:
            continue
        pixels = rasterised(icon)
        ink = float((pixels.min(-1) < 200).mean())
        signature = coarse(pixels)
        if not LEAST_INK <= ink <= MOST_INK or any(signature @ other > NEAR_DUPLICATE for other in seen):
            continue  # designers copy each other, and ship one drawing in several sizes
        seen.append(signature)
        families[family] += 1
        yield Drawing(icon, label, family, pixels)


def test_families(drawings: list[Drawing]) -> set[str]:
    """Of many random partitions of the families the one that comes nearest to ``TEST_SHARE`` in every class.

    Nothing but these counts decides.
    """
    families = sorted({drawing.family for drawing in drawings})
    labels = sorted({drawing.label for drawing in drawings})
    counts = np.zeros((len(families), len(labels)))
    for drawing in drawings:
        counts[families.index(drawing.family), labels.index(drawing.label)] += 1
    tested = np.random.default_rng(SPLIT_SEED).random((PARTITIONS, len(families))) < TEST_SHARE
    unevenness = np.abs(tested @ counts / counts.sum(0) - TEST_SHARE).max(1)
    return {family for family, test in zip(families, tested[unevenness.argmin()], strict=True) if test}


def build(sources: Path) -> list[Item]:
    """All image items. A group is a designer family."""
    rules = Rules(Path(__file__).with_name("image.toml"))
    candidates: defaultdict[str, list[Icon]] = defaultdict(list)
    for icon in read_icons(sources / "iconify-json", rules):
        if label := rules.label(icon):
            candidates[label].append(icon)
    drawings = [drawing for label, icons in candidates.items() for drawing in distinct(icons, label, rules)]
    tested = test_families(drawings)

    items = []
    kept: Counter[tuple[str, str]] = Counter()
    for drawing in drawings:
        split = "test" if drawing.family in tested else "train"
        kept[drawing.label, split] += 1
        if kept[drawing.label, split] > AT_MOST[split]:
            continue
        icon = drawing.icon
        items.append(
            Item(
                id=f"image/{drawing.label}/{icon.id}",
                label=drawing.label,
                split=split,
                group=drawing.family,
                media=encode_png(drawing.pixels),
                format="png",
                licence=icon.licence,
                attribution=f"{icon.name} of the icon set {icon.set} by {icon.author}",
            )
        )
    return items
