"""What the served model's folder says now; whatever is wrong with it is not the client's mistake."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from remodal.errors import RemodalError
from remodal.saved import current_version
from remodal.saved.folder import CONFIG


class Damaged(RemodalError):
    """The model's folder can't be read as it is now; the version that answers is in memory."""


@contextmanager
def folder_read() -> Iterator[None]:
    """Whatever is raised of the folder that is read becomes :class:`Damaged`."""
    try:
        yield
    except Damaged:
        raise
    except RemodalError as error:
        raise Damaged(str(error)) from error


def current(folder: Path) -> bytes:
    """``config.json`` of ``folder``, which changes with every version. Raises Damaged where it isn't one."""
    with folder_read():
        current_version(folder)
        try:
            return (folder / CONFIG).read_bytes()
        except OSError as error:
            raise Damaged(f"{folder / CONFIG}: can't be read ({error.strerror})") from None
