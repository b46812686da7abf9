"""The decoding processes, seen from the server: as many as asked for, each replaced when a file is too much for it."""

from __future__ import annotations

import asyncio
import math
import sys
from asyncio import IncompleteReadError, Queue
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from typing import Any, Self, TypeVar

import numpy as np

from remodal.errors import BadItem, RemodalError, UnknownName
from remodal.media import Decoded
from remodal.modalities import MODALITIES, get_modality
from remodal.report.media import Shown
from remodal.serve import frames

START_SECONDS = 120.0
DTYPES = {"uint8", "int64", "float32"}
Head = dict[str, Any]
Found = TypeVar("Found")


class Decoders:
    """backbone, cache: what :func:`~remodal.backbones.load_backbone` takes. seconds: that one file may take."""

    def __init__(self, backbone: str, cache: str, count: int, seconds: float) -> None:
        self._arguments = [sys.executable, "-m", "remodal.serve.decoder", backbone, cache]
        self._count, self._seconds = count, seconds
        self._idle: Queue[Process] = Queue()
        self._all: set[Process] = set()

    async def __aenter__(self) -> Self:
        for process in await asyncio.gather(*(self._started() for _ in range(self._count))):
            self._idle.put_nowait(process)
        return self

    async def __aexit__(self, *_: object) -> None:
        for process in list(self._all):
            await self._end(process)

    async def decode(self, data: bytes, where: str, modality: str | None) -> Decoded:
        """Decode one file.

        Raises:
            BadItem: It can't be decoded, or took too long or too much memory.
        """
        return await self._asked(_decoded, data, where, modality, draw=False)

    async def draw(self, data: bytes, where: str) -> tuple[str, Shown]:
        """The modality whose reader decodes one file, and what is shown of it. Raises BadItem as :meth:`decode`."""
        return await self._asked(_shown, data, where, None, draw=True)

    async def _asked(
        self, read: Callable[[str, Head, bytes], Found], data: bytes, where: str, modality: str | None, *, draw: bool
    ) -> Found:
        process = await self._idle.get()
        try:
            async with asyncio.timeout(self._seconds):
                head, payload = await _exchanged(process, {"where": where, "modality": modality, "draw": draw}, data)
            if "problem" not in head:
                return read(where, head, payload)
        except TimeoutError:
            process = await self._replaced(process)
            raise BadItem(where, f"takes longer than {self._seconds:g} s to decode") from None
        except (IncompleteReadError, OSError, ValueError, KeyError, TypeError, UnknownName):
            process = await self._replaced(process)
            raise BadItem(where, "can't be decoded: the decoder died of it") from None
        except asyncio.CancelledError:  # its answer would be taken for the next file's
            process = await self._replaced(process)
            raise
        finally:
            self._idle.put_nowait(process)
        raise BadItem(where, str(head["problem"]))

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
        await self._end(process)
        return await self._started()

    async def _end(self, process: Process) -> None:
        self._all.discard(process)
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _exchanged(process: Process, asked: Head, data: bytes) -> tuple[Head, bytes]:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(frames.packed(asked, data))
    await process.stdin.drain()
    return await frames.received(process.stdout)


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
