"""Micro-batches: what waits goes together, a lone request goes at once, and one at fault harms no other."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import pytest

from remodal.serve.batching import Batcher
from remodal.serve.turns import Client

A, B = Client("here", "a"), Client("here", "b")


def test_what_waits_is_answered_together_and_each_gets_its_own() -> None:
    sizes: list[int] = []
    gate = threading.Event()

    def double(batch: Sequence[int]) -> list[int]:
        gate.wait(10)
        return [2 * one for one in batch]

    async def ask() -> list[int]:
        async with Batcher(double, 4, sizes.append) as batcher:
            asked = [asyncio.create_task(batcher.ask(A, number)) for number in range(10)]
            await asyncio.sleep(0.05)
            gate.set()
            return await asyncio.gather(*asked)

    assert asyncio.run(ask()) == [2 * number for number in range(10)]
    assert sizes == [4, 4, 2]


def test_a_lone_request_waits_for_no_company() -> None:
    sizes: list[int] = []

    async def ask() -> int:
        async with Batcher(lambda batch: list(batch), 32, sizes.append) as batcher:
            return await asyncio.wait_for(batcher.ask(A, 7), 1)

    assert asyncio.run(ask()) == 7
    assert sizes == [1]


def test_one_at_fault_harms_no_other() -> None:
    def picky(batch: Sequence[int]) -> list[int]:
        if 3 in batch:
            raise ValueError("three")
        return list(batch)

    async def ask() -> list[object]:
        async with Batcher(picky, 8, lambda _: None) as batcher:
            return await asyncio.gather(*(batcher.ask(A, number) for number in range(6)), return_exceptions=True)

    found = asyncio.run(ask())
    assert isinstance(found[3], ValueError)
    assert [one for one in found if isinstance(one, int)] == [0, 1, 2, 4, 5]


def test_where_more_waits_than_a_batch_takes_clients_take_turns() -> None:
    batches: list[list[int]] = []
    gate = threading.Event()

    def slow(batch: Sequence[int]) -> list[int]:
        gate.wait(10)
        batches.append(list(batch))
        return list(batch)

    async def ask() -> None:
        async with Batcher(slow, 2, lambda _: None) as batcher:
            asked = [asyncio.create_task(batcher.ask(A, number)) for number in range(6)]
            await asyncio.sleep(0.05)
            asked.append(asyncio.create_task(batcher.ask(B, 100)))
            await asyncio.sleep(0.05)
            gate.set()
            await asyncio.gather(*asked)

    asyncio.run(ask())
    assert batches == [[0, 1], [2, 100], [3, 4], [5]]


def test_who_left_is_not_computed_for() -> None:
    computed: list[int] = []
    gate = threading.Event()

    def slow(batch: Sequence[int]) -> list[int]:
        gate.wait(10)
        computed.extend(batch)
        return list(batch)

    async def ask() -> None:
        async with Batcher(slow, 1, lambda _: None) as batcher:
            first = asyncio.create_task(batcher.ask(A, 1))
            await asyncio.sleep(0.05)
            second = asyncio.create_task(batcher.ask(A, 2))
            await asyncio.sleep(0.05)
            second.cancel()
            gate.set()
            with pytest.raises(asyncio.CancelledError):
                await second
            assert await first == 1
            assert await batcher.ask(A, 3) == 3

    asyncio.run(ask())
    assert computed == [1, 3]
