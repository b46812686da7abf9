"""``remodal`` beside Avalanche, scikit-learn and river: accuracy against time, in one run on one machine.

All learn the same items of ``everyday`` from the same frozen network, in the same class orders, without task identity,
with the same number of threads, one process after the other. A peer chooses its settings on held-out training items of
the first order, from four trials; ``remodal`` has its defaults. What a peer's choice takes is not counted. Three things
are learned: the drawings (one modality, as peers know it), all five modalities at once, and the drawings on a
transformer, for prompts.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

from peers.contestants import DRAWINGS, MODALITIES, TRANSFORMER, Contestant
from peers.course import Request
from peers.environment import python_of
from peers.exporting import Chosen, export
from peers.figure import draw
from peers.processes import Processes
from recording import record
from rich.console import Console
from rich.table import Table

from remodal.comparison.statistics import t_interval
from remodal.training.threads import bound_spinning

ENVIRONMENT = Path(__file__).parent / "peers" / ".venv"


class Asked(argparse.Namespace):
    """stream: name or folder. orders: seeds of the class orders. threads: of each process. work: where it is found."""

    stream: str
    orders: list[int]
    threads: int
    work: Path | None
    out: Path


class Group(NamedTuple):
    """Contestants that learn the same. modality: None for all five."""

    contestants: Sequence[Contestant]
    modality: str | None = "image"
    backbone: str = "lite"


GROUPS = {
    "drawings": Group(DRAWINGS),
    "five modalities": Group(MODALITIES, None),
    "drawings, a transformer": Group(TRANSFORMER, backbone="vit"),
}


class Measuring:
    """Courses and processes of one run."""

    def __init__(self, given: Asked, work: Path) -> None:
        self._given, self._work = given, work
        self._processes = Processes(python_of(ENVIRONMENT), work, given.threads)
        self._cache = work / "cache"

    def every(self, group: Group) -> Iterator[dict[str, Any]]:
        """One row a contestant, kind of features, and way to come by them."""
        first, *others = self._given.orders[: max(who.orders for who in group.contestants)]
        same: dict[str, Any] = {"modality": group.modality, "backbone": group.backbone, "stream": self._given.stream}
        choosing = self._export(Chosen(first, validation=True, **same))
        pictures = any(who.loop for who in group.contestants)
        courses = [self._export(Chosen(seed, pictures=pictures, **same)) for seed in (first, *others)]
        for who in group.contestants:
            for loop, kinds in ((False, who.features), (True, who.loop)):
                for kind in kinds:
                    settings = self._chosen(who, who.chosen_on or kind, choosing)
                    yield self._row(who, kind, settings, courses[: 1 if loop else who.orders], loop)

    def _export(self, chosen: Chosen) -> Path:
        folder = self._work / chosen.name
        return folder if (folder / "course.json").exists() else export(chosen, self._work, self._cache)

    def _chosen(self, who: Contestant, kind: str, course: Path) -> dict[str, Any]:
        """The settings that are best on held-out training items."""
        trials = [dict(one) for one in who.trials]
        if len(trials) < 2:
            return trials[0] if trials else {}
        request = Request(str(course), who.who, kind, trials, True, False, 0, self._given.threads)
        found = [fmean(run["accuracy"][-1]) for run in self._processes.runs(who, request)]
        return trials[found.index(max(found))]

    def _row(
        self, who: Contestant, kind: str, settings: dict[str, Any], courses: list[Path], loop: bool
    ) -> dict[str, Any]:
        runs = []
        for seed, course in zip(self._given.orders, courses):
            given = dict(settings)
            if who.library == "remodal":
                given["cache"] = str(self._cold() if loop else self._cache)
            request = Request(str(course), who.who, kind, [given], False, loop, seed, self._given.threads)
            runs += self._processes.runs(who, request)
        last = t_interval([fmean(run["accuracy"][-1]) for run in runs])
        seconds = {
            what: round(fmean(run[what] for run in runs), 3) for what in ("start", "learn", "answer", "processor")
        }
        return {
            "library": who.library, "who": who.who, "features": kind, "loop": loop, "keeps_items": who.keeps,
            "settings": settings, "orders": len(runs), "accuracy": round(last.mean, 4),
            "half": None if last.half is None else round(last.half, 4), "seconds": seconds,
            "accuracies": [run["accuracy"] for run in runs],
        }  # fmt: skip

    def _cold(self) -> Path:
        """A cache without frozen features; the exported graphs are there, as after the first use."""
        cold = self._work / "cold"
        shutil.rmtree(cold, ignore_errors=True)
        shutil.copytree(self._cache, cold, ignore=shutil.ignore_patterns("features"))
        return cold


def show(console: Console, title: str, rows: list[dict[str, Any]]) -> None:
    """Print a table, the best first."""
    table = Table(
        "library", "method", "features", "accuracy", "±", "orders", "learn, s", "answer, s", "start, s", title=title
    )
    for row in sorted(rows, key=lambda row: -row["accuracy"]):
        seconds = [f"{row['seconds'][what]:.2f}" for what in ("learn", "answer", "start")]
        features = f"{row['features']}, {'network in the loop' if row['loop'] else 'stored'}"
        half = "" if row["half"] is None else f"{100 * row['half']:.1f}"
        table.add_row(
            row["library"], row["who"], features, f"{100 * row['accuracy']:.1f}", half, str(row["orders"]), *seconds
        )
    console.print(table)


def main() -> None:
    """Print the tables, record them, and draw the first one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stream", default="everyday", help="name or folder, with images and other modalities")
    parser.add_argument("--orders", type=int, nargs="+", default=[0, 1, 2], help="seeds of the class orders")
    parser.add_argument("--threads", type=int, default=2, help="of each process")
    parser.add_argument("--work", type=Path, help="a folder: what is found stays there, and isn't measured again")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "peers.json")
    given = parser.parse_args(namespace=Asked())
    bound_spinning()
    console = Console(width=140)
    with tempfile.TemporaryDirectory() as temporary:
        measuring = Measuring(given, (given.work or Path(temporary)).resolve())
        found: dict[str, list[dict[str, Any]]] = {}
        for name, group in GROUPS.items():
            found[name] = []
            for row in measuring.every(group):
                found[name].append(row)
                spent = row["seconds"]["learn"] + row["seconds"]["answer"]
                where = "in the loop" if row["loop"] else "stored"
                told = f"{name}: {row['library']}, {row['who']}, {row['features']}, {where}"
                console.print(f"{told}: {100 * row['accuracy']:.1f} % in {spent:.1f} s", highlight=False)
    for name, rows in found.items():
        show(console, name, rows)
    record("peers", {"stream": given.stream, "threads": given.threads, **found}, given.out)
    draw(found["drawings"], given.out.with_suffix(".png"))


if __name__ == "__main__":
    main()
