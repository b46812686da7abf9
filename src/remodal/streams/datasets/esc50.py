"""ESC-50: 2,000 sounds of five seconds in 50 classes.

Paper: Piczak, "ESC: Dataset for Environmental Sound Classification", ACM MM 2015, doi 10.1145/2733373.2806390.
Terms: CC BY-NC 3.0; the ten classes of ESC-10 CC BY 3.0. Who recorded each clip is in the data set's own ``LICENSE``.

::

    ESC-50-master/audio/1-100032-A-0.wav
    ESC-50-master/meta/esc50.csv          filename,fold,target,category,esc10,src_file,take

Folds 1 to 4 are for learning, fold 5 for testing. Clips of one recording (``src_file``) are in one fold.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator

from remodal.errors import RemodalError
from remodal.streams.datasets.base import Dataset, Part, Row, datasets
from remodal.streams.datasets.source import Source

ORIGIN = "https://github.com/karolpiczak/ESC-50"
LIST = "meta/esc50.csv"
COLUMNS = ("filename", "fold", "category", "esc10", "src_file")
TEST_FOLD = "5"


def list_rows(source: Source) -> Iterator[Row]:
    """A row of the official list is a clip."""
    lines = csv.DictReader(source.text(LIST).splitlines())
    if missing := [name for name in COLUMNS if name not in (lines.fieldnames or ())]:
        raise RemodalError(f"{source.folder / LIST}: missing column {', '.join(missing)}; valid: the file of {ORIGIN}")
    for clip in source.each(list(lines)):
        yield Row(
            f"audio/{clip['filename']}",
            clip["category"].replace("_", " "),
            "test" if clip["fold"] == TEST_FOLD else "train",
            clip["src_file"],
            "CC BY 3.0" if clip["esc10"] == "True" else "CC BY-NC 3.0",
        )


datasets.add("esc50")(
    Dataset(
        modality="audio",
        folders=("ESC-50-master", "ESC-50", "esc50", "ESC50", "esc-50"),
        parts=(Part((LIST,), ORIGIN), Part(("audio",), ORIGIN)),
        classes=50,
        list_rows=list_rows,
        published={"train": 1_600, "test": 400},
    )
)
