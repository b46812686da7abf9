"""What of a saved model is not believed: the frozen model that it names, and that its tensors fit its method."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from remodal.backbones import backbones
from remodal.errors import RemodalError


def trusted(folder: Path, named: str, trust: str | Path | None) -> None:
    """RemodalError where a saved model names a folder as its frozen model, and not the one that the caller trusts."""
    if named in backbones.names():
        return
    if trust is None:
        raise RemodalError(
            f"{folder}: names the folder {named!r} as its frozen model; nothing outside a saved model is opened unless "
            "you trust it: --trust-backbone PATH (in Python trust_backbone=PATH)"
        )
    if Path(named).absolute() != Path(trust).absolute():
        raise RemodalError(f"{folder}: names the folder {named!r} as its frozen model, not the trusted {str(trust)!r}")


@contextmanager
def fitting(folder: Path, method: str) -> Iterator[None]:
    """A block that uses what a file says of a method's state: RemodalError where it doesn't fit the method."""
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        said = " ".join(str(error).split())[:200]
        raise RemodalError(f"{folder}: its tensors don't fit the method {method!r} ({said})") from error
