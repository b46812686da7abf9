"""Near copies of pictures on both sides of a split."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from remodal import streams

Change = Callable[[Image.Image, Path], object]
CHANGES: dict[str, Change] = {
    "compressed.jpg": lambda picture, path: picture.save(path, quality=40),
    "half.jpg": lambda picture, path: picture.resize((60, 45)).save(path, quality=75),
    "larger.webp": lambda picture, path: picture.resize((300, 225)).save(path, quality=60),
    "brighter.png": lambda picture, path: ImageEnhance.Brightness(picture).enhance(1.03).save(path),
}


def scene(seed: int) -> Image.Image:
    """A picture of its own: some coarse coloured patches, blurred."""
    patches = np.random.default_rng(seed).integers(40, 216, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(patches).resize((120, 90), Image.Resampling.BICUBIC)


@pytest.fixture
def split(tmp_path: Path) -> Path:
    """Two classes of four pictures to learn and one to be tested on."""
    lines = ["path,modality,label,split"]
    for number in range(10):
        name, label = f"{number}.png", "tea" if number < 5 else "ships"
        scene(number).save(tmp_path / name)
        lines.append(f"{name},image,{label},{'test' if number % 5 == 4 else 'train'}")
    (tmp_path / "manifest.csv").write_text("\n".join(lines))
    return tmp_path


def add(folder: Path, name: str) -> None:
    with (folder / "manifest.csv").open("a") as manifest:
        manifest.write(f"\n{name},image,tea,test")


@pytest.mark.parametrize("name", CHANGES)
def test_a_test_picture_that_is_a_training_picture_in_another_form_is_named(split: Path, name: str) -> None:
    CHANGES[name](scene(2), split / name)
    add(split, name)
    (problem,) = streams.verify(split)
    assert (problem.path, problem.reason) == (
        name,
        "is nearly the picture 2.png, which is learned from; valid: test items of their own",
    )


def test_a_picture_that_is_the_same_byte_for_byte_is_named_once(split: Path) -> None:
    (split / "same.png").write_bytes((split / "2.png").read_bytes())
    add(split, "same.png")
    (problem,) = streams.verify(split)
    assert problem.reason.startswith("is learned from too, as 2.png")


def test_different_pictures_are_not_near_and_neither_are_blank_ones(split: Path) -> None:
    for name, grey in (("blank.png", 128), ("white.png", 130)):
        Image.new("RGB", (40, 30), (grey, grey, grey)).save(split / name)
    add(split, "blank.png")
    with (split / "manifest.csv").open("a") as manifest:
        manifest.write("\nwhite.png,image,tea,train")
    assert streams.verify(split) == []
