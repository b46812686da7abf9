"""What versions of a saved model take on disk: a model of `everyday` is taught one more class, again and again.

The items of a class that it knows are taught under a new name, of each modality in turn.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from recording import record

import remodal
from remodal.modalities import MODALITIES
from remodal.streams import export
from remodal.updating import update

STREAM = "everyday"
SIBLINGS = ("nearest-mean", "fecam", "slca", "comm", "joint", "ridge")
"""Methods of which one update is measured."""


def megabytes(folder: Path) -> float:
    """Of all files in ``folder``."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6


def lessons(files: Path, folder: Path, count: int) -> list[tuple[str, Path]]:
    """Modality and folder of each of ``count`` classes to teach; ``files``: the stream's training items."""
    made = []
    for number in range(count):
        modality = list(MODALITIES)[number % len(MODALITIES)]
        taught = sorted((files / modality).iterdir())[number // len(MODALITIES)]
        lesson = folder / str(number)
        shutil.copytree(taught, lesson / modality / f"{taught.name} again")
        made.append((modality, lesson))
    return made


def measured(method: str, files: Path, updates: int) -> dict[str, Any]:
    """The model's size, and what each update adds to its folder, in MB."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "model"
        model = remodal.Model(method)
        for task in remodal.stream(STREAM).tasks:
            model.learn(task)
        model.save(folder)
        sizes = [megabytes(folder)]
        added = []
        for modality, lesson in lessons(files, Path(temporary) / "lessons", updates):
            update(folder, lesson)
            sizes.append(megabytes(folder))
            added.append(f"{modality} {sizes[-1] - sizes[-2]:.1f}")
    return {"model": round(sizes[0], 1), "added by updates": added, "after them": round(sizes[-1], 1)}


def main() -> int:
    """Print and record the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--updates", type=int, default=10, help="of remodal; of other methods one")
    updates = parser.parse_args().updates
    torch.set_num_threads(1)
    found = {}
    with tempfile.TemporaryDirectory() as temporary:
        files = Path(temporary) / STREAM
        export(STREAM, files, split="train")
        for method in ("remodal", *SIBLINGS):
            found[method] = measured(method, files, updates if method == "remodal" else 1)
            print(method, found[method], flush=True)
            record("model_disk", {"MB": found})
    return 0


if __name__ == "__main__":
    sys.exit(main())
