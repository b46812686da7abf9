"""What an attacker sends to a real server: to read files through the page, to hold connections."""

from __future__ import annotations

import json
import os
import socket
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from serving import Server

from remodal.serve.access import HEADERS
from remodal.serve.page_parts import LEARNED

SECRET = "words of the server's user"  # noqa: S105
ASK, TEACH, LABEL = 0, 2, 7


def dropped(path: str) -> dict[str, Any]:
    """A file as the page names one that was dropped on it."""
    return {"path": path, "orig_name": "x.txt", "meta": {"_type": "gradio.FileData"}}


def called(server: Server, data: list[Any], function: int = ASK, session: str = "x") -> tuple[int, str]:
    """Status and answer of a call of one of the page's functions."""
    call = {"data": data, "fn_index": function, "session_hash": session}
    joined = server.post("/gradio_api/queue/join", json=call)
    if joined.status_code != 200:
        return joined.status_code, joined.text
    asked = {"session_hash": session}
    with httpx.stream("GET", f"{server.url}/gradio_api/queue/data", params=asked, timeout=60) as told:
        for line in told.iter_lines():
            if "process_completed" in line:
                return 200, line
    raise AssertionError("no answer")


def test_the_page_answers_what_was_dropped_on_it(server: Server) -> None:
    (path,) = server.post("/gradio_api/upload", files={"files": ("x.txt", b"a cup of hot tea")}).json()
    status, answer = called(server, [dropped(path), None, "", LEARNED])
    assert (status, "warm (text)" in answer) == (200, True)


@pytest.mark.parametrize("function", [ASK, TEACH, LABEL])
@pytest.mark.parametrize("kind", ["absolute", "relative", "up", "endless", "pipe", "address", "folder"])
def test_the_page_reads_nothing_else(server: Server, tmp_path: Path, kind: str, function: int) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text(SECRET)
    os.mkfifo(tmp_path / "pipe")
    (uploaded,) = server.post("/gradio_api/upload", files={"files": ("x.txt", b"a cup of hot tea")}).json()
    path = {
        "absolute": str(secret),
        "relative": os.path.relpath(secret),
        "up": f"{Path(uploaded).parent}/../../../../../../../../..{secret}",
        "endless": "/dev/zero",
        "pipe": str(tmp_path / "pipe"),
        "address": f"{server.url}/health",
        "folder": str(Path(uploaded).parent),
    }[kind]
    data = {
        ASK: [dropped(path), None, "", LEARNED],
        TEACH: ["grass", "text", [dropped(path)], LEARNED],
        LABEL: [[dropped(path)], LEARNED, 1],
    }
    status, answer = called(server, data[function], function)
    assert (status, SECRET in answer) == (400, False)
    assert "which was not dropped on this page" in json.loads(answer)["detail"]


@pytest.mark.parametrize(
    "call",
    [
        {"data": ["a"], "fn_index": ASK, "session_hash": "x"},
        {"data": ["a"], "fn_index": 99, "session_hash": "x"},
        {"data": ["a"], "fn_index": -1, "session_hash": "x"},
        {"data": [{"path": "/etc/passwd"}], "fn_index": ASK, "session_hash": "x"},
        {"data": [{"a": {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}}], "fn_index": ASK},
        {"data": [[[dropped("/etc/passwd")]]], "fn_index": ASK, "session_hash": "x"},
        {"data": ["x" * 200_000], "fn_index": ASK, "session_hash": "x"},
        {"data": [], "fn_index": ASK, "session_hash": "../x"},
        {"data": [], "fn_index": True, "session_hash": "x"},
        [],
    ],
)
def test_what_is_no_call_of_the_page_is_refused(server: Server, call: Any) -> None:
    refused = server.post("/gradio_api/queue/join", json=call)
    assert (refused.status_code, refused.json()["detail"].endswith("valid: what this page sends")) == (400, True)


def test_the_page_labels_what_was_dropped_on_it(server: Server) -> None:
    (path,) = server.post("/gradio_api/upload", files={"files": ("x.txt", b"a green meadow")}).json()
    status, answer = called(server, [[dropped(path)], LEARNED, 1], LABEL)
    assert (status, "1 of 1" in answer) == (200, True)


def test_who_has_asked_nothing_has_no_answers_to_wait_for(server: Server) -> None:
    for session in ("?session_hash=unknown", "?session_hash=%ff", ""):
        refused = httpx.get(f"{server.url}/gradio_api/queue/data{session}", timeout=20)
        assert (refused.status_code, refused.json()["detail"].startswith("found no call")) == (404, True)


@pytest.mark.parametrize("path", ["/etc/hostname", "http://127.0.0.1:1/x", "//etc/hostname", "%2fetc%2fhostname"])
def test_the_page_shows_nothing_but_what_was_dropped_on_it(server: Server, path: str) -> None:
    assert httpx.get(f"{server.url}/gradio_api/file={path}").status_code == 404


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"Host: [", 400),
        (b"Host: 127.0.0.1\r\nHost: evil.example", 400),
        (b"Host: user@127.0.0.1", 400),
        (b"Host: 127.0.0.1\r\nOrigin: http://[", 400),
        (b"Host: 127.0.0.1\r\nContent-Type: multipart/form-data; boundary=b; charset=utf-7", 400),
        (b"Host: 127.0.0.1\r\nContent-Type: multipart/form-data; boundary=b; charset=unicode_escape", 400),
        (b"Host: evil.example", 421),
        (b"Host: 127.0.0.1\r\nContent-Length: 1\r\nContent-Length: 2", 400),
        (b"no colon", 400),
    ],
)
def test_malformed_requests_are_refused_in_one_line(server: Server, line: bytes, status: int) -> None:
    answer = raw(server, b"POST /rollback HTTP/1.1\r\n" + line + b"\r\n\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert int(head.split()[1]) == status
    assert set(json.loads(body)) == {"detail"}
    assert all(f"{name}: {value}".encode() in head for name, value in HEADERS.items())


def raw(server: Server, request: bytes) -> bytes:
    """What comes back for some bytes."""
    with connected(server) as connection:
        connection.sendall(request)
        answer = b""
        while not answer.endswith(b"}"):
            answer += connection.recv(65_536)
    return answer


def connected(server: Server) -> socket.socket:
    """A connection to the server."""
    address = urlsplit(server.url)
    return socket.create_connection((address.hostname, address.port or 0), timeout=60)


def test_half_open_connections_make_room_for_those_who_ask(server: Server) -> None:
    held = [connected(server) for _ in range(200)]
    for connection in held:
        connection.sendall(b"GET /health HTTP/1.1\r\n")
    started = time.monotonic()
    assert server.get("/health")["status"] == "ok"
    assert time.monotonic() - started < 5
    assert sum("socket" in one for one in server.open_files()) < 100
    for connection in held:
        connection.close()
