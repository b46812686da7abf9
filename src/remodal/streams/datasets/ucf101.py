"""UCF-101: 101 kinds of human action in 13,320 clips of YouTube.

Paper: Soomro, Zamir & Shah, "UCF101: A Dataset of 101 Human Actions Classes From Videos in The Wild", 2012,
arXiv 1212.0402.
Terms: none are stated; the clips are of users of YouTube. Research is what they were put together for.

::

    UCF-101/ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi       UCF101.rar
    ucfTrainTestlist/trainlist01.txt, testlist01.txt          UCF101TrainTestSplits-RecognitionTask.zip

Split 1 of 3, as most papers. Clips of one group (``g01`` to ``g25`` of a class) are cut from one video, or show one
person; the official splits keep a group on one side.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from remodal.streams.base import Split
from remodal.streams.datasets.base import Dataset, Part, Row, datasets
from remodal.streams.datasets.source import Source

ORIGIN = "https://www.crcv.ucf.edu/data/UCF101.php"
LISTS: dict[Split, str] = {"train": "ucfTrainTestlist/trainlist01.txt", "test": "ucfTrainTestlist/testlist01.txt"}


def words(camel: str) -> str:
    """A class's name as words.

    >>> words("ApplyEyeMakeup"), words("TaiChi")
    ('apply eye makeup', 'tai chi')
    """
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", camel).lower()


def list_rows(source: Source) -> Iterator[Row]:
    """A line is the path of a clip, in the training list with the number of its class after it."""
    for split, name in LISTS.items():
        for line in source.each(source.text(name).splitlines()):
            if not line.strip():
                continue
            path = PurePosixPath(line.split()[0])
            # the folder names the class: files of HandstandPushups are called v_HandStandPushups
            label = path.parent.name
            group = re.search(r"_g\d+", path.name)
            yield Row(f"UCF-101/{path}", words(label), split, f"{label}{group[0]}" if group else "")


datasets.add("ucf101")(
    Dataset(
        modality="video",
        folders=("ucf101", "UCF101", "ucf-101"),
        parts=(*(Part((name,), ORIGIN) for name in LISTS.values()), Part(("UCF-101",), f"UCF101.rar of {ORIGIN}")),
        classes=101,
        list_rows=list_rows,
        published={"train": 9_537, "test": 3_783},
    )
)
