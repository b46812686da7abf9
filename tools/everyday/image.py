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
from item import Item, encode_png, stable_order
from PIL import Image

VERSION = "2.2.535"
SIDE = 96  # pixels
AT_MOST = {"train": 90, "test": 30}  # a class
AT_MOST_OF_A_FAMILY = 12  # a class
INK = "#202020"  # for icons that take the colour of the text around them
LEAST_INK, MOST_INK = 0.015, 0.9  # of the pixels
NEAR_DUPLICATE = 0.99  # cosine of coarse grey versions


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
        self.test_families = set(rules["split"]["test_families"])
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


def build(sources: Path) -> list[Item]:
    """All image items. A group is a designer family."""
    rules = Rules(Path(__file__).with_name("image.toml"))
    candidates: defaultdict[str, list[Icon]] = defaultdict(list)
    for icon in read_icons(sources / "iconify-json", rules):
        if label := rules.label(icon):
            candidates[label].append(icon)

    items = []
    for label, icons in candidates.items():
        families: Counter[str] = Counter()
        splits: Counter[str] = Counter()
        seen: list[np.ndarray] = []
        for icon in sorted(icons, key=lambda icon: stable_order(icon.id)):
            family = rules.family(icon)
            split = "test" if family in rules.test_families else "train"
            if families[family] == AT_MOST_OF_A_FAMILY or splits[split] == AT_MOST[split]:
                continue
            pixels = rasterised(icon)
            ink = float((pixels.min(-1) < 200).mean())
            signature = coarse(pixels)
            if not LEAST_INK <= ink <= MOST_INK or any(signature @ other > NEAR_DUPLICATE for other in seen):
                continue  # designers copy each other, and ship one drawing in several sizes
            seen.append(signature)
            families[family] += 1
            splits[split] += 1
            items.append(
                Item(
                    id=f"image/{label}/{icon.id}",
                    label=label,
                    split=split,
                    group=family,
                    media=encode_png(pixels),
                    format="png",
                    licence=icon.licence,
                    attribution=f"{icon.name} of the icon set {icon.set} by {icon.author}",
                )
            )
    return items
