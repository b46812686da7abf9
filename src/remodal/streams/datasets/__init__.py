"""Public data sets, taken as they were downloaded: nothing is copied, a manifest says what each file is.

One file a data set: what it is, who made it and under which terms, where its files come from, how they lie, and which
split and classes count. :func:`prepare` looks for the files and writes the manifest.
"""

from remodal.streams.datasets import esc50, imagenet_100, nyuv2, sunrgbd, ucf101, vggsound
from remodal.streams.datasets.base import Dataset, Part, Row, datasets
from remodal.streams.datasets.combined import Combination, combinations
from remodal.streams.datasets.preparing import Prepared, prepare
from remodal.streams.datasets.report import Report
from remodal.streams.datasets.source import Source

__all__ = [
    "Combination",
    "Dataset",
    "Part",
    "Prepared",
    "Report",
    "Row",
    "Source",
    "combinations",
    "datasets",
    "esc50",
    "imagenet_100",
    "nyuv2",
    "prepare",
    "sunrgbd",
    "ucf101",
    "vggsound",
]
