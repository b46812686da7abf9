"""Where frozen features and exported graphs are kept between runs."""

from __future__ import annotations

import os
import sys
from pathlib import Path

VARIABLE = "REMODAL_CACHE"


def cache_folder() -> Path:
    """``$REMODAL_CACHE``, or else ``remodal`` in the user's cache folder; it need not exist.

    That folder is ``$XDG_CACHE_HOME`` or ``~/.cache`` (XDG base directories), ``~/Library/Caches`` on macOS.
    """
    if chosen := os.environ.get(VARIABLE):
        return Path(chosen).expanduser().resolve()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "remodal"
    # a relative XDG path is invalid by the specification and to be ignored
    stated = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (stated if stated.is_absolute() else Path.home() / ".cache") / "remodal"
