"""How many requests a server answers, how fast, and whether rightly: beside the bare model, and without micro-batches.

A model learns ``everyday``; held-out items of all modalities are then asked, one a request, by 1, 8 and 64 clients that
each ask again as soon as they have an answer: of ``remodal serve`` as it is, and of the same server with batches of
one, in turns. The bare model answers the same items one after the other in a loop, decoding included. Every answer is
compared with the bare model's. Then a class is taught, and another one forgotten, while clients ask on; and a client
asks which of 64 items to label first. At the end a client asks for a sentence and a small picture in turns: alone, and
beside one that sends 64 pictures of 64 million pixels a request, in 12.9 MB, and waits for the answer or hangs up. Exit
status 1 where an answer failed or was wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import numpy as np
import torch
from PIL import Image
from recording import record

import remodal
from remodal.media import decoded, given
from remodal.streams.base import Item

CLIENTS = (1, 8, 64)
SECONDS = 15.0
ITEMS = 300
HEAVY = {"side": 8000, "files": 64}
TAUGHT = 12
"""Items of the class that is taught at the end."""


class Asked(NamedTuple):
    """One request. seconds: until its answer. version: of the model; 0 where the request failed."""

    item: int
    seconds: float
    version: int
    label: str


def learned(folder: Path) -> tuple[remodal.Model, list[Item], list[Item]]:
    """A saved model of all tasks but the last; items to ask, of all modalities; items of a class it does not know."""
    stream = remodal.stream("everyday")
    model = remodal.Model()
    for task in stream.tasks[:-1]:
        model.learn(task, origin="everyday")
    model.save(folder)
    items = [item for task in stream.tasks[:-1] for item in task.test]
    items = items[:: len(items) // ITEMS][:ITEMS]
    last = stream.tasks[-1]
    return model, items, [item for item in last.train if item.label == last.classes[0]][:TAUGHT]


@contextmanager
def server(model: Path, *settings: str) -> Iterator[str]:
    """The address of a ``remodal serve``."""
    asked = [sys.executable, "-m", "remodal", "serve", str(model), *settings, "--port", "0"]
    with subprocess.Popen(asked, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().split()[-1]
        process.terminate()


async def load(url: str, media: Sequence[bytes], clients: int, over: Callable[[], bool]) -> list[Asked]:
    """What that many clients were answered until it was over."""
    done: list[Asked] = []
    limits = httpx.Limits(max_connections=clients)
    async with httpx.AsyncClient(base_url=url, timeout=120, limits=limits) as http:

        async def ask(client: int) -> None:
            item = client * 37
            while not over():
                item = (item + 1) % len(media)
                started = time.perf_counter()
                answer = await http.post("/predict", files={"files": ("x", media[item])}, data={"top": 1})
                taken = time.perf_counter() - started
                if answer.status_code == 200:
                    (found,) = answer.json()
                    done.append(Asked(item, taken, found["version"], found["best"][0]["label"]))
                else:
                    done.append(Asked(item, taken, 0, ""))

        await asyncio.gather(*(ask(client) for client in range(clients)))
    return done


def after(seconds: float) -> Callable[[], bool]:
    """Whether so much time has gone by."""
    end = time.perf_counter() + seconds
    return lambda: time.perf_counter() >= end


def bare(model: remodal.Model, media: Sequence[bytes], seconds: float) -> list[Asked]:
    """What the model says in a loop, of one medium after the other, decoded in its turn."""
    done: list[Asked] = []
    over, item = after(seconds), 0
    while not over():
        item = (item + 1) % len(media)
        started = time.perf_counter()
        (answer,) = model.answer_decoded([decoded(given("x", media[item], None), model.backbone)])
        done.append(Asked(item, time.perf_counter() - started, 1, answer.best[0].label))
    return done


def figures(done: Sequence[Asked], seconds: float, expected: Mapping[int, Sequence[str]]) -> dict[str, Any]:
    """Requests a second, milliseconds at percentiles, and how many failed or were wrong."""
    taken = np.array([one.seconds for one in done]) * 1000
    wrong = sum(one.version > 0 and one.label != expected[one.version][one.item] for one in done)
    return {
        "requests a second": round(len(done) / seconds, 1),
        **{f"p{at} ms": round(float(np.percentile(taken, at)), 1) for at in (50, 95, 99)},
        "requests": len(done),
        "failed": sum(one.version == 0 for one in done),
        "wrong": wrong,
    }


class Changed(NamedTuple):
    """What clients were answered while a request changed the model, and for ``SECONDS`` after.

    seconds: until the change was done. state: of its job at the end.
    """

    done: list[Asked]
    seconds: float
    state: str


async def while_changed(url: str, media: Sequence[bytes], route: str, **change: Any) -> Changed:
    """Eight clients ask meanwhile."""
    over = asyncio.Event()
    asking = asyncio.create_task(load(url, media, 8, over.is_set))
    started = time.perf_counter()
    async with httpx.AsyncClient(base_url=url, timeout=120) as http:
        job = (await http.post(route, **change)).json()
        while job["state"] in ("waiting", "running"):
            await asyncio.sleep(0.5)
            job = (await http.get(f"/jobs/{job['id']}")).json()
    taken = time.perf_counter() - started
    await asyncio.sleep(SECONDS)
    over.set()
    return Changed(await asking, taken, job["state"])


def suggestions(url: str, media: Sequence[bytes]) -> dict[str, Any]:
    """How fast it says which of 64 items to label first; failed: requests that don't tell of each item."""
    some, taken, failed = [("files", (str(number), one)) for number, one in enumerate(media[:64])], [], 0
    with httpx.Client(base_url=url, timeout=120) as http:
        http.post("/suggest", files=some)
        over = after(SECONDS)
        while not over():
            started = time.perf_counter()
            answer = http.post("/suggest", files=some, data={"n": 64})
            taken.append(time.perf_counter() - started)
            told = answer.json() if answer.status_code == 200 else {}
            counted = len(told.get("chosen", ())) + told.get("learned", 0) + told.get("copies", 0)
            failed += counted + len(told.get("problems", ())) != len(some)
    return {
        "items a second": round(len(some) * len(taken) / sum(taken), 1),
        "p50 ms": round(1000 * float(np.median(taken)), 1),
        "requests": len(taken),
        "failed": failed,
        "wrong": 0,
    }


async def beside(url: str, media: Mapping[str, dict[str, Any]], heavy: bytes, *, stays: bool) -> dict[str, Any]:
    """Milliseconds of a light client's answers, by what it asks. heavy: what another client sends meanwhile."""
    taken: dict[str, list[float]] = {name: [] for name in media}
    # written once: it would keep the light client waiting
    made = httpx.Request("POST", url, files=[("files", (str(number), heavy)) for number in range(HEAVY["files"])])
    much, head = made.read(), {"content-type": made.headers["content-type"]}

    async def sends_much() -> None:
        async with httpx.AsyncClient(base_url=url, timeout=600) as http:
            while True:
                asking = asyncio.create_task(http.post("/predict", content=much, headers=head))
                await asyncio.wait((asking,), timeout=None if stays else 2.0)
                asking.cancel()

    other = asyncio.create_task(sends_much()) if heavy else None
    await asyncio.sleep(1.0)
    over = after(2 * SECONDS)
    async with httpx.AsyncClient(base_url=url, timeout=600) as http:
        while not over():
            for name, asked in media.items():
                started = time.perf_counter()
                (await http.post("/predict", **asked)).raise_for_status()
                taken[name].append(1000 * (time.perf_counter() - started))
                await asyncio.sleep(0.05)
    if other is not None:
        other.cancel()
    return {
        f"{name} {label}": round(float(value), 1)
        for name, all_ in taken.items()
        for label, value in (("p50 ms", np.median(all_)), ("p95 ms", np.percentile(all_, 95)), ("worst ms", max(all_)))
    }


def solid(side: int) -> bytes:
    """A PNG of one colour."""
    file = BytesIO()
    Image.new("RGB", (side, side), "red").save(file, "PNG", compress_level=9)
    return file.getvalue()


def main() -> int:
    """Print and record the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.parse_args()
    torch.set_num_threads(os.cpu_count() or 1)
    found: dict[str, Any] = {"processors": os.cpu_count(), "seconds each": SECONDS}
    with tempfile.TemporaryDirectory() as temporary:
        os.environ["REMODAL_CACHE"] = str(Path(temporary) / "cache")
        folder = Path(temporary) / "model"
        model, items, lesson = learned(folder)
        media = [item.read() for item in items]
        expected = {1: [best.label for (best,) in model.predict(media)]}
        for clients in CLIENTS:
            for name, settings in (("micro-batches", ()), ("batches of one", ("serve.batch=1",))):
                with server(folder, *settings) as url:
                    asyncio.run(load(url, media, clients, after(3.0)))
                    done = asyncio.run(load(url, media, clients, after(SECONDS)))
                found[f"{clients} clients, {name}"] = figures(done, SECONDS, expected)
        bare(model, media, 3.0)
        found["bare model in a loop"] = figures(bare(model, media, SECONDS), SECONDS, expected)
        taught = [("files", (str(number), item.read())) for number, item in enumerate(lesson)]
        modality = lesson[0].modality
        changes: dict[str, tuple[str, dict[str, Any]]] = {
            "taught": ("/update", {"data": {"label": "taught"}, "files": taught}),
            "forgotten": ("/forget", {"data": {"classes": f"{modality}:taught"}}),
        }
        for version, (what, (route, change)) in enumerate(changes.items(), 2):
            with server(folder) as url:
                changed = asyncio.run(while_changed(url, media, route, **change))
            expected[version] = [best.label for (best,) in remodal.load(folder).predict(media)]
            found[f"8 clients, a class {what} meanwhile"] = {
                **figures(changed.done, changed.seconds + SECONDS, expected),
                "answered by the new version": sum(one.version == version for one in changed.done),
                "seconds until it was done": round(changed.seconds, 1),
                "change": changed.state,
            }
        with server(folder) as url:
            found["what to label first, 64 items a request"] = suggestions(url, media)
        light: dict[str, dict[str, Any]] = {
            "sentence": {"data": {"texts": ["a red square"]}},
            "picture": {"files": {"files": ("x", solid(64))}},
        }
        large = solid(HEAVY["side"])
        for name, heavy, stays in (
            ("a light client alone", b"", False),
            ("a light client, a heavy one waits", large, True),
            ("a light client, a heavy one hangs up", large, False),
        ):
            with server(folder) as url:
                found[name] = asyncio.run(beside(url, light, heavy, stays=stays))
    for name, one in found.items():
        print(f"{name:38} {json.dumps(one)}")
    record("serve_load", found)
    asked = [one for one in found.values() if isinstance(one, dict) and "failed" in one]
    return int(any(one["failed"] or one["wrong"] for one in asked))


if __name__ == "__main__":
    sys.exit(main())
