"""Work that goes on beside the requests, from the server's start to its end."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from asyncio import Task
from typing import Self


class Background(ABC):
    """An asynchronous context in which :meth:`_run` runs; it is cancelled at the end."""

    _task: Task[None]

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    @abstractmethod
    async def _run(self) -> None:
        """The work."""
