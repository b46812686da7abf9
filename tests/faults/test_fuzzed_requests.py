"""Requests that nobody would send: every route, with what its documentation allows and what it doesn't, and headers."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, reject, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from serving import Server, served

from remodal.serve import surface
from remodal.serve.access import HEADERS

quick = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the server complains of."""
    return tmp_path_factory.mktemp("fuzzed") / "log"


@pytest.fixture(scope="module")
def server(saved_once: Path, lite_cache: Path, log: Path) -> Iterator[Server]:
    """A real one; the module's model may learn what it is taught."""
    model = Path(shutil.copytree(saved_once, log.with_name("model")))
    with log.open("w") as errors, served(model, lite_cache, "serve.upload_bytes=1000000", errors=errors) as running:
        yield running


@pytest.fixture(scope="module")
def schema(server: Server) -> Any:
    """What the server says of itself."""
    return schemathesis.openapi.from_url(f"{server.url}/openapi.json")


def fine(status: int, headers: Any, text: str) -> None:
    """No failure of the server's own, one line where something is refused, and the headers always."""
    assert status < 500 or (status == 503 and "retry-after" in headers), (status, text)
    assert "Traceback" not in text
    assert {name: headers.get(name) for name in HEADERS} == HEADERS
    if status >= 400:
        found = re.fullmatch(r'\{"detail":"(.*)"\}', text)
        assert found is not None, text


ROUTES = sorted((method, path) for path, methods in surface.OWN.items() for method in methods if method != "HEAD")


@pytest.mark.parametrize(("method", "path"), [one for one in ROUTES if one[1] != "/login"])
@quick
@given(data=st.data())
def test_whatever_a_route_is_sent_is_answered_or_refused_in_one_line(
    schema: Any, method: str, path: str, data: st.DataObject
) -> None:
    mode = data.draw(st.sampled_from([GenerationMode.POSITIVE, GenerationMode.NEGATIVE]))
    try:
        case = data.draw(schema[path][method].as_strategy(generation_mode=mode))
    except Unsatisfiable:  # a route that takes nothing can't be asked for wrongly
        reject()
    answer = case.call(timeout=60)
    fine(answer.status_code, {name: values[0] for name, values in answer.headers.items()}, answer.text)


values = st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=60) | st.sampled_from(
    ["[", "[::1", "127.0.0.1:", "127.0.0.1:99999999", "http://[", "null", "a@127.0.0.1", "127.0.0.1, evil.example",
     "multipart/form-data; boundary=b; charset=utf-7", "multipart/form-data", "application/json; charset=idna",
     "chunked", "-1", "9" * 5000, "remodal_token=\xff; remodal_token", "bytes=9-1", "Bearer", "Bearer \xff"]
)  # fmt: skip
names = st.sampled_from(
    ["host", "origin", "cookie", "authorization", "content-type", "range", "x-forwarded-for", "forwarded", "te",
     "sec-fetch-site", "accept-encoding", "if-range", "expect", "upgrade"]
)  # fmt: skip


methods = st.sampled_from(["GET", "POST", "HEAD", "PUT", "OPTIONS", "TRACE", "X"])
paths = st.sampled_from(
    ["/", "/predict", "/search", "/rollback", "/versions", "/media/x", "/login", "/gradio_api/queue/join", "/%ff%00",
     "/gradio_api/queue/data?session_hash=%ff", "/gradio_api/file=/etc/passwd", "//", "/..%2f..", "/jobs/%ed%a0%80"]
)  # fmt: skip
bodies = st.sampled_from(
    [b"", b"{", b'{"version": NaN}', b'{"data": [], "fn_index": 99, "session_hash": "x"}', b"--b--"]
)


@pytest.mark.parametrize("examples", [100, pytest.param(1000, marks=pytest.mark.long)])
def test_whatever_a_header_says_is_answered_or_refused_in_one_line(server: Server, examples: int) -> None:
    @settings(parent=quick, max_examples=examples)
    @given(methods, paths, st.dictionaries(names, values, max_size=4), bodies)
    def ask(method: str, path: str, headers: dict[str, str], body: bytes) -> None:
        encoded = {name: value.strip().encode("latin-1") for name, value in headers.items()}
        answer = client.request(method, server.url + path, headers=encoded, content=body)
        if method != "HEAD" and answer.status_code != 200:
            fine(answer.status_code, answer.headers, answer.text)
        assert answer.status_code < 500
        client.cookies.clear()

    with httpx.Client(timeout=30) as client:
        ask()


def test_the_server_still_answers_and_no_traceback_was_written(server: Server, log: Path) -> None:
    assert server.get("/health")["status"] == "ok"
    assert "Traceback" not in log.read_text()
