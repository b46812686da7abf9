"""How fast the stem pass is: items a second from encoded file to stored tokens, beside the bare network.

The bare loop runs ONNX Runtime with the same number of threads on the same batches, decoded beforehand, and throws the
tokens away. It comes in two forms: the threads share each batch (ONNX Runtime's default), or each thread takes whole
batches (as the pass does); the faster one counts. Bare loops and pass take turns, and each ratio is of neighbours in
time, so that what else the machine does falls on all. Exit status 1 where one pass over all modalities stays
below ``FLOOR`` of the bare loop.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from recording import record
from rich.console import Console
from rich.table import Table

from remodal import streams
from remodal.backbones import Backbone, Tower, load_backbone
from remodal.backbones.onnx_graph import onnx_runtime
from remodal.cache import cache_folder
from remodal.features.extract import BATCH_FRAMES, HANDFUL, extract
from remodal.features.store import FeatureStore
from remodal.modalities import get_modality
from remodal.streams.base import Item

FLOOR = 0.8
Inputs = dict[str, NDArray[Any]]


def sample(stream: str, count: int) -> dict[str, list[Item]]:
    """``count`` items a modality, spread evenly over the stream."""
    items = [item for task in streams.stream(stream) for item in (*task.train, *task.test)]
    found = {}
    for modality in sorted({item.modality for item in items}):
        own = [item for item in items if item.modality == modality]
        found[modality] = own[:: max(1, len(own) // count)][:count]
    return found


def ready(items: Sequence[Item], backbone: Backbone) -> list[tuple[str, Inputs]]:
    """The networks' inputs, each with its tower's name, in the batches of the stem pass."""
    batches: list[tuple[str, Inputs]] = []
    for tower in backbone.towers.values():
        own = [item for item in items if backbone.tower(item.modality) is tower]
        for start in range(0, len(own), HANDFUL["cpu"]):
            frames = np.concatenate([prepared(item, tower) for item in own[start : start + HANDFUL["cpu"]]])
            if tower.name == "text":  # one sentence at a time, without padding
                rows = [row[row >= 0][None] for row in frames]
                batches += [(tower.name, {"word_pieces": row, "mask": np.ones_like(row)}) for row in rows]
            else:
                parts = range(0, len(frames), BATCH_FRAMES["cpu"])
                batches += [(tower.name, {"pictures": frames[first : first + BATCH_FRAMES["cpu"]]}) for first in parts]
    return batches


def prepared(item: Item, tower: Tower) -> NDArray[Any]:
    """What the stem takes of one item."""
    medium = get_modality(item.modality).decode(item.read(), where=item.id, unit=item.unit)
    return tower.encoder.normalised(item.modality, tower.encoder.prepare(item.modality, medium))


def session(tower: Any, threads: int) -> Any:
    """ONNX Runtime on the tower's exported graph; ``threads`` share each batch."""
    onnxruntime = onnx_runtime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(tower.encoder._network._file), options, providers=["CPUExecutionProvider"])


def seconds(work: Callable[[], None]) -> float:
    """How long ``work`` takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def measure(items: Sequence[Item], backbone: Backbone, rounds: int) -> dict[str, Any]:
    """Seconds of the bare loops and the stem pass in turn."""
    batches = ready(items, backbone)
    threads = torch.get_num_threads()

    def passing() -> None:
        with tempfile.TemporaryDirectory() as folder, FeatureStore(Path(folder)) as store:
            done = extract(items, backbone, store)
            if done.rejected:
                raise SystemExit(f"{done.rejected[0].id}: {done.rejected[0].reason}")

    passing()  # exports the graphs, loads tokenizer and decoders
    names = {name for name, _ in batches}
    together, alone = ({name: session(backbone.towers[name], share) for name in names} for share in (threads, 1))

    def shared() -> None:
        for name, inputs in batches:
            together[name].run(None, inputs)

    def whole(batch: tuple[str, Inputs]) -> None:
        name, inputs = batch
        alone[name].run(None, inputs)

    def side_by_side() -> None:
        with ThreadPoolExecutor(threads) as pool:
            for _ in pool.map(whole, batches):
                pass

    loops = {"shared": shared, "side by side": side_by_side, "pass": passing}
    timed: dict[str, list[float]] = {name: [] for name in loops}
    shared()
    side_by_side()
    for _ in range(rounds):
        for name, loop in loops.items():
            timed[name].append(seconds(loop))
    return summary(len(items), timed)


def summary(items: int, timed: dict[str, list[float]]) -> dict[str, Any]:
    """Medians: items a second, and the ratio of the pass to its faster neighbour."""
    bare = [min(pair) for pair in zip(timed["shared"], timed["side by side"])]
    ratios = [fastest / whole for fastest, whole in zip(bare, timed["pass"])]
    return {
        "items": items,
        "items_per_second": {name: items / statistics.median(taken) for name, taken in timed.items()},
        "ratio": statistics.median(ratios),
        "ratios": ratios,
        "seconds": timed,
    }


def main() -> int:
    """Print the table, record it; 1 where the pass is too slow."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stream", default="everyday", help="name or folder")
    parser.add_argument("--items", type=int, default=128, help="of each modality")
    parser.add_argument("--rounds", type=int, default=5, help="how often bare loop and pass take turns")
    arguments = parser.parse_args()
    backbone = load_backbone("lite", cache_folder())
    sampled = sample(arguments.stream, arguments.items)
    sampled["all"] = [item for items in sampled.values() for item in items]
    found = {name: measure(items, backbone, arguments.rounds) for name, items in sampled.items()}
    threads = torch.get_num_threads()
    title = f"stem pass, {threads} threads, medians of {arguments.rounds} rounds"
    table = Table("modality", "items", "bare, shared: items/s", "bare, side by side", "pass", "ratio", title=title)
    for modality, one in found.items():
        rates = (f"{rate:.0f}" for rate in one["items_per_second"].values())
        table.add_row(modality, str(one["items"]), *rates, f"{one['ratio']:.2f}")
    Console(width=100).print(table)
    record("stem", {"threads": threads, "floor": FLOOR, "modalities": found})
    return int(found["all"]["ratio"] < FLOOR)


if __name__ == "__main__":
    sys.exit(main())
