"""What a benchmark leaves behind: its figures as JSON, with the command and the versions that gave them."""

from __future__ import annotations

import platform
import shlex
import sys
from pathlib import Path
from typing import Any

from remodal.files import write_json
from remodal.learning.results import installed

RESULTS = Path(__file__).parent / "results"
PACKAGES = (
    "torch",
    "transformers",
    "numpy",
    "onnxruntime",
    "pillow",
    "soundfile",
    "av",
    "lmdb",
    "pyarrow",
    "tokenizers",
    "lancedb",
    "uvicorn",
)


def record(name: str, figures: dict[str, Any], file: Path | None = None) -> None:
    """Write ``results/<name>.json``, or ``file``."""
    command = shlex.join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *sys.argv[1:]])
    versions = {"python": platform.python_version(), **{package: installed(package) for package in PACKAGES}}
    content = {"command": command, **figures, "versions": versions}
    write_json(file or RESULTS / f"{name}.json", content)
