"""Where frozen features and exported graphs are kept between runs."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from remodal.errors import RemodalError

VARIABLE = "REMODAL_CACHE"


def cache_folder() -> Path:
    """``$REMODAL_CACHE``, or else ``remodal`` in the user's cache folder; it need not exist.

    That folder is ``$XDG_CACHE_HOME`` or ``~/.cache`` (XDG base directories), ``~/Library/Caches`` on macOS.

    Raises:
        RemodalError: It would be in the user's home folder, and the user has none.
    """
    try:
        return _chosen() or _of_the_user()
    except RuntimeError as error:  # as pathlib tells of a user without a home
        found = f"found no home folder to keep frozen features in ({str(error).rstrip('.')})"
        raise RemodalError(f"{found}; valid: {VARIABLE} with the path of a folder") from None


def _chosen() -> Path | None:
    chosen = os.environ.get(VARIABLE)
    return Path(chosen).expanduser().resolve() if chosen else None


def _of_the_user() -> Path:
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "remodal"
    # a relative XDG path is invalid by the specification and to be ignored
    stated = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (stated if stated.is_absolute() else Path.home() / ".cache") / "remodal"
