"""Requests that wait are computed together: what comes while a batch is computed is the next batch.

Nothing waits for company: a lone request is a batch of one at once. Where more waits than one batch takes, clients
take turns.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

from remodal.serve.background import Background
from remodal.serve.turns import Asked, Client, Turns

What = TypeVar("What")
Given = TypeVar("Given")


class Batcher(Background, Generic[What, Given]):
    """compute: one answer for each of a batch, in its order; it runs in one thread. size: of a batch, at most.

    on_batch: told the size of each batch.
    """

    def __init__(
        self, compute: Callable[[Sequence[What]], Sequence[Given]], size: int, on_batch: Callable[[int], object]
    ) -> None:
        self._compute, self._size, self._on_batch = compute, size, on_batch
        self._turns: Turns[What, Given] = Turns()
        self._thread = ThreadPoolExecutor(1, "answers")

    async def __aexit__(self, *_: object) -> None:
        await super().__aexit__()
        self._thread.shutdown()

    async def ask(self, client: Client, one: What) -> Given:
        """Its answer. Raises what ``compute`` raises for it."""
        return await self._turns.ask(client, one)

    async def _run(self) -> None:
        while True:
            batch = [await self._turns.next()]
            while len(batch) < self._size and not self._turns.empty:
                batch.append(self._turns.take())
            self._on_batch(len(batch))
            await self._answer(batch)

    async def _answer(self, batch: Sequence[Asked[What, Given]]) -> None:
        loop = asyncio.get_running_loop()
        try:
            answers = await loop.run_in_executor(self._thread, self._compute, [one.what for one in batch])
        except Exception as error:
            if len(batch) == 1:
                if not batch[0].answer.cancelled():
                    batch[0].answer.set_exception(error)
            else:  # one of them is at fault: alone, it harms no other
                for one in batch:
                    await self._answer([one])
            return
        for one, answer in zip(batch, answers, strict=True):
            if not one.answer.cancelled():
                one.answer.set_result(answer)
