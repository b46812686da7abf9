"""A server over a small model, asked in this process as over HTTP."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from remodal.modalities import MODALITIES
from remodal.serve import frames
from remodal.serve.access import Access
from remodal.serve.app import application
from remodal.serve.service import Service
from remodal.serve.settings import ServeSettings

Serve = Callable[..., TestClient]

_SAYS_THAT_IT_IS_READY = f"import os, sys; os.write(1, {frames.packed({'ready': True})!r}); sys.stdin.read()"
IDLE = [sys.executable, "-I", "-S", "-c", _SAYS_THAT_IT_IS_READY]
"""Stands where a decoding process would, for tests in which nothing is decoded: it need not import anything."""


@pytest.fixture
def serve(saved: Path, lite_cache: Path) -> Iterator[Serve]:
    """``serve(index=..., token=..., files=3)``: a client of a server that is up.

    decodes: whether it can. modalities: served.
    """
    with ExitStack() as running:

        def start(
            index: str | None = None,
            token: str | None = None,
            host: str = "127.0.0.1",
            base_url: str = "http://127.0.0.1:8000",
            decodes: bool = True,
            modalities: Sequence[str] = tuple(MODALITIES),
            **settings: object,
        ) -> TestClient:
            chosen = ServeSettings.checked({"decoders": 1, **settings})
            service = Service(str(saved), lite_cache, index, chosen, modalities=modalities)
            if not decodes:
                service._decoders._arguments = IDLE
            app = application(service, Access(host, token, chosen.upload_bytes, chosen.public_url))
            return running.enter_context(TestClient(app, base_url=base_url))

        yield start


@pytest.fixture(scope="session")
def standing(saved_once: Path, lite_cache: Path) -> Iterator[TestClient]:
    """Of one server for all tests that change nothing; it takes 100,000 bytes a request."""
    service = Service(str(saved_once), lite_cache, None, ServeSettings.checked({"decoders": 1}))
    with TestClient(
        application(service, Access("127.0.0.1", None, 100_000)), base_url="http://127.0.0.1:8000"
    ) as client:
        yield client


@pytest.fixture
def client(serve: Serve) -> TestClient:
    """Of a server without an index."""
    return serve()
