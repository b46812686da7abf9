"""Decoding in processes of its own: hostile files cost a process, never the server."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np
import pytest

from remodal.backbones.lite import Lite
from remodal.errors import BadItem
from remodal.modalities import get_modality
from remodal.report.charts import WAVE_WIDTH
from remodal.serve.admission import Pixels
from remodal.serve.decoding import Decoders
from remodal.serve.turns import Client

A = Client("here", "a")


def with_decoders(
    cache: Path, work: Callable[[Decoders], Awaitable[object]], count: int = 1, seconds: float = 20.0
) -> None:
    """Run ``work`` with decoding processes."""

    async def run() -> None:
        async with Decoders("lite", str(cache), count, seconds) as decoders:
            await work(decoders)

    asyncio.run(run())


def test_a_medium_comes_as_the_stem_takes_it(lite_cache: Path, lite: Lite, folder: Path) -> None:
    async def work(decoders: Decoders) -> None:
        for name, modality in (
            ("image/warm/0.png", "image"),
            ("audio/cold/1.wav", "audio"),
            ("text/warm/2.txt", "text"),
        ):
            data = (folder / name).read_bytes()
            found = await decoders.decode(A, data, name, None, Pixels(10**9))
            medium = get_modality(modality).decode(data, where=name)
            assert (found.read_as, found.tower) == (modality, lite.tower(modality).name)
            assert np.array_equal(found.inputs, lite.tower(modality).prepare(modality, medium))

    with_decoders(lite_cache, work)


def test_what_is_shown_of_a_medium_comes_from_there_too(lite_cache: Path, folder: Path) -> None:
    async def work(decoders: Decoders) -> None:
        read_as, shown = await decoders.draw(A, (folder / "audio/cold/1.wav").read_bytes(), "x", Pixels(10**9))
        assert read_as == "audio"
        assert len(shown.wave) == WAVE_WIDTH
        assert shown.pictures
        with pytest.raises(BadItem, match="can't be decoded"):
            await decoders.draw(A, b"\x89PNG\r\n\x1a\nnothing more", "x", Pixels(10**9))

    with_decoders(lite_cache, work)


def test_what_cannot_be_decoded_says_why(lite_cache: Path) -> None:
    async def work(decoders: Decoders) -> None:
        with pytest.raises(BadItem, match="x: found an empty file"):
            await decoders.decode(A, b"", "x", None, Pixels(10**9))
        with pytest.raises(BadItem, match="found text where audio is expected"):
            await decoders.decode(A, b"a sentence", "x", "audio", Pixels(10**9))

    with_decoders(lite_cache, work)


def test_a_process_that_dies_is_replaced(lite_cache: Path) -> None:
    async def work(decoders: Decoders) -> None:
        for process in list(decoders._all):
            os.kill(process.pid, signal.SIGKILL)
        with pytest.raises(BadItem, match="the decoder died of it"):
            await decoders.decode(A, b"a sentence", "x", None, Pixels(10**9))
        assert (await decoders.decode(A, b"a sentence", "x", None, Pixels(10**9))).tower == "text"

    with_decoders(lite_cache, work)


def test_a_process_that_hangs_is_replaced_in_time(lite_cache: Path) -> None:
    async def work(decoders: Decoders) -> None:
        for process in list(decoders._all):
            os.kill(process.pid, signal.SIGSTOP)
        started = time.monotonic()
        with pytest.raises(BadItem, match="takes longer than 0.5 s to decode"):
            await decoders.decode(A, b"a sentence", "x", None, Pixels(10**9))
        assert time.monotonic() - started < 30
        assert (await decoders.decode(A, b"a sentence", "x", None, Pixels(10**9))).tower == "text"

    with_decoders(lite_cache, work, seconds=0.5)


def test_who_leaves_takes_no_answer_of_the_next(lite_cache: Path) -> None:
    async def work(decoders: Decoders) -> None:
        (process,) = decoders._all
        os.kill(process.pid, signal.SIGSTOP)
        left = asyncio.create_task(decoders.decode(A, b"a first sentence", "first", None, Pixels(10**9)))
        await asyncio.sleep(0.1)
        left.cancel()
        with pytest.raises(asyncio.CancelledError):
            await left
        assert (await decoders.decode(A, b"a second sentence", "second", None, Pixels(10**9))).name == "second"

    with_decoders(lite_cache, work)


def test_no_process_is_left(lite_cache: Path) -> None:
    processes = []

    async def work(decoders: Decoders) -> None:
        processes.extend(decoders._all)

    with_decoders(lite_cache, work, count=2)
    assert len(processes) == 2
    assert all(process.returncode is not None for process in processes)
