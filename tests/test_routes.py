"""All routes that the server's libraries bring along, held against a written list: what is new is found, and closed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.routing import Mount, Route
from starlette.testclient import TestClient

from remodal.serve import surface
from remodal.serve.access import Access
from remodal.serve.app import application
from remodal.serve.service import Service
from remodal.serve.settings import ServeSettings

WRITTEN = Path(__file__).with_name("routes.txt")
"""A line a route: ``open`` or ``closed``, the method, the path."""


@pytest.fixture(scope="module")
def served(saved_once: Path, lite_cache: Path) -> Iterator[TestClient]:
    """A server that is up."""
    service = Service(str(saved_once), lite_cache, None, ServeSettings.checked({"decoders": 1}))
    app = application(service, Access("127.0.0.1", None, 10_000))
    with TestClient(app, base_url="http://127.0.0.1:8000") as client:
        yield client


def registered(app: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Method and path of every route of an ASGI application, through middleware and mounted applications."""
    while hasattr(app, "_app"):
        app = app._app
    if not hasattr(app, "routes"):
        yield "GET", f"{prefix}/{{file:path}}"
        return
    for route in app.routes:
        if isinstance(route, Mount):
            yield from registered(route.app, prefix + route.path)
        elif isinstance(route, Route):
            yield from ((method, prefix + route.path) for method in route.methods or ())
        elif hasattr(route, "original_router"):
            yield from registered(route.original_router, prefix)
        else:
            yield "?", repr(route)


def written() -> dict[tuple[str, str], str]:
    """``open`` or ``closed`` by method and path."""
    lines = [line.split() for line in WRITTEN.read_text().splitlines()]
    return {(method, path): state for state, method, path in lines}


def example(path: str) -> str:
    """A path that a route's pattern stands for."""
    return "/".join("x" if "{" in part else part for part in path.replace("={", "=/{").split("/")).replace("=/", "=")


def test_no_library_has_brought_a_route_that_nobody_has_read(served: TestClient) -> None:
    assert set(registered(served.app)) == set(written())


def test_what_is_closed_is_not_there(served: TestClient) -> None:
    closed = [one for one, state in written().items() if state == "closed"]
    assert len(closed) > 60
    for method, path in closed:
        answer = served.request(method, example(path))
        assert answer.status_code in (404, 405), (method, path, answer.status_code)
        if method != "HEAD":
            assert answer.json()["detail"].startswith("found ")


def test_what_is_open_is_all_that_the_page_and_the_documentation_say() -> None:
    opened = {path for (_, path), state in written().items() if state == "open"}
    own = {path for path in opened if not path.startswith(("/gradio_api", "/assets", "/static", "/theme", "/favicon"))}
    assert own == {*surface.OWN, *surface.DOCUMENTATION, "/"} - {"/static-offline-docs/{file}"}
    for (method, path), state in written().items():
        assert (method in surface.methods(example(path))) == (state == "open"), (method, path)
