"""What an index of up to ten million files costs: to fill, to make fast, to search, to update, on disk and in memory.

Nothing is read through a model: places in the text space are drawn. ``clustered`` ones lie about the centres of a
thousand classes, spread mostly along few directions, as embeddings of media do; ``uniform`` ones have no structure at
all, the hardest that there is, and like nobody's files. A search is compared with an exact one among the same rows.
Each step is measured in a process of its own, and what was measured is kept in ``--keep``, so that the same command
goes on.
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
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from recording import record

from remodal.modalities import MODALITIES
from remodal.search import Hit, Index, Stored, upkeep
from remodal.search.conditions import batched
from remodal.search.embedding import COMMIT_FILES

SIZES = (1_000, 10_000, 100_000)
WIDTH = 384
"""Of the text space of ``lite``."""
CLASSES = 1_000
FILLED = 16_384
"""Files that are put at once to fill an index: a model embeds so many in minutes, so that fewer are put then."""
SEARCHES = 50
EXACT = 20
"""Of them that are searched exactly too: among ten million rows, each takes seconds."""
CHANGED = 1_000
ONE = ["audio"]
"""Of five modalities that have the same number of files."""
Figures = dict[str, Any]


def clustered(seed: int, count: int) -> NDArray[np.float32]:
    """``[count, WIDTH]``: the same classes for all seeds."""
    world, draws = np.random.default_rng(0), np.random.default_rng(seed + 1)
    centres = world.standard_normal((CLASSES, 64), np.float32) @ world.standard_normal((64, WIDTH), np.float32)
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    directions = world.standard_normal((48, WIDTH), np.float32) / np.sqrt(np.arange(1, 49, dtype=np.float32))[:, None]
    directions /= np.linalg.norm(directions)
    within = 0.7 * draws.standard_normal((count, 48), np.float32) @ directions
    noise = 0.15 / WIDTH**0.5 * draws.standard_normal((count, WIDTH), np.float32)
    return _of_length_one(centres[draws.integers(CLASSES, size=count)] + within + noise)


def uniform(seed: int, count: int) -> NDArray[np.float32]:
    """``[count, WIDTH]``: any direction."""
    return _of_length_one(np.random.default_rng(seed + 1).standard_normal((count, WIDTH), np.float32))


def _of_length_one(places: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths: NDArray[np.float32] = np.linalg.norm(places, axis=1, keepdims=True)
    return (places / lengths).astype(np.float32)


PLACES = {"clustered": clustered, "uniform": uniform}


def files(kind: str, start: int, end: int) -> list[Stored]:
    """Files number ``start`` to ``end``; one of a hundred was embedded by an earlier model."""
    kinds = list(MODALITIES)
    return [
        Stored(
            f"/files/{at // 1_000}/{at}",
            "/files",
            f"{at}",
            kinds[at % len(kinds)],
            "label",
            0.5,
            "lineage" if at % 100 else "earlier",
            place,
        )
        for at, place in enumerate(PLACES[kind](start, end - start), start)
    ]


def fill(index: Index, kind: str, size: int) -> Figures:
    """Put all files, from where a process that was stopped came to."""
    begun = len(index)
    started = time.perf_counter()
    for start in range(begun, size, FILLED):
        index.put(files(kind, start, min(start + FILLED, size)))
        if start // FILLED % 32 == 31:
            print(f"    {len(index):,} files, {time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True)
    return {"fill s": seconds(started), "filled before": begun}


def make_fast(index: Index, kind: str, size: int) -> Figures:
    """What ``remodal index`` does last."""
    started = time.perf_counter()
    index.tidy()
    return {"tidy s": seconds(started)}


def search(index: Index, kind: str, size: int) -> Figures:
    """Milliseconds of a search, as it is and compared with all rows, and the share of the ten nearest that it finds."""
    wanted: list[list[float]] = PLACES[kind](size, SEARCHES).tolist()
    found: Figures = {}
    for name, some in {"": [], " in one modality": ONE}.items():
        hits, taken = searched(index, wanted, some)
        upkeep.EXACT_ROWS, as_it_is = size + 1, upkeep.EXACT_ROWS
        nearest, taken_exactly = searched(index, wanted[:EXACT], some)
        upkeep.EXACT_ROWS = as_it_is
        shared = [
            len({one.id for one in a} & {one.id for one in b}) / len(b)
            for a, b in zip(hits[:EXACT], nearest, strict=True)
        ]
        found |= {f"search{name} ms": taken, f"exact search{name} ms": taken_exactly, f"recall{name}": np.mean(shared)}
    return found


def searched(index: Index, wanted: list[list[float]], some: list[str]) -> tuple[list[list[Hit]], dict[str, float]]:
    """What is found, and what the median and the slowest of twenty searches take."""
    index.search(wanted[0], some)
    hits, taken = [], []
    for place in wanted:
        started = time.perf_counter()
        hits.append(index.search(place, some))
        taken.append(1_000 * (time.perf_counter() - started))
    return hits, {"p50": round(float(np.median(taken)), 1), "p95": round(float(np.quantile(taken, 0.95)), 1)}


def update(index: Index, kind: str, size: int) -> Figures:
    """A thousand files that are new, and a thousand that changed: what is asked and written, without the model."""
    taken = []
    for start in (size, 0):
        started = time.perf_counter()
        for some in batched(files(kind, start, start + min(CHANGED, size)), COMMIT_FILES):
            index.files(one.path for one in some)
            list(index.with_content(one.content for one in some))
            index.put(some)
        index.tidy()
        taken.append(seconds(started))
    index.remove(one.id for one in files(kind, size, size + CHANGED))
    return {"1,000 new files s": taken[0], "1,000 changed files s": taken[1]}


def refresh(index: Index, kind: str, size: int) -> Figures:
    """Write again what an earlier model embedded, one file of a hundred."""
    lineage, started = dict.fromkeys(MODALITIES, "lineage"), time.perf_counter()
    stale = sum(index.stale(lineage).values())
    counted = seconds(started)
    for some in batched(index.stale_files(lineage), COMMIT_FILES):
        index.put([replace(one, lineage="lineage") for one in index.stored(file.path for file in some)])
    index.tidy()
    return {"stale": stale, "count stale s": counted, "refresh 1 % s": seconds(started)}


def listed(index: Index, kind: str, size: int) -> Figures:
    """Read what is stored of each file, without its place."""
    started = time.perf_counter()
    count = sum(1 for _ in index.below(Path("/files")))
    on_disk = sum(file.stat().st_size for file in Path(index.uri).rglob("*") if file.is_file())
    return {"listed": count, "list s": seconds(started), "disk MB": round(on_disk / 1e6, 1)}


def seconds(started: float) -> float:
    """Since then."""
    return round(time.perf_counter() - started, 2)


STEPS: dict[str, Callable[[Index, str, int], Figures]] = {
    "fill": fill,
    "tidy": make_fast,
    "search": search,
    "list": listed,
    "update": update,
    "refresh": refresh,
}


def measured(folder: Path, kind: str, size: int, step: str) -> Figures:
    """The figures of one step, and the most memory that its process held."""
    index = Index.create(str(folder / f"{kind}-{size}"), "none", "none", WIDTH)
    found = STEPS[step](index, kind, size)
    return {**found, f"{step} peak MB": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3)}


def measure(folder: Path, kind: str, size: int) -> Figures:
    """All steps of one size, each in a process, or what a process found before."""
    kept = folder / f"{kind}-{size}.json"
    found = json.loads(kept.read_text()) if kept.exists() else {}
    for step in STEPS:
        if f"{step} peak MB" not in found:
            command = [sys.executable, __file__, "--keep", str(folder), "--kinds", kind, "--step", step, "--sizes"]
            done = subprocess.run([*command, str(size)], check=True, stdout=subprocess.PIPE)
            found |= json.loads(done.stdout)
            kept.write_text(json.dumps(found, indent=1))
            print(f"{size:12,} {kind:9} {step:8} {done.stdout.decode().strip()}", flush=True)
    return found


def main() -> int:
    """Print and record the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="numbers of files")
    parser.add_argument("--kinds", nargs="+", choices=PLACES, default=list(PLACES), help="how places are drawn")
    parser.add_argument("--keep", type=Path, help="a folder for the indices (4 KB a file) and the figures")
    parser.add_argument("--step", choices=STEPS, help="only this one, in this process, printed as JSON")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as passing:
        folder = asked.keep or Path(passing)
        folder.mkdir(parents=True, exist_ok=True)
        if asked.step:
            print(json.dumps(measured(folder, asked.kinds[0], asked.sizes[0], asked.step), default=float))
            return 0
        found = {f"{size:,} files, {kind}": measure(folder, kind, size) for size in asked.sizes for kind in asked.kinds}
    record("index_scale", found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
