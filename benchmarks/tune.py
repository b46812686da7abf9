"""Which settings each method should have: a walk around its defaults, on held-out training items.

The walks stand in ``walks.yaml``: the defaults, then one setting after the other at another value, the others staying.
Each step is run in the random order of seed 100 and measured on a quarter of the training items
(``stream.validation``): no test item and no seed of the tables has a part in it. ``results/tuning.csv`` has all steps,
and keeps those of methods that aren't asked for: ``gain`` is agnostic last accuracy less that of the defaults,
``gain_error`` the standard error of that difference over the items. ``tuned.py`` chooses by them.
Features are ``published`` ones, as the papers have them, on which a step of prompts takes a fifth of the time.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean, variance
from typing import Any

import pyarrow.parquet as pq
from omegaconf import OmegaConf
from tuned import TABLE

from remodal.cache import cache_folder
from remodal.cli.console import progress_console
from remodal.cli.progress import shown_on
from remodal.comparison.processes import Processes
from remodal.comparison.work import run_side_by_side
from remodal.files import write_csv
from remodal.learning.run import RESULTS
from remodal.learning.settings import Features, RunSettings
from remodal.streams import StreamSettings

HERE = Path(__file__).parent
SEED = 100
FEATURES: Features = "published"
DEFAULTS = "defaults"
PREDICTIONS = "predictions.parquet"


def walk(values: dict[str, list[Any]]) -> Iterator[dict[str, Any]]:
    """The defaults, then each value of each setting alone.

    >>> list(walk({"rank": [1, 2], "width": [3]}))
    [{}, {'rank': 1}, {'rank': 2}, {'width': 3}]
    """
    yield {}
    for name, others in values.items():
        yield from ({name: value} for value in others)


def main() -> None:
    """Run what isn't in the folder yet, then say what is best."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stream", default="everyday")
    parser.add_argument("--methods", nargs="*", help="some of the walks; all if none is named")
    parser.add_argument("--out", type=Path, default=Path("runs/tuning"))
    parser.add_argument("--jobs", type=int, default=2, help="runs side by side, one thread each")
    asked = parser.parse_args()
    walks: dict[str, dict[str, list[Any]]] = OmegaConf.to_container(OmegaConf.load(HERE / "walks.yaml"))  # type: ignore[assignment]
    runs: dict[Path, RunSettings] = {}
    for method in asked.methods or walks:
        for options in walk(walks[method]):
            chosen = ",".join(f"{name}={value}" for name, value in options.items()) or DEFAULTS
            runs[run_folder(asked.out, method, chosen)] = RunSettings(
                stream=asked.stream, method=method, features=FEATURES, order="random", seed=SEED,
                options=options, stream_options=StreamSettings(validation=True),
            )  # fmt: skip
    with shown_on(progress_console()) as progress:
        failed, _ = run_side_by_side(runs, cache_folder(), Processes(asked.jobs, cache_folder()), progress)
    rows = [row(settings, folder) for folder, settings in runs.items() if (folder / RESULTS).exists()]
    report(rows)
    together = sorted([*recorded(set(asked.methods or walks)), *rows], key=lambda one: one["method"])
    write_csv(TABLE, list(together[0]), [list(one.values()) for one in together])
    raise SystemExit(1 if failed else 0)


def recorded(but: set[str]) -> list[dict[str, Any]]:
    """The lines of the table that are of other methods than these."""
    if not TABLE.exists():
        return []
    with TABLE.open(newline="", encoding="utf-8") as file:
        return [line for line in csv.DictReader(file) if line["method"] not in but]


def run_folder(out: Path, method: str, chosen: str) -> Path:
    """Where a step's run lies."""
    return out / f"{method}-{chosen}"


def row(settings: RunSettings, folder: Path) -> dict[str, Any]:
    """One run's line of the table, beside the run of the defaults."""
    found = json.loads((folder / RESULTS).read_text())
    gain, error = difference(folder, run_folder(folder.parent, settings.method, DEFAULTS))
    return {
        "method": settings.method,
        "settings": json.dumps(settings.options),
        **{f"{kind}_last": found["summary"][kind]["last"] for kind in ("aware", "agnostic")},
        "gain": round(gain, 5),
        "gain_error": round(error, 5),
        "seconds": round(found["cost"]["seconds"]["learn"], 2),
    }


def difference(folder: Path, reference: Path) -> tuple[float, float]:
    """How much more of the items a run answers rightly than another one, the modality not given: the mean over the
    tasks, as in the table, and its standard error over the items of each task.
    """
    right, before = (answered_rightly(one / PREDICTIONS) for one in (folder, reference))
    by_task: dict[int, list[int]] = defaultdict(list)
    for (task, item), is_right in right.items():
        by_task[task].append(is_right - before[task, item])
    squares = sum(variance(own) / len(own) for own in by_task.values() if len(own) > 1)
    return fmean(fmean(own) for own in by_task.values()), math.sqrt(squares) / len(by_task)


def answered_rightly(predictions: Path) -> dict[tuple[int, str], bool]:
    """Whether each held-out item got its class, by task and item."""
    named = pq.read_table(predictions, columns=["task", "item", "modality", "label", "agnostic_modality", "agnostic"])
    return {
        (one["task"], one["item"]): (one["agnostic_modality"], one["agnostic"]) == (one["modality"], one["label"])
        for one in named.to_pylist()
    }


def report(rows: list[dict[str, Any]]) -> None:
    """The steps of each method's walk, best first."""
    for method in dict.fromkeys(row["method"] for row in rows):
        own = [one for one in rows if one["method"] == method]
        for one in sorted(own, key=lambda one: -one["agnostic_last"]):
            print(f"{method:13} {one['agnostic_last']:.4f}  {one['settings']}")


if __name__ == "__main__":
    main()
