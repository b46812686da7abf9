"""Who holds a connection without asking, or without taking the answer, is hung up on in the end."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
import uvicorn

from remodal.serve import connections
from remodal.serve.connections import Patient

SECONDS = 0.5
ANSWER = bytes(50_000_000)
"""More than a connection's buffers hold."""


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Answers what has come whole, at length."""
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": ANSWER})


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, int]]:
    """Of a server with little patience."""
    monkeypatch.setattr(connections, "SECONDS", SECONDS)
    monkeypatch.setattr(connections, "LOOK_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(application, http=Patient, ws="none", lifespan="off", log_level="error"))
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        yield listening.getsockname()
        server.should_exit = True
        thread.join()


WHOLE = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
HALF = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf"


def received(connection: socket.socket, most: float = float("inf")) -> int:
    """Bytes that come until there are ``most``, or until the connection is closed."""
    count = 0
    with suppress(ConnectionResetError):
        while count < most and (part := connection.recv(1 << 20)):
            count += len(part)
    return count


@pytest.mark.parametrize("sent", [b"", WHOLE[:-2], HALF])
def test_who_does_not_ask_is_hung_up_on(address: tuple[str, int], sent: bytes) -> None:
    with socket.create_connection(address, timeout=20) as connection:
        connection.sendall(sent)
        assert received(connection) == 0


def test_who_does_not_take_the_answer_is_hung_up_on(address: tuple[str, int]) -> None:
    with socket.create_connection(address, timeout=20) as connection:
        connection.sendall(WHOLE)
        time.sleep(6 * SECONDS)
        assert received(connection) < len(ANSWER)


def test_who_asks_and_takes_the_answer_is_not(address: tuple[str, int]) -> None:
    with socket.create_connection(address, timeout=20) as connection:
        for _ in range(3):
            connection.sendall(WHOLE)
            assert received(connection, most=len(ANSWER)) >= len(ANSWER)
