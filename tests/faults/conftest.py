"""One server for the tests that leave it as it was."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from serving import Server, served


@pytest.fixture(scope="session")
def server(saved_once: Path, lite_cache: Path) -> Iterator[Server]:
    """Whoever uses it leaves it without work, at version 1, and with room for connections."""
    with served(saved_once, lite_cache, "serve.connections=40", decoders=2) as running:
        yield running
