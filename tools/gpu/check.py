"""What only a machine with a GPU can tell, in about three minutes, into one JSON file: see README.md beside this file.

=========  ==========================================================================================================
part       what must hold
=========  ==========================================================================================================
features   what a CPU finds in float32, within ``TOLERANCES``, for pictures, clips and sentences, with prompts or not
methods    every method learns the toy stream as on a CPU: scores within ``SCORES`` of them, and the same answers
engine     ``benchmarks/engine.py``: at least .8 of bare loops
resumed    a run that is killed while it trains prompts goes on to the same bits
=========  ==========================================================================================================

The file is written after each part, so that what is done is kept whatever happens then. Exit status 1 where a part
doesn't hold, or breaks off: then its error stands in the file.
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
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "benchmarks")]

import engine as engine_benchmark  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402
import torch  # noqa: E402
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
from remodal.testing import Candidate, ToyBackbone, toy_stream  # noqa: E402
from remodal.testing.candidate import apart, held_out_scores, learn  # noqa: E402

TOLERANCES = {"float32": 1e-3, "bfloat16": 0.05}
"""Largest distance of an item's features from those of float32 on a CPU, over their length."""
SCORES = 0.03
"""Of scores above 1, relative to their size. (On a CPU a change of 1e-6 in the features moves some by .01.)"""
ITEMS = {"image": 32, "video": 8, "text": 16}
RUN = ("--stream", "everyday", "--backbone", "vit", "--method", "comm", "--order", "sequential", "steps=150")
FEW = ("stream.classes_per_task=30", "stream.train_items=20")
"""Five tasks, one a modality, of few items."""

Part = Callable[[str], dict[str, Any]]


def features(device: str) -> dict[str, Any]:
    """Frozen features, and features under random prompts, on the device and on a CPU."""
    expected = _features(Engine())
    found: dict[str, Any] = {"ok": True}
    for dtype, tolerance in TOLERANCES.items():
        own = _features(Engine.of(device, dtype))
        distances = {name: _distance(own[name], one) for name, one in expected.items()}
        found[dtype] = {"tolerance": tolerance, "distances": distances}
        found["ok"] &= max(distances.values()) <= tolerance
    return found


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
        found[modality] = Tokens.stack(tower.name, stem(prepared, tower.encoder))
    return found


def _distance(one: Tensor, other: Tensor) -> float:
    return float(((one - other).norm(dim=1) / other.norm(dim=1)).max())


def every_method(device: str) -> dict[str, Any]:
    """Scores of the toy stream, learned on the device and on a CPU."""
    found: dict[str, Any] = {"ok": True, "tolerance": SCORES, "methods": {}}
    for name in methods.names():
        here, there = (_scores(name, used) for used in (Engine(), Engine.of(device)))
        changed = sum(one != other for one, other in zip(best(here), best(there), strict=True))
        found["methods"][name] = {"apart": apart(there, here, relative=True), "answers_changed": changed}
        found["ok"] &= found["methods"][name]["apart"] <= SCORES and not changed
    return found


def _scores(name: str, used: Engine) -> Tensor:
    stream = toy_stream(items=8, alignment=1.0)
    method = Candidate.of(methods.get(name)).new(ToyBackbone(used))
    tasks = (replace(one, train=replace(one.train, labels=used.home_of(one.train.labels))) for one in stream.tasks)
    with used.repeatable():
        learn(method, tasks)
        return held_out_scores(method, stream)


def engine(device: str) -> dict[str, Any]:
    """``vit`` in both precisions."""
    found = [engine_benchmark.measure(engine_benchmark.vit, Engine.of(device, dtype)) for dtype in TOLERANCES]
    least = min(one[part]["ratio"] for one in found for part in ("stem", "training"))
    return {"ok": least >= engine_benchmark.FLOOR, "floor": engine_benchmark.FLOOR, "measured": found}


def resumed(device: str) -> dict[str, Any]:
    """Two runs, one of them killed as soon as it has written a part of a task's training, and taken up again."""
    with TemporaryDirectory() as folder:
        whole, killed = Path(folder) / "whole", Path(folder) / "killed"
        started = time.perf_counter()
        _run(device, whole).wait()
        seconds = time.perf_counter() - started
        process, journal = _run(device, killed), killed / "checkpoint" / "journal.safetensors"
        while process.poll() is None and not journal.exists():
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait()
        in_training = journal.exists()
        _run(device, killed, "--resume").wait()
        results = [json.loads((one / "results.json").read_text()) for one in (whole, killed)]
        scores = [pq.read_table(one / "predictions.parquet") for one in (whole, killed)]
        same = scores[0].equals(scores[1]) and results[0]["accuracy"] == results[1]["accuracy"]
        shown = {"summary": results[0]["summary"], "cost": results[0]["cost"], "seconds": seconds}
        return {"ok": same and in_training, "same_bits": same, "killed_while_training": in_training, **shown}


def _run(device: str, out: Path, *more: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "remodal", "run", *RUN, *FEW, "--device", device, "--dtype", "bfloat16"]
    paths = os.pathsep.join([str(ROOT / "src"), *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.Popen([*command, "--out", str(out), *more], env={**os.environ, "PYTHONPATH": paths})


PARTS: dict[str, Part] = {"features": features, "methods": every_method, "engine": engine, "resumed": resumed}


def tried(part: Part, device: str) -> dict[str, Any]:
    """What a part finds, or its error, and its seconds."""
    started = time.perf_counter()
    try:
        found = part(device)
    except Exception:  # the others can do without this one, and whoever reads the file may not be there
        found = {"ok": False, "error": traceback.format_exc()}
    return {**found, "part_seconds": time.perf_counter() - started}


def main() -> int:
    """Print a line a part; 1 where one doesn't hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--parts", nargs="+", default=list(PARTS), choices=list(PARTS))
    parser.add_argument("--out", type=Path, default=Path("gpu-check.json"))
    arguments = parser.parse_args()
    torch.set_num_threads(default_threads())
    report: dict[str, Any] = {**Engine.of(arguments.device).words, "versions": versions(), "parts": {}}
    del report["dtype"]
    for name in arguments.parts:
        report["parts"][name] = tried(PARTS[name], arguments.device)
        write_json(arguments.out, report)
        found = report["parts"][name]
        print(f"{name}: {'holds' if found['ok'] else 'does not hold'}, {found['part_seconds']:.0f} s", flush=True)
        if "error" in found:
            print(found["error"], flush=True)
    if "engine" in report["parts"] and "measured" in report["parts"]["engine"]:
        from rich.console import Console

        Console(width=140).print(engine_benchmark.table(report["parts"]["engine"]["measured"]))
    return int(not all(found["ok"] for found in report["parts"].values()))


if __name__ == "__main__":
    sys.exit(main())
