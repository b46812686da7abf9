"""Micro-batches: what waits goes together, a lone request goes at once, and one at fault harms no other."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import pytest

from remodal.serve.batching import Batcher, Busy


def test_what_waits_is_answered_together_and_each_gets_its_own() -> None:
    sizes: list[int] = []
    gate = threading.Event()

    def double(batch: Sequence[int]) -> list[int]:
        gate.wait(10)
        return [2 * one for one in batch]

    async def ask() -> list[int]:
        async with Batcher(double, 4, 100, sizes.append) as batcher:
            asked = [asyncio.create_task(batcher.ask(number)) for number in range(10)]
            await asyncio.sleep(0.05)
            gate.set()
            return await asyncio.gather(*asked)

    assert asyncio.run(ask()) == [2 * number for number in range(10)]
    assert sizes == [4, 4, 2]


def test_a_lone_request_waits_for_no_company() -> None:
    sizes: list[int] = []

    async def ask() -> int:
        async with Batcher(lambda batch: list(batch), 32, 100, sizes.append) as batcher:
            return await asyncio.wait_for(batcher.ask(7), 1)

    assert asyncio.run(ask()) == 7
    assert sizes == [1]


def test_one_at_fault_harms_no_other() -> None:
    def picky(batch: Sequence[int]) -> list[int]:
        if 3 in batch:
            raise ValueError("three")
        return list(batch)

    async def ask() -> list[object]:
        async with Batcher(picky, 8, 100, lambda _: None) as batcher:
            return await asyncio.gather(*(batcher.ask(number) for number in range(6)), return_exceptions=True)

    found = asyncio.run(ask())
    assert isinstance(found[3], ValueError)
    assert [one for one in found if isinstance(one, int)] == [0, 1, 2, 4, 5]


def test_too_many_waiting_are_told_to_come_again() -> None:
    gate = threading.Event()

    def slow(batch: Sequence[int]) -> list[int]:
        gate.wait(10)
        return list(batch)

    async def ask() -> list[object]:
        async with Batcher(slow, 1, 3, lambda _: None) as batcher:
            first = asyncio.create_task(batcher.ask(0))
            await asyncio.sleep(0.05)
            others = [asyncio.create_task(batcher.ask(number)) for number in range(1, 6)]
            await asyncio.sleep(0.05)
            gate.set()
            return await asyncio.gather(first, *others, return_exceptions=True)

    found = asyncio.run(ask())
    assert found[:4] == [0, 1, 2, 3]
    assert all(isinstance(one, Busy) for one in found[4:])


def test_who_left_is_not_computed_for() -> None:
    computed: list[int] = []
    gate = threading.Event()

    def slow(batch: Sequence[int]) -> list[int]:
        gate.wait(10)
        computed.extend(batch)
        return list(batch)

    async def ask() -> None:
        async with Batcher(slow, 1, 10, lambda _: None) as batcher:
            first = asyncio.create_task(batcher.ask(1))
            await asyncio.sleep(0.05)
            second = asyncio.create_task(batcher.ask(2))
            await asyncio.sleep(0.05)
            second.cancel()
            gate.set()
            with pytest.raises(asyncio.CancelledError):
                await second
            assert await first == 1
            assert await batcher.ask(3) == 3

    asyncio.run(ask())
    assert computed == [1, 3]
