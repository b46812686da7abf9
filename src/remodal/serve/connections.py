"""Connections that are held without asking anything, or without taking the answer, are closed.

uvicorn waits for ever for the rest of a request. Here a client has a while, and more time the more it sends (as
Apache's mod_reqtimeout counts it). Where there are as many connections as may be, the one whose time is over first
makes room.
"""

from __future__ import annotations

import json
from asyncio import TimerHandle, Transport
from collections.abc import Sequence
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from remodal.serve.access import HEADERS

SECONDS = 20.0
"""In which a request has to come, or a piece of its answer to be taken."""
RATE = 1000.0
"""Bytes a second; each second's worth that comes gives a client another second."""
LOOK_SECONDS = 1.0
"""Between two looks at a connection."""


class Patient(H11Protocol):
    """HTTP/1.1 with limited patience; at most ``limit_concurrency`` connections."""

    _look_again: TimerHandle
    _since = 0.0
    """When the client was given its turn."""
    _came = 0
    """Bytes that it has sent since."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """As uvicorn makes it; the limit is kept here, since uvicorn refuses where this makes room."""
        super().__init__(*args, **kwargs)
        self._most, self.limit_concurrency = self.limit_concurrency, None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Begin to wait, or refuse where there is no room."""
        super().connection_made(transport)
        self._look_again = self.loop.call_later(LOOK_SECONDS, self._look)
        self._turn()
        held = [one for one in self.connections if isinstance(one, Patient) and not one.transport.is_closing()]
        if self._most is not None and len(held) > self._most:
            self._make_room([one for one in held if one.waits and one is not self])

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._look_again.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count what comes."""
        self._came += len(data)
        super().data_received(data)

    def pause_writing(self) -> None:
        """It is the client's turn to take what was sent."""
        super().pause_writing()
        self._turn()

    def on_response_complete(self) -> None:
        """It is the client's turn to ask."""
        self._turn()
        super().on_response_complete()

    @property
    def waits(self) -> bool:
        """Whether the server waits for the client, not the client for the server."""
        cycle: Any = self.cycle
        if cycle is None or cycle.response_complete:
            return True
        return bool(self.flow.write_paused or (cycle.more_body and not self.flow.read_paused))

    def _turn(self) -> None:
        self._since, self._came = self.loop.time(), 0

    @property
    def _deadline(self) -> float:
        return self._since + SECONDS + self._came / RATE

    def _look(self) -> None:
        if self.waits and self.loop.time() > self._deadline:
            self.transport.abort()  # what it does not take would keep a closing connection
        else:
            self._look_again = self.loop.call_later(LOOK_SECONDS, self._look)

    def _make_room(self, waited_for: Sequence[Patient]) -> None:
        if waited_for:
            min(waited_for, key=lambda one: one._deadline).transport.abort()
        else:
            self._refuse("503 Service Unavailable", "as many connections are open as may be; try again soon")

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP, as everything else is refused."""
        self._refuse("400 Bad Request", msg)

    def _refuse(self, status: str, detail: str) -> None:
        """Answer outside of any request, and close."""
        body = json.dumps({"detail": detail})
        headers = {"content-type": "application/json", "content-length": len(body), "connection": "close", **HEADERS}
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self.transport.write(f"HTTP/1.1 {status}\r\n{head}\r\n{body}".encode("ascii"))
        self.transport.close()
