"""The decoding processes, seen from the server: as many as asked for, each replaced when a file is too much for it.

Files wait in turn by client. One whose client has left waits no longer; one that is being decoded goes on for as long
as a new process would take to start, and then costs its process. So leaving never costs more than staying would, and
at most as much again as it must.
"""

from __future__ import annotations

import asyncio
import json
import math
import sys
import time
from asyncio import IncompleteReadError, TaskGroup
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self, TypeVar

import numpy as np

from remodal.errors import BadItem, RemodalError
from remodal.media import Decoded
from remodal.modalities import MODALITIES, get_modality
from remodal.report.media import Shown
from remodal.serve import frames
from remodal.serve.admission import Pixels
from remodal.serve.background import Background, log, one_line
from remodal.serve.turns import Asked, Client, Turns

START_SECONDS = 120.0
AGAIN_SECONDS = 2.0
"""Until a process that didn't start is tried again."""
DTYPES = {"uint8", "int64"}
Head = dict[str, Any]
Found = TypeVar("Found")


@dataclass(frozen=True)
class File:
    """What a process is asked to do with one file. unit: of depth. read: what it is of that which the process sends."""

    data: bytes
    where: str
    modality: str | None
    unit: str | None
    draw: bool
    pixels: Pixels
    read: Callable[[str, Head, bytes], Any]


class Decoders(Background):
    """backbone, settings, cache: what :func:`~remodal.backbones.load_backbone` takes. seconds: of one file, at most."""

    def __init__(self, backbone: str, settings: Mapping[str, Any], cache: str, count: int, seconds: float) -> None:
        self._arguments = [sys.executable, "-m", "remodal.serve.decoder", backbone, json.dumps(settings), cache]
        self._count, self._seconds = count, seconds
        self._turns: Turns[File, Any] = Turns()
        self._all: set[Process] = set()
        self._start_seconds = 0.0

    async def __aenter__(self) -> Self:
        started = time.monotonic()
        try:
            self._first = await asyncio.gather(*(self._started() for _ in range(self._count)))
        except BaseException:
            await self._end_all()
            raise
        self._start_seconds = time.monotonic() - started
        return await super().__aenter__()

    async def __aexit__(self, *error: object) -> None:
        await super().__aexit__(*error)
        await self._end_all()

    async def decode(
        self,
        client: Client,
        data: bytes,
        where: str,
        modality: str | None,
        pixels: Pixels,
        unit: str | None = None,
    ) -> Decoded:
        """Decode one file; what it has of ``pixels`` is taken off. unit: of a depth file.

        Raises:
            BadItem: It can't be decoded, has too many pixels, or took too long or too much memory.
        """
        found: Decoded = await self._turns.ask(client, File(data, where, modality, unit, False, pixels, _decoded))
        return found

    async def draw(
        self, client: Client, data: bytes, where: str, pixels: Pixels, unit: str | None = None
    ) -> tuple[str, Shown]:
        """The modality whose reader decodes one file, and what is shown of it. Raises BadItem as :meth:`decode`."""
        found: tuple[str, Shown] = await self._turns.ask(client, File(data, where, None, unit, True, pixels, _shown))
        return found

    async def _run(self) -> None:
        async with TaskGroup() as workers:
            for process in self._first:
                workers.create_task(self._work(process))

    async def _work(self, process: Process) -> None:
        """Give one process file after file."""
        while True:
            asked = await self._turns.next()
            if asked.answer.cancelled():
                continue
            exchange = asyncio.create_task(_exchanged(process, asked.what))
            try:
                await asyncio.wait((exchange, asked.answer), timeout=self._seconds, return_when=asyncio.FIRST_COMPLETED)
                if asked.answer.cancelled():
                    await asyncio.wait((exchange,), timeout=min(self._start_seconds, self._seconds))
            finally:
                late = exchange.cancel()
                await asyncio.gather(exchange, return_exceptions=True)
            if late or exchange.exception() is not None:
                slow = f"takes longer than {self._seconds:g} s to decode"
                _tell(asked, BadItem(asked.what.where, slow if late else "can't be decoded: the decoder died of it"))
                process = await self._replaced(process)
            else:
                _tell(asked, exchange.result())

    async def _started(self) -> Process:
        process = await asyncio.create_subprocess_exec(*self._arguments, stdin=PIPE, stdout=PIPE)
        self._all.add(process)
        assert process.stdout is not None
        try:
            async with asyncio.timeout(START_SECONDS):
                await frames.received(process.stdout)
        except (TimeoutError, IncompleteReadError, ValueError):
            await self._end(process)
            raise RemodalError("a decoding process did not start; see what it wrote above") from None
        return process

    async def _replaced(self, process: Process) -> Process:
        """A new one, tried until it starts."""
        await self._end(process)
        while True:
            try:
                started = await self._started()
            except (RemodalError, OSError) as error:
                self.problem = one_line(error)
                log.error("%s; trying again", self.problem)
                await asyncio.sleep(AGAIN_SECONDS)
            else:
                self.problem = None
                return started

    async def _end_all(self) -> None:
        for process in list(self._all):
            await self._end(process)

    async def _end(self, process: Process) -> None:
        self._all.discard(process)
        if process.returncode is None:
            process.kill()
        await process.wait()


def _tell(asked: Asked[File, Any], found: Any) -> None:
    if asked.answer.cancelled():
        return
    if isinstance(found, BadItem):
        asked.answer.set_exception(found)
    else:
        asked.answer.set_result(found)


async def _exchanged(process: Process, file: File) -> Any:
    """What the process makes of the file, or the BadItem that it tells of it; it raises where it is broken."""
    assert process.stdin is not None
    assert process.stdout is not None
    known = {"where": file.where, "modality": file.modality, "unit": file.unit}
    head = {**known, "draw": file.draw, "pixels": file.pixels.left}
    process.stdin.write(frames.packed(head, file.data))
    await process.stdin.drain()
    found, payload = await frames.received(process.stdout)
    if "problem" in found:
        return BadItem(file.where, str(found["problem"]))
    file.pixels.take(found["pixels"])
    return file.read(file.where, found, payload)


# What the process sent is checked as if it came from the client: a codec that was taken over may have sent it.


def _shown(_: str, head: Head, payload: bytes) -> tuple[str, Shown]:
    return get_modality(head["read_as"]).name, Shown.model_validate_json(payload)


def _decoded(name: str, head: Head, payload: bytes) -> Decoded:
    read_as, tower, dtype, shape = (head[key] for key in ("read_as", "tower", "dtype", "shape"))
    if read_as not in MODALITIES or not isinstance(tower, str) or dtype not in DTYPES or not isinstance(shape, list):
        raise ValueError("not what a decoder sends")
    if any(not isinstance(side, int) or side < 1 for side in shape):
        raise ValueError("not a shape")
    array = np.frombuffer(payload, np.dtype(str(dtype)))
    if array.size != math.prod(shape):
        raise ValueError("not of the shape it says")
    return Decoded(name, str(read_as), tower, array.reshape(shape))
