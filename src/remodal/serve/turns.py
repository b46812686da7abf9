"""Who is served next: clients wait in turn, so that much that one of them asks for never stands before all others."""

from __future__ import annotations

import asyncio
from asyncio import Event, Future
from collections import deque
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

What = TypeVar("What")
Given = TypeVar("Given")


class Client(NamedTuple):
    """Who asks. connection: tells apart those that come from one address."""

    address: str
    connection: str


@dataclass(eq=False)
class Asked(Generic[What, Given]):
    """One thing that waits. answer: to be set by who takes it; cancelled where its client has left."""

    what: What
    answer: Future[Given]


class Turns(Generic[What, Given]):
    """A queue with a turn for each address, in it one for each of its connections; in that, first come, first served.

    >>> async def order():
    ...     turns = Turns()
    ...     asked = [("a", "1", "a1 first"), ("a", "1", "a1 second"), ("a", "2", "a2"), ("b", "1", "b1")]
    ...     waiting = [asyncio.ensure_future(turns.ask(Client(*client), what)) for *client, what in asked]
    ...     await asyncio.sleep(0)
    ...     found = [turns.take() for _ in waiting]
    ...     for one in found:
    ...         one.answer.set_result(None)
    ...     await asyncio.gather(*waiting)
    ...     return [one.what for one in found]
    >>> asyncio.run(order())
    ['a1 first', 'b1', 'a2', 'a1 second']
    """

    def __init__(self) -> None:
        self._waiting: dict[str, dict[str, deque[Asked[What, Given]]]] = {}
        self._some = Event()

    async def ask(self, client: Client, what: What) -> Given:
        """Wait for the turn and for the answer. Who is cancelled meanwhile waits no longer."""
        one: Asked[What, Given] = Asked(what, asyncio.get_running_loop().create_future())
        self._waiting.setdefault(client.address, {}).setdefault(client.connection, deque()).append(one)
        self._some.set()
        try:
            return await one.answer
        finally:
            self._discard(client, one)

    @property
    def empty(self) -> bool:
        """Whether nobody waits."""
        return not self._waiting

    async def next(self) -> Asked[What, Given]:
        """What is next, as soon as there is something."""
        while self.empty:
            self._some.clear()
            await self._some.wait()
        return self.take()

    def take(self) -> Asked[What, Given]:
        """What is next. Raises StopIteration where nobody waits."""
        address = next(iter(self._waiting))
        connections = self._waiting.pop(address)
        connection = next(iter(connections))
        own = connections.pop(connection)
        one = own.popleft()
        # behind all others
        if own:
            connections[connection] = own
        if connections:
            self._waiting[address] = connections
        return one

    def _discard(self, client: Client, one: Asked[What, Given]) -> None:
        connections = self._waiting.get(client.address, {})
        own = connections.get(client.connection)
        if own is None or one not in own:
            return
        own.remove(one)
        if not own:
            del connections[client.connection]
        if not connections:
            del self._waiting[client.address]
