"""Requests that wait are computed together: what comes while a batch is computed is the next batch.

Nothing waits for company: a lone request is a batch of one at once.
"""

from __future__ import annotations

import asyncio
from asyncio import Future, Queue
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

from remodal.errors import RemodalError
from remodal.serve.background import Background

Asked = TypeVar("Asked")
Given = TypeVar("Given")


class Busy(RemodalError):
    """More requests wait than may."""


class Batcher(Background, Generic[Asked, Given]):
    """compute: one answer for each of a batch, in its order; it runs in one thread. size: of a batch, at most.

    waiting: how many may wait. on_batch: told the size of each batch.
    """

    def __init__(
        self,
        compute: Callable[[Sequence[Asked]], Sequence[Given]],
        size: int,
        waiting: int,
        on_batch: Callable[[int], object],
    ) -> None:
        self._compute, self._size, self._on_batch = compute, size, on_batch
        self._queue: Queue[tuple[Asked, Future[Given]]] = Queue(waiting)
        self._thread = ThreadPoolExecutor(1, "answers")

    async def __aexit__(self, *_: object) -> None:
        await super().__aexit__()
        self._thread.shutdown()

    async def ask(self, one: Asked) -> Given:
        """Its answer. Raises Busy where too many wait already, or what ``compute`` raises for it."""
        answer: Future[Given] = asyncio.get_running_loop().create_future()
        try:
            self._queue.put_nowait((one, answer))
        except asyncio.QueueFull:
            raise Busy(f"{self._queue.maxsize:,} requests wait already; try again soon") from None
        return await answer

    async def _run(self) -> None:
        while True:
            batch = [await self._queue.get()]
            while len(batch) < self._size and not self._queue.empty():
                batch.append(self._queue.get_nowait())
            batch = [entry for entry in batch if not entry[1].cancelled()]
            if batch:
                self._on_batch(len(batch))
                await self._answer(batch)

    async def _answer(self, batch: Sequence[tuple[Asked, Future[Given]]]) -> None:
        loop = asyncio.get_running_loop()
        try:
            answers = await loop.run_in_executor(self._thread, self._compute, [one for one, _ in batch])
        except Exception as error:
            if len(batch) == 1:
                ((_, future),) = batch
                if not future.cancelled():
                    future.set_exception(error)
            else:  # one of them is at fault: alone, it harms no other
                for entry in batch:
                    await self._answer([entry])
            return
        for (_, future), answer in zip(batch, answers, strict=True):
            if not future.cancelled():
                future.set_result(answer)
