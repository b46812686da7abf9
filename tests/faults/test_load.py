"""One client asks for much, hangs up, or both: the others are answered meanwhile."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image
from serving import Server, served

from remodal.serve.page_parts import LEARNED

LARGE, MANY = 8000, 24
"""Pixels of a side, and pictures of such a side in one request."""
MEMORY_BACK = 200 * 2**20
"""Bytes that the server and its decoders may hold more afterwards than before."""


@pytest.fixture(scope="module")
def large() -> bytes:
    """A picture of 64 million pixels in 190 kB."""
    file = BytesIO()
    Image.new("RGB", (LARGE, LARGE), "red").save(file, "PNG", compress_level=9)
    return file.getvalue()


def small(folder: Path) -> dict[str, Any]:
    """A picture that is decoded in no time."""
    return {"files": {"files": ("x.png", (folder / "image/warm/0.png").read_bytes())}}


def request(server: Server, path: str, data: list[bytes], **fields: str) -> bytes:
    """A POST of files, byte for byte."""
    files = [("files", (f"{number}.png", one)) for number, one in enumerate(data)]
    made = httpx.Request("POST", server.url + path, files=files, data=fields)
    head = "".join(f"{name}: {value}\r\n" for name, value in made.headers.items())
    return f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + made.read()


@contextmanager
def sent(server: Server, data: bytes) -> Iterator[socket.socket]:
    """A connection over which it went; it is hung up at the end."""
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(data)
        yield connection


def seconds(server: Server, **asked: Any) -> float:
    """Until an answer without a problem."""
    started = time.monotonic()
    (answer,) = server.post("/predict", **asked).json()
    assert answer["problem"] is None
    return time.monotonic() - started


def decoders(server: Server) -> list[int]:
    """The processes that decode."""
    return [child for child, command in server.children().items() if b"serve.decoder" in command]


@pytest.fixture(scope="module")
def alone(server: Server, large: bytes) -> float:
    """Seconds that a large picture takes where nobody else asks."""
    return seconds(server, files={"files": ("x.png", large)})


@pytest.mark.parametrize("stays", [False, pytest.param(True, marks=pytest.mark.long)])
@pytest.mark.parametrize("route", ["/predict", "/suggest"])
def test_another_client_is_answered_beside_one_that_asks_for_much(
    server: Server, folder: Path, large: bytes, alone: float, route: str, *, stays: bool
) -> None:
    with sent(server, request(server, route, [large] * MANY)) as connection:
        time.sleep(alone / 2)
        if not stays:
            connection.close()
        text = seconds(server, data={"texts": ["hot tea"]})
        picture = seconds(server, **small(folder))
    assert text < alone
    assert picture < 4 * alone  # one large picture goes first at most, on two processes that share the processors
    time.sleep(alone)
    assert seconds(server, files={"files": ("x.png", large)}) < 4 * alone  # nobody works on what nobody waits for
    assert f'remodal_requests_total{{route="{route}",status="499"}}' in httpx.get(server.url + "/metrics").text


def test_who_hangs_up_again_and_again_harms_nobody(server: Server, folder: Path, large: bytes, alone: float) -> None:
    held = server.memory()
    named = {"label": "hum"}
    for path, fields in (
        ("/predict", {}),
        ("/update", named),
        ("/suggest", {}),
        ("/relabel", named),
        ("/forget", {}),
    ) * 3:
        with sent(server, request(server, path, [large] * 8, **fields)):
            time.sleep(0.05)
    assert seconds(server, data={"texts": ["hot tea"]}) < 2 * alone
    assert seconds(server, **small(folder)) < 12 * alone
    assert server.get("/health")["status"] == "ok"
    end = time.monotonic() + 12 * alone
    while server.memory() - held > MEMORY_BACK and time.monotonic() < end:
        time.sleep(0.2)  # the pictures that were begun are decoded to their end
    assert server.memory() - held < MEMORY_BACK


def test_the_page_waits_in_the_same_queue(server: Server, folder: Path, large: bytes, alone: float) -> None:
    (path,) = httpx.post(server.url + "/gradio_api/upload", files={"files": ("x.png", large)}).json()
    file = {"path": path, "meta": {"_type": "gradio.FileData"}}
    for number in range(12):
        call = {"data": [file, None, "", LEARNED], "fn_index": 0, "session_hash": f"page{number % 2}"}
        httpx.post(server.url + "/gradio_api/queue/join", json=call).raise_for_status()
    assert seconds(server, data={"texts": ["hot tea"]}) < 2 * alone
    assert seconds(server, **small(folder)) < 6 * alone


@pytest.mark.long  # serve/test_admission.py and serve/test_api.py say it quickly
def test_what_is_too_much_is_told_to_come_again(saved: Path, lite_cache: Path, folder: Path) -> None:
    picture = (folder / "image/warm/0.png").read_bytes()
    two = [("files", (name, picture)) for name in "ab"]
    with served(saved, lite_cache, "serve.files=2", "serve.waiting=4", decoders=2) as server:
        processes = decoders(server)
        for process in processes:
            os.kill(process, signal.SIGSTOP)
        with sent(server, request(server, "/predict", [picture] * 2)):
            time.sleep(0.5)
            busy = server.post("/predict", files=two)
            assert (busy.status_code, busy.headers["retry-after"]) == (503, "1")
            assert "2 media wait already" in busy.json()["detail"]
            assert seconds(server, data={"texts": ["hot tea"]}) < 5
            for process in processes:
                os.kill(process, signal.SIGCONT)
        assert [one["problem"] for one in server.post("/predict", files=two).json()] == [None, None]
