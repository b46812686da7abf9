"""The folder of a saved model, and its versions.

    config.json            the current version: its description, which names its files
    README.md              its card
    model.safetensors      what the method learned          (of version 1; model-2.safetensors of version 2, ...)
    held_out.safetensors   items to measure versions with   (the same)
    versions/1.json, ...   the description of each version, where there is more than one

A new version's files are written beside the old ones, and ``config.json`` is replaced last: a process that dies on
the way leaves the current version as it was.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock, Timeout

from remodal.errors import RemodalError
from remodal.files import forget_parts, write_text
from remodal.learning.checkpoint import read_state, write_state
from remodal.learning.prepare import PreparedStream
from remodal.learning.results import versions as made_with
from remodal.learning.settings import RunSettings
from remodal.methods.base import Method, State
from remodal.saved.card import card
from remodal.saved.description import About, Description, File, described
from remodal.saved.learned import Learned, about

CONFIG = "config.json"
CARD = "README.md"
VERSIONS = "versions"


class InUse(RemodalError):
    """Another process is changing the model."""


class Saved(NamedTuple):
    """What a folder holds of a model. held_out: see :class:`~remodal.saved.held_out.HeldOut`."""

    description: Description
    state: State
    held_out: State


def is_model(folder: Path) -> bool:
    """Whether ``folder`` looks like a saved model's."""
    return (folder / CONFIG).is_file()


@contextmanager
def changing(folder: Path) -> Iterator[None]:
    """While the block runs, no other process adds a version or goes back to one.

    A folder that was made for it goes again where the block fails before it holds a model.

    Raises:
        InUse: Another one is at it.
    """
    made = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".lock", timeout=0, is_singleton=True)  # so a block may stand inside another
    try:
        with lock:
            forget_parts(folder)
            yield
    except Timeout:
        raise InUse(f"{folder}: another process is changing this model; try again when it is done") from None
    except BaseException:
        if made and not is_model(folder):
            shutil.rmtree(folder, ignore_errors=True)
        raise


def tidy(folder: Path) -> None:
    """Remove what processes that died while they changed the model have left; nothing where one changes it now."""
    with suppress(InUse), changing(folder):
        pass  # it begins so


def write(folder: Path, told: About, state: State, held_out: State, parent: int | None = None) -> Description:
    """Make this the current version, with the next number; the versions before it stay. Its description is returned.

    parent: the version of this folder that it learned on from. The caller holds :func:`changing`.
    """
    existing = versions(folder) if is_model(folder) else []
    number = max((one.version for one in existing), default=0) + 1
    suffix = "" if number == 1 else f"-{number}"
    weights, held = f"model{suffix}.safetensors", f"held_out{suffix}.safetensors"
    try:
        write_state(folder / weights, state)
        write_state(folder / held, held_out)
        written = Description(
            version=number,
            parent=parent,
            made=datetime.now(UTC).isoformat(timespec="seconds"),
            made_with=made_with(),
            about=told,
            weights=_file(folder / weights),
            held_out=_file(folder / held),
        )
        if existing:
            _keep(folder, described(folder / CONFIG))
            _keep(folder, written)
        _make_current(folder, written)
    except BaseException:
        if not is_model(folder) or current_version(folder) != number:
            for name in (_kept(number), weights, held):
                (folder / name).unlink(missing_ok=True)
        raise
    return written


def write_run(folder: Path, settings: RunSettings, method: Method, prepared: PreparedStream) -> Description:
    """What a run has learned, as the only version in ``folder``."""
    shutil.rmtree(folder, ignore_errors=True)
    learned = Learned.from_run(prepared, f"stream {settings.stream}")
    told = about(method, settings.method, settings.backbone, settings.features, learned)
    with changing(folder):
        return write(folder, told, method.state(), learned.held_out.state())


def read(folder: Path) -> Saved:
    """The current version.

    Raises:
        RemodalError: The folder isn't a model's, a file is missing, cut short or altered, or a newer remodal made it.
    """
    description = described(folder / CONFIG)
    return Saved(description, *(_checked(folder, file) for file in (description.weights, description.held_out)))


def versions(folder: Path) -> list[Description]:
    """All versions, oldest first."""
    current = described(folder / CONFIG)
    kept = [described(file) for file in (folder / VERSIONS).glob("*.json")]
    by_number = {one.version: one for one in (*kept, current)}
    return [by_number[number] for number in sorted(by_number)]


def current_version(folder: Path) -> int:
    """The number of the version that loading gives."""
    return described(folder / CONFIG).version


def roll_back(folder: Path, version: int | None = None) -> Description:
    """Make an earlier version the current one again: the one given, or the current one's parent.

    Nothing is removed: the version that was left can be gone back to as well. The caller holds :func:`changing`.
    """
    current = described(folder / CONFIG)
    wanted = current.parent if version is None else version
    by_number = {one.version: one for one in versions(folder)}
    if wanted is None:
        raise RemodalError(f"{folder}: version {current.version} is the first one; there is none to go back to")
    if wanted not in by_number:
        raise RemodalError(f"{folder}: found no version {wanted}; valid: {', '.join(map(str, by_number))}")
    _keep(folder, current)
    _make_current(folder, by_number[wanted])
    return by_number[wanted]


def _kept(number: int) -> str:
    return f"{VERSIONS}/{number}.json"


def _keep(folder: Path, description: Description) -> None:
    file = folder / _kept(description.version)
    if not file.exists():
        write_text(file, description.as_json())


def _make_current(folder: Path, description: Description) -> None:
    write_text(folder / CARD, card(description))
    write_text(folder / CONFIG, description.as_json())


def _file(path: Path) -> File:
    return File(name=path.name, bytes=path.stat().st_size, sha256=_sha256(path))


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _checked(folder: Path, file: File) -> State:
    """The tensors of ``file``, if its bytes are those that were written."""
    path = folder / file.name
    try:
        size = path.stat().st_size
        if size != file.bytes:
            found = f"found {size:,} bytes; valid: {file.bytes:,}"
            raise RemodalError(f"{path}: {'cut short' if size < file.bytes else 'not the file saved'}: {found}")
        if _sha256(path) != file.sha256:
            raise RemodalError(f"{path}: altered since it was saved: its SHA-256 isn't the one in {CONFIG}")
    except OSError as error:
        raise RemodalError(f"{path}: can't be read ({error.strerror})") from None
    return read_state(path)
