"""What an index of many files costs: to fill, to search, to list, and in memory; with random places in the text space.

Each size is measured in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from recording import record

from remodal.modalities import MODALITIES
from remodal.search import Index
from remodal.search.rows import Stored
from remodal.search.keeping import COMMIT_FILES

SIZES = (1_000, 10_000, 100_000)
WIDTH = 384
"""Of the text space of ``lite``."""
SEARCHES = 20


def seconds(work: Callable[[], object]) -> float:
    """What it takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def measured(size: int, folder: str) -> dict[str, Any]:
    """The figures of one size."""
    draws, kinds = np.random.default_rng(0), list(MODALITIES)
    places = draws.standard_normal((size, WIDTH), np.float32)
    places /= np.linalg.norm(places, axis=1, keepdims=True)
    index = Index.create(folder, "none", "none", WIDTH)

    def fill() -> None:
        for start in range(0, size, COMMIT_FILES):
            rows = range(start, min(start + COMMIT_FILES, size))
            index.put(
                [Stored(f"/{at}", "/", f"{at}", kinds[at % 5], "label", 0.5, "lineage", places[at]) for at in rows]
            )
        index.tidy()

    filled = seconds(fill)
    wanted = places[: SEARCHES + 1].tolist()
    searched = [seconds(lambda place=place: index.search(place)) for place in wanted][1:]  # type: ignore[misc]
    inside = [seconds(lambda place=place: index.search(place, ["audio"])) for place in wanted][1:]  # type: ignore[misc]
    return {
        "fill s": round(filled, 2),
        "search ms": round(1000 * median(searched), 1),
        "search one modality ms": round(1000 * median(inside), 1),
        "stale ms": round(1000 * seconds(lambda: index.stale(dict.fromkeys(kinds, "other"))), 1),
        "list s": round(seconds(index.stored), 2),
        "disk MB": round(sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file()) / 1e6, 1),
        "peak memory MB": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3),
    }


def main() -> int:
    """Print and record the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, help="only this one, printed as JSON")
    size = parser.parse_args().size
    if size is not None:
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(measured(size, folder)))
        return 0
    found = {}
    for each in SIZES:
        told = subprocess.run([sys.executable, __file__, "--size", str(each)], check=True, capture_output=True)
        found[f"{each:,} files"] = json.loads(told.stdout)
        print(f"{each:9,} {json.dumps(found[f'{each:,} files'])}")
    record("index_scale", found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
