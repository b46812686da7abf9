"""What only a machine with a GPU can tell, in a few minutes, into one JSON file: see README.md beside this file.

=========  ==========================================================================================================
part       what must hold
=========  ==========================================================================================================
features   what a CPU finds in float32, within ``TOLERANCES``, for pictures, clips and sentences, with prompts or not
methods    every method learns the toy stream as on a CPU: the scores are no farther apart than other rounding explains
engine     ``benchmarks/engine.py``: at least .8 of bare loops
resumed    a run that is killed while it trains prompts goes on to the same bits
=========  ==========================================================================================================

The file is written after each piece of a part, so that what is done is kept whatever happens then. Exit status 1 where
a part doesn't hold, breaks off, or takes longer than it may: then its error stands in the file.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "benchmarks")]

import engine as engine_benchmark  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402
import torch  # noqa: E402
from rich.console import Console  # noqa: E402
from torch import Tensor  # noqa: E402

from remodal import streams  # noqa: E402
from remodal.backbones import Backbone, Engine, Tokens, load_backbone  # noqa: E402
from remodal.cache import cache_folder  # noqa: E402
from remodal.cli.machine import default_threads  # noqa: E402
from remodal.features.extract import stem  # noqa: E402
from remodal.files import write_json  # noqa: E402
from remodal.learning.evaluate import best  # noqa: E402
from remodal.learning.results import versions  # noqa: E402
from remodal.methods import methods  # noqa: E402
from remodal.modalities import get_modality  # noqa: E402
from remodal.streams.base import Item  # noqa: E402
from remodal.streams.exporting import export  # noqa: E402
from remodal.streams.subsets import samples  # noqa: E402
from remodal.testing import Candidate, ToyBackbone, toy_stream  # noqa: E402
from remodal.testing.candidate import apart, held_out_scores, learn  # noqa: E402
from remodal.testing.rounding import OtherRounding  # noqa: E402

TOLERANCES = {"float32": 1e-3, "bfloat16": 0.05}
"""Largest distance of an item's features from those of float32 on a CPU, over their length."""
ROUNDINGS, TIMES = 3, 3.0
"""How often scores are learned again with other rounding, and how many times as far apart those of a device may be."""
SAME = 1e-3
"""Nearer than this scores are the same; of those above 1, relative to their size.

Another order of sums, which is what the roundings stand for, isn't all that differs on another device: an H100 moved
the scores of three methods by 2.4e-4 where roundings move them by 6e-5.
"""
ITEMS = {"image": 32, "video": 8, "text": 16}
TASKS = ("image", "audio")
"""Modalities that are learned in the run that is resumed, one task each."""
EACH = {"train": 6, "test": 2}
"""Items of a class there."""
RUN = ("--backbone", "vit", "--method", "comm", "--order", "sequential", "stream.classes_per_task=30")
STEPS = ("steps=200", "realign_steps=20")
"""Of prompts so many that they take longer than the second after which a journal is written."""

Found = dict[str, Any]
Part = Callable[[str], Iterator[Found]]
"""Finds out about a device; each piece says by ``ok`` whether it holds."""


def features(device: str) -> Iterator[Found]:
    """Frozen features, and features under random prompts, on the device and on a CPU."""
    expected = _features(Engine())
    for dtype, tolerance in TOLERANCES.items():
        own = _features(Engine.of(device, dtype))
        distances = {name: _distance(own[name], one) for name, one in expected.items()}
        within = max(distances.values()) <= tolerance
        yield {"dtype": dtype, "tolerance": tolerance, "distances": distances, "ok": within}


def _features(used: Engine) -> dict[str, Tensor]:
    backbone, found = load_backbone("vit", cache_folder(), used), {}
    for modality, tokens in _tokens(backbone).items():
        tower = backbone.tower(modality)
        draws = torch.Generator().manual_seed(0)
        prompts = used.home_of(torch.randn(tower.layers, 2, 8, tower.width, generator=draws) / 2)
        with torch.inference_mode(), used.home:
            found[modality] = tower.features(tokens).cpu()
            found[f"{modality}, prompted"] = tower.features(tokens, prompts).cpu()
    return found


def _tokens(backbone: Backbone) -> dict[str, Tokens]:
    """Of a few items of ``everyday``."""
    found = {}
    for modality, count in ITEMS.items():
        tower = backbone.tower(modality)
        items = [item for task in streams.stream("everyday") for item in task.test if item.modality == modality][:count]
        media = [get_modality(modality).decode(item.read(), where=item.id, unit=item.unit) for item in items]
        prepared = [(modality, tower.encoder.prepare(modality, medium)) for medium in media]
        found[modality] = stem(prepared, tower.encoder)
    return found


def _distance(one: Tensor, other: Tensor) -> float:
    return float(((one - other).norm(dim=1) / other.norm(dim=1)).max())


def every_method(device: str) -> Iterator[Found]:
    """Scores of the toy stream, learned on the device and on a CPU.

    Adam makes a full step of a gradient that is zero but for rounding, so how far a method's scores may be apart is
    measured: by learning it again on the CPU with other rounding.
    """
    torch.set_num_threads(1)  # more would wait for each other, so small are the tensors
    for name in methods.names():
        expected = _scores(name, Engine())
        rounded = []
        for seed in range(ROUNDINGS):
            with OtherRounding(seed):
                rounded.append(_scores(name, Engine()))
        try:
            own = _scores(name, Engine.of(device))
        except RuntimeError:  # an operation that the device doesn't have; the other methods may do without
            yield {"method": name, "error": traceback.format_exc(), "ok": False}
            continue
        far, *spread = (apart(one, expected, relative=True) for one in (own, *rounded))
        changed, *others = (_changed(one, expected) for one in (own, *rounded))
        ok = far <= max(SAME, TIMES * max(spread)) and (not changed or max(others) > 0)
        by_rounding = {"apart_by_rounding": spread, "answers_changed_by_rounding": others}
        yield {"method": name, "apart": far, "answers_changed": changed, **by_rounding, "ok": ok}


def _scores(name: str, used: Engine) -> Tensor:
    stream = toy_stream(items=8, alignment=1.0)
    method = Candidate.of(methods.get(name)).new(ToyBackbone(used))
    tasks = (replace(one, train=replace(one.train, labels=used.home_of(one.train.labels))) for one in stream.tasks)
    with used.repeatable():
        learn(method, tasks)
        return held_out_scores(method, stream)


def _changed(scores: Tensor, expected: Tensor) -> int:
    """Answers that differ."""
    return sum(one != other for one, other in zip(best(scores), best(expected), strict=True))


def engine(device: str) -> Iterator[Found]:
    """``vit`` in both precisions."""
    for dtype in TOLERANCES:
        found = engine_benchmark.measure(engine_benchmark.vit, Engine.of(device, dtype))
        least = min(found[part]["ratio"] for part in ("stem", "training"))
        yield {**found, "floor": engine_benchmark.FLOOR, "ok": least >= engine_benchmark.FLOOR}


def resumed(device: str) -> Iterator[Found]:
    """Two runs, one of them killed as soon as it has written a part of a task's training, and taken up again."""
    with TemporaryDirectory() as folder:
        few, whole, killed = (Path(folder) / name for name in ("few", "whole", "killed"))
        _write_few(few)
        started = time.perf_counter()
        with _running(device, few, whole) as process:
            process.wait()
        seconds = time.perf_counter() - started
        results, predictions = _answers(whole)
        yield {"summary": results["summary"], "cost": results["cost"], "seconds": seconds, "ok": True}
        journal = killed / "checkpoint" / "journal.safetensors"
        with _running(device, few, killed) as process:
            while process.poll() is None and not journal.exists():
                time.sleep(0.02)
        in_training = journal.exists()
        with _running(device, few, killed, "--resume") as process:
            process.wait()
        again, predicted_again = _answers(killed)
        same = predictions.equals(predicted_again) and results["accuracy"] == again["accuracy"]
        yield {"same_bits": same, "killed_while_training": in_training, "ok": same and in_training}


def _write_few(folder: Path) -> None:
    """A folder of a few items of ``everyday``."""
    found = list[Item]()
    for task in streams.stream("everyday"):
        if task.train[0].modality in TASKS:
            found += [*samples(task.train, EACH["train"]), *samples(task.test, EACH["test"])]
    export(found, folder)


@contextmanager
def _running(device: str, data: Path, out: Path, *more: str) -> Iterator[subprocess.Popen[bytes]]:
    """A run, killed if it isn't done when the block ends."""
    where = ["--stream", str(data), "--device", device, "--dtype", "bfloat16"]
    command = [sys.executable, "-m", "remodal", "run", *RUN, *STEPS, *where]
    paths = os.pathsep.join([str(ROOT / "src"), *filter(None, [os.environ.get("PYTHONPATH")])])
    with subprocess.Popen([*command, "--out", str(out), *more], env={**os.environ, "PYTHONPATH": paths}) as process:
        try:
            yield process
        finally:
            process.kill()


def _answers(out: Path) -> tuple[Found, pq.Table]:
    """Results and predictions of a run that is done."""
    return json.loads((out / "results.json").read_text()), pq.read_table(out / "predictions.parquet")


PARTS: dict[str, Part] = {"features": features, "methods": every_method, "engine": engine, "resumed": resumed}


def tried(part: Part, device: str, seconds: int, tell: Callable[[Found], None]) -> Found:
    """Tell what a part found after each of its pieces, and at last; an error, or too many seconds, end it."""
    started, pieces, error = time.perf_counter(), list[Found](), Found()

    def found(done: bool) -> Found:
        ok = done and not error and all(piece["ok"] for piece in pieces)
        return {"ok": ok, **error, "seconds": time.perf_counter() - started, "found": pieces}

    signal.signal(signal.SIGALRM, _too_long)
    signal.alarm(seconds)
    try:
        for piece in part(device):
            pieces.append(piece)
            tell(found(done=False))
    except Exception:  # the others can do without this one, and whoever reads the file may not be there
        error["error"] = traceback.format_exc()
    finally:
        signal.alarm(0)
    tell(found(done=True))
    return found(done=True)


def _too_long(*_: object) -> None:
    raise TimeoutError("this part has taken as long as it may")


def main() -> int:
    """Print a line a part; 1 where one doesn't hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--parts", nargs="+", default=list(PARTS), choices=list(PARTS))
    parser.add_argument("--seconds", type=int, default=90, help="that a part may take")
    parser.add_argument("--out", type=Path, default=Path("gpu-check.json"))
    arguments = parser.parse_args()
    torch.set_num_threads(default_threads())
    report: Found = {**Engine.of(arguments.device).words, "versions": versions(), "parts": {}}
    del report["dtype"]

    for name in arguments.parts:

        def tell(found: Found, name: str = name) -> None:
            report["parts"][name] = found
            write_json(arguments.out, report)

        torch.set_num_threads(default_threads())
        found = tried(PARTS[name], arguments.device, arguments.seconds, tell)
        print(f"{name}: {'holds' if found['ok'] else 'does not hold'}, {found['seconds']:.0f} s", flush=True)
        for error in filter(None, (one.get("error") for one in (found, *found["found"]))):
            print(error, flush=True)
    if measured := report["parts"].get("engine", {}).get("found"):
        Console(width=140).print(engine_benchmark.table(measured))
    return int(not all(found["ok"] for found in report["parts"].values()))


if __name__ == "__main__":
    sys.exit(main())
