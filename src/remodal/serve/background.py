"""Work that goes on beside the requests, from the server's start to its end."""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from asyncio import Task
from typing import Self

log = logging.getLogger("remodal.serve")


class Background(ABC):
    """An asynchronous context in which :meth:`_run` runs; it is cancelled at the end."""

    problem: str | None = None
    """Why it doesn't do its work, in one line; None while it does."""
    _task: Task[None]

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run())
        self._task.add_done_callback(self._ended)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    @abstractmethod
    async def _run(self) -> None:
        """The work; it has no end of its own."""

    def _ended(self, task: Task[None]) -> None:
        if not task.cancelled():
            error = task.exception()
            self.problem = f"ended ({one_line(error)})"
            log.error("%s ended", type(self).__name__, exc_info=error)


def one_line(error: BaseException | None) -> str:
    """What an exception says, in one line; its type where it says nothing."""
    return " ".join(str(error).split()) or type(error).__name__
