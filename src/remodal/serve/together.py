"""Several waits as one, which a request's end ends."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

Found = TypeVar("Found")


async def together(work: Iterable[Coroutine[Any, Any, Found]]) -> list[Found]:
    """All results, in order. The first that fails, or the client's leaving, ends the others."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one) for one in work]
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return [task.result() for task in tasks]
