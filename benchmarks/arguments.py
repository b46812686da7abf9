"""The command line of benchmarks that learn a stream a few times."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import NamedTuple

from remodal.backbones import Engine


class Asked(argparse.Namespace):
    """stream: names or folders. seeds: one repetition each. backbone, device, dtype: as ``remodal run`` takes them.

    jobs: processes side by side. keep: folder of what was found, from which the same command goes on.
    """

    stream: list[str]
    seeds: list[int]
    backbone: str = "lite"
    device: str = "cpu"
    dtype: str = "float32"
    jobs: int = 1
    keep: Path | None = None

    @property
    def engine(self) -> Engine:
        """Where the frozen model computes."""
        return Engine.of(self.device, self.dtype)


class Piece(NamedTuple):
    """What one process measures."""

    given: Asked
    stream: str
    seed: int
    modality: str

    @property
    def name(self) -> str:
        """Of the file that keeps what was found."""
        given = f"{Path(self.given.backbone).name}-{self.given.dtype}-{Path(self.stream).name}"
        return f"{given}-{self.seed}-{self.modality}"


def asked(description: str | None, *, any_backbone: bool = False) -> Asked:
    """``--stream`` and ``--seeds``; ``description`` is what ``--help`` says first.

    any_backbone: ``--backbone``, ``--device``, ``--dtype``, ``--jobs`` and ``--keep`` too.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stream", nargs="+", default=["everyday"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    if any_backbone:
        parser.add_argument("--backbone", default=Asked.backbone)
        parser.add_argument("--device", default=Asked.device)
        parser.add_argument("--dtype", default=Asked.dtype)
        parser.add_argument("--jobs", type=int, default=Asked.jobs)
        parser.add_argument("--keep", type=Path, help="a folder: what is found stays there, and isn't measured again")
    return parser.parse_args(namespace=Asked())
