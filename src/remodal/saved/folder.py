"""The folder of a saved model, and its versions.

    config.json              the current version: its description, which names its files
    README.md                its card
    tensors/*.safetensors    what methods learned, and items to measure versions with, in pieces that versions share
    versions/1.json, ...     the description of each version, where there is more than one
    log.jsonl                what was done, of versions that were removed or gone back from

A new version's files are written beside the old ones, and ``config.json`` is replaced last: a process that dies on
the way leaves the current version as it was. A version goes with its description, and then the files that no other
names: what a killed process has left of them, the next change removes.
"""

from __future__ import annotations

import re
import shutil
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock, Timeout

from remodal.errors import RemodalError
from remodal.files import forget_parts, write_text
from remodal.learning.prepare import PreparedStream
from remodal.learning.results import versions as made_with
from remodal.learning.settings import RunSettings
from remodal.methods.base import Method, State
from remodal.saved.card import card
from remodal.saved.description import About, Description, cleaned, described, valid
from remodal.saved.inside import refuse_links
from remodal.saved.learned import Learned, about
from remodal.saved.log import LOG, Done, last_written, not_written, written
from remodal.saved.pieces import PIECES, gathered, stored

CONFIG = "config.json"
CARD = "README.md"
VERSIONS = "versions"
LOCK = ".lock"
REMEMBERED = 10_000
"""Entries of the log that are read."""
OWN_FILE = re.compile(rf"({PIECES}/[0-9a-f]{{64}}|(model|held_out)(-[0-9]+)?)\.safetensors")
"""Files of tensors, those of schema 1 too."""


class InUse(RemodalError):
    """Another process is changing the model."""


class Saved(NamedTuple):
    """What a folder holds of a model. held_out: see :class:`~remodal.saved.held_out.HeldOut`. items: see
    :class:`~remodal.saved.items.Items`; None where an earlier version saved it.
    """

    description: Description
    state: State
    held_out: State
    items: State | None


def is_model(folder: Path) -> bool:
    """Whether ``folder`` looks like a saved model's."""
    return (folder / CONFIG).is_file()


def is_free(folder: Path, own: Collection[str] = ()) -> bool:
    """Whether a model can begin in ``folder``: at most what a process has left that was killed when it began one.

    own: names of files that may stand there too.
    """
    known = {LOCK, CARD, VERSIONS, PIECES, *own}
    return not is_model(folder) and (
        not folder.exists()
        or (folder.is_dir() and all(one.name in known or one.name.endswith(".part") for one in folder.iterdir()))
    )


@contextmanager
def changing(folder: Path) -> Iterator[None]:
    """While the block runs, no other process adds a version or goes back to one.

    A folder that was made for it goes again where the block fails before it holds a model.

    Raises:
        InUse: Another one is at it.
        RemodalError: What would be written would land elsewhere, by a link.
    """
    made = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    refuse_links(folder, (LOCK, VERSIONS, PIECES))
    lock = FileLock(folder / LOCK, timeout=0, is_singleton=True)  # so a block may stand inside another
    outermost = not lock.is_locked
    try:
        with lock:
            if outermost:
                _forget_remains(folder)
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


def write(
    folder: Path, told: About, state: State, learned: Learned, parent: int | None = None, note: str = ""
) -> Description:
    """Make this the current version, with the next number; the versions before it stay. Its description is returned.

    learned: of which the items are stored, and those held out. parent: the version of this folder that it learned on
    from. note: what was done, in words. The caller holds :func:`changing`.
    """
    number = next_version(folder)
    try:
        weights, held = stored(folder, state), stored(folder, learned.held_out.state())
        items = stored(folder, learned.items.state())
        with valid(f"{folder}: can't be saved"):
            written = Description(
                version=number,
                parent=parent,
                made=datetime.now(UTC).isoformat(timespec="seconds"),
                made_with=made_with(),
                note=cleaned(note),
                about=told,
                weights=weights,
                held_out=held,
                items=items,
            )
        if is_model(folder):
            _keep(folder, described(folder, CONFIG))
        _make_current(folder, written)
    except BaseException:
        if not is_model(folder) or current_version(folder) != number:
            _forget_remains(folder)
        raise
    return written


def next_version(folder: Path) -> int:
    """The number of the version that would be added now."""
    return max((one.version for one in versions(folder)), default=0) + 1 if is_model(folder) else 1


def write_run(folder: Path, settings: RunSettings, method: Method, prepared: PreparedStream) -> Description:
    """What a run has learned, as the only version in ``folder``."""
    shutil.rmtree(folder, ignore_errors=True)
    learned = Learned.from_run(prepared, f"stream {settings.stream}")
    told = about(method, settings.method, settings.backbone, settings.features, learned)
    with changing(folder):
        return write(folder, told, method.state(), learned)


def read(folder: Path) -> Saved:
    """The current version.

    Raises:
        RemodalError: The folder isn't a model's, a file is missing, cut short or altered, or a newer remodal made it.
    """
    description = described(folder, CONFIG)
    try:
        state, held_out = (gathered(folder, files) for files in (description.weights, description.held_out))
        items = gathered(folder, description.items) if description.items else None
        return Saved(description, state, held_out, items)
    except RemodalError:
        if described(folder, CONFIG) == description:
            raise
        return read(folder)  # while it was read, it was replaced and forgotten


def versions(folder: Path) -> list[Description]:
    """All versions, oldest first."""
    current = described(folder, CONFIG)  # which is kept before another one takes its place
    by_number = {current.version: current}
    for file in (folder / VERSIONS).glob("*.json"):
        try:
            one = described(folder, f"{VERSIONS}/{file.name}")
        except RemodalError:
            if file.exists():
                raise
            continue  # it has just been forgotten
        if _kept(one.version) != f"{VERSIONS}/{file.name}":
            raise RemodalError(f"{file}: damaged: found version {one.version} in it")
        by_number[one.version] = one
    current = described(folder, CONFIG)
    by_number[current.version] = current
    return [by_number[number] for number in sorted(by_number)]


def current_version(folder: Path) -> int:
    """The number of the version that loading gives."""
    return current_description(folder).version


def current_description(folder: Path) -> Description:
    """All that is said of the version that loading gives."""
    return described(folder, CONFIG)


def roll_back(folder: Path, version: int | None = None) -> Description:
    """Make an earlier version the current one again: the one given, or the current one's parent.

    Nothing is removed: the version that was left can be gone back to as well. The caller holds :func:`changing`.
    """
    current = described(folder, CONFIG)
    wanted = current.parent if version is None else version
    by_number = {one.version: one for one in versions(folder)}
    if wanted is None:
        raise RemodalError(f"{folder}: version {current.version} is the first one; there is none to go back to")
    if wanted not in by_number:
        raise RemodalError(f"{folder}: found no version {wanted}; valid: {', '.join(map(str, by_number))}")
    _write_log(folder, [*by_number.values()], current.version)
    _keep(folder, current)
    _make_current(folder, by_number[wanted])
    _write_log(folder, [*by_number.values()], wanted)
    return by_number[wanted]


def forget(folder: Path, keep: int, among: Callable[[Description], bool] = lambda _: True) -> list[int]:
    """Remove all versions but the newest ``keep`` and the current one, with what of their files no other version names.

    among: the versions that are counted and removed; the others stay. Returns the numbers of those removed. The caller
    holds :func:`changing`.
    """
    if keep < 1:
        raise RemodalError(f"found {keep} versions to keep; valid: 1 or more")
    current, listed = current_version(folder), versions(folder)
    counted = [one.version for one in listed if among(one)]
    removed = [version for version in counted[:-keep] if version != current]
    if removed:
        _write_log(folder, listed, current)
    for number in removed:
        (folder / _kept(number)).unlink(missing_ok=True)
    _forget_remains(folder)
    return removed


def history(folder: Path) -> list[Done]:
    """What was learned, corrected and gone back to, oldest first, also of versions that were removed; the last
    ``REMEMBERED``.

    Raises:
        RemodalError: The folder isn't a model's, or its log is damaged.
    """
    kept = deque(written(folder), REMEMBERED)
    kept.extend(not_written(last_written(folder), versions(folder), current_version(folder)))
    return list(kept)


def _write_log(folder: Path, listed: Sequence[Description], current: int) -> None:
    """Write what the log lacks, before the versions that tell it go."""
    entries = not_written(last_written(folder), listed, current)
    if entries:
        LOG.append(folder, b"".join(one.as_line() for one in entries))


def _kept(number: int) -> str:
    return f"{VERSIONS}/{number}.json"


def _keep(folder: Path, description: Description) -> None:
    file = folder / _kept(description.version)
    if not file.exists():
        write_text(file, description.as_json())


def _make_current(folder: Path, description: Description) -> None:
    write_text(folder / CARD, card(description))
    write_text(folder / CONFIG, description.as_json())


def _forget_remains(folder: Path) -> None:
    """Remove what processes that were killed have left: parts of files, and files of tensors that no version names."""
    for place in (folder, folder / VERSIONS, folder / PIECES):
        forget_parts(place)
    with suppress(RemodalError):  # where a description is damaged, nobody knows which files it names
        listed = versions(folder) if is_model(folder) else []
        named = {name for one in listed for name in one.files}
        left = [*folder.glob("*.safetensors")] if listed else []
        for file in (*left, *(folder / PIECES).glob("*.safetensors")):
            name = file.relative_to(folder).as_posix()
            if OWN_FILE.fullmatch(name) and name not in named:
                file.unlink(missing_ok=True)
