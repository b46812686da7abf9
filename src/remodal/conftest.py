"""What tests everywhere share: one backbone for the whole session, its graphs exported once."""

from __future__ import annotations

from pathlib import Path

import pytest

from remodal.backbones.lite import Lite


@pytest.fixture(scope="session")
def lite_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This session's cache folder, where the graphs of ``lite`` are exported to."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def lite(lite_cache: Path) -> Lite:
    """The embedded backbone on a CPU."""
    return Lite(lite_cache)
