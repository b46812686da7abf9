"""What of a saved model is not believed: the frozen model that it names, and that its tensors fit its method."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from remodal.backbones import backbones
from remodal.backbones.sources import SUFFIXES, named_in, settings_in
from remodal.errors import RemodalError


def trusted(folder: Path, named: str, settings: Mapping[str, object], trust: str | Path | None) -> None:
    """RemodalError where a saved model is to read a frozen model that the caller doesn't trust.

    named, settings: the frozen model's name, and what was set of it. trust: a folder or an id, or a file of towers for
    itself and all that it names.
    """
    needed = [*([] if named in backbones.names() else [named]), *named_in(settings)]
    if needed and trust is None:
        raise RemodalError(
            f"{folder}: names {needed[0]!r} as its frozen model; nothing outside a saved model is opened unless "
            "you trust it: --trust-backbone PATH (in Python trust_backbone=PATH)"
        )
    allowed = {Path(one).resolve() for one in _trusting(trust)}
    for one in needed:
        if Path(one).resolve() not in allowed:
            raise RemodalError(f"{folder}: names {one!r} as its frozen model, not the trusted {str(trust)!r}")


def _trusting(trust: str | Path | None) -> list[str]:
    if trust is None:
        return []
    in_file = named_in(settings_in(Path(trust))().model_dump()) if Path(trust).suffix in SUFFIXES else []
    return [str(trust), *in_file]


@contextmanager
def fitting(folder: Path, method: str) -> Iterator[None]:
    """A block that uses what a file says of a method's state: RemodalError where it doesn't fit the method."""
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        said = " ".join(str(error).split())[:200]
        raise RemodalError(f"{folder}: its tensors don't fit the method {method!r} ({said})") from error
