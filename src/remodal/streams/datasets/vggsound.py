"""VGGSound: 309 kinds of sound in some 200,000 clips of ten seconds of YouTube.

Paper: Chen, Xie, Vedaldi & Zisserman, "VGGSound: A Large-scale Audio-Visual Dataset", ICASSP 2020, arXiv 2004.14368.
Terms: the list is CC BY 4.0; the clips belong to those who put them on YouTube.

::

    vggsound.csv                      YouTube id, second at which the clip starts, class, split; no header
    video/---g-f_I2yQ_000001.mp4      or where the archives unpack it: scratch/shared/.../VGGSound_final/video
    audio/---g-f_I2yQ_000001.wav      or the sound alone, of any suffix that is read as sound

The list is public, the clips are gathered from YouTube or from copies, so some always lack. A clip counts as a sound: a
file stands once in a stream, and what names the class is what is heard.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import PurePosixPath

from remodal.errors import RemodalError
from remodal.modalities import get_modality
from remodal.streams.base import Split
from remodal.streams.datasets.base import Dataset, Part, Row, datasets
from remodal.streams.datasets.source import Source

ORIGIN = "https://www.robots.ox.ac.uk/~vgg/data/vggsound/"
COPIES = "https://huggingface.co/datasets/Loie/VGGSound"
LIST = "vggsound.csv"
UNPACKED = "scratch/shared/beegfs/hchen/train_data/VGGSound_final"
MEDIA = ("audio", "video", f"{UNPACKED}/audio", f"{UNPACKED}/video")
SPLITS: dict[str, Split] = {"train": "train", "test": "test"}


def list_rows(source: Source) -> Iterator[Row]:
    """A row of the official list is a clip; its file is called after its id and its start."""
    there = _media(source)
    rows = csv.reader(source.text(LIST).splitlines())
    for number, row in enumerate(source.each(list(rows)), start=1):
        if len(row) != 4 or not row[1].isdecimal() or row[3] not in SPLITS:
            found = f"{source.folder / LIST} line {number}: found {','.join(row)[:80]!r}"
            raise RemodalError(f"{found}; valid: id,second,class,split as in the file of {ORIGIN}")
        video, start, label, split = row
        stem = f"{video}_{int(start):06}"
        yield Row(there.get(stem, f"video/{stem}.mp4"), label.lower(), SPLITS[split], video)


def _media(source: Source) -> dict[str, str]:
    """Where the clips are, by what they are called without their suffix; the sound alone where there is both."""
    suffixes = get_modality("audio").suffixes
    there: dict[str, str] = {}
    for folder in MEDIA:
        for name in sorted(source.names(folder)):
            if PurePosixPath(name).suffix.lower() in suffixes:
                there.setdefault(PurePosixPath(name).stem, f"{folder}/{name}")
    return there


datasets.add("vggsound")(
    Dataset(
        modality="audio",
        folders=("vggsound", "VGGSound", "vgg-sound"),
        parts=(Part((LIST,), ORIGIN), Part(MEDIA, COPIES)),
        classes=309,
        list_rows=list_rows,
    )
)
