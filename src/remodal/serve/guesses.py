"""Wrong tokens are answered slowly, one after the other, so that guessing gets nowhere."""

from __future__ import annotations

import asyncio

SECONDS = 0.5
"""Between two answers to wrong tokens, from whomever they come."""
WAITING = 20
"""Wrong tokens that may wait for their answer; further ones are refused at once."""


class Guesses:
    """Wrong tokens that wait for their answer."""

    def __init__(self) -> None:
        self._turn, self._waiting = asyncio.Lock(), 0

    async def answered(self) -> bool:
        """Wait until a wrong token may be told that it is one; False at once where too many wait already."""
        if self._waiting >= WAITING:
            return False
        self._waiting += 1
        try:
            async with self._turn:
                await asyncio.sleep(SECONDS)
        finally:
            self._waiting -= 1
        return True
