"""A store that has to be smaller: what goes, and how, so that nobody loses what is in use.

LMDB's file never shrinks, so what stays is copied into a new one, which takes the old one's place at once. Processes
that have the old file open go on with it, as they would if it were removed: they miss nothing, and what they still
write there is computed again by whoever needs it next.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from mmap import PAGESIZE
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

import lmdb

from remodal.errors import RemodalError
from remodal.features.entries import features_key, is_features
from remodal.features.store import READY, START, FeatureStore, StoreInfo, opening, replace_files

UNITS = {"KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
SIZE = re.compile(rf"(\d+(?:\.\d+)?)\s*({'|'.join(UNITS)})", re.IGNORECASE)
PARTS = ".smaller-"
"""How the folders begin in which a copy is made."""
NODE = 32
"""Bytes that an entry takes beside its key and its value, about."""


def bytes_of(text: str) -> int:
    """A size as a person writes it, in bytes.

    >>> bytes_of("20GB"), bytes_of("1.5 mb")
    (20000000000, 1500000)
    """
    found = SIZE.fullmatch(text.strip())
    if found is None:
        raise RemodalError(f"size: found {text!r}; valid: a number and one of {', '.join(UNITS)}, such as 20GB")
    return round(float(found[1]) * UNITS[found[2].upper()])


def trimmed(folder: Path, limit: int) -> tuple[StoreInfo, StoreInfo]:
    """See that the store in ``folder`` takes at most ``limit`` bytes on disk; what it held before and holds now.

    An empty store takes a few pages, whatever the limit. Raises RemodalError where there is no room for the copy.
    """
    _forget_remains(folder)
    with FeatureStore(folder) as store:
        before, sizes, used = store.info(), store.sizes(), store.last_used()
        if before.bytes <= limit:
            return before, before
        part = Path(mkdtemp(prefix=PARTS, dir=folder))
        try:
            _fill(part, store, sizes, used, limit)
            with opening(folder):
                replace_files(folder)  # what another process began: this one may have opened the store before that
                part.rename(folder / READY)
                replace_files(folder)
        except (OSError, lmdb.Error) as error:
            found = f"the feature cache {folder} can't be made smaller ({error}); what stays needs room beside it"
            raise RemodalError(f"{found}; a smaller SIZE needs less, and remodal cache clear none") from None
        finally:
            rmtree(part, ignore_errors=True)
    with FeatureStore(folder) as smaller:
        return before, smaller.info()


def kept(sizes: Mapping[bytes, int], used: Mapping[bytes, float], limit: int) -> list[bytes]:
    """Which entries stay, of ``sizes`` bytes each, so that they take at most ``limit`` bytes of a file, about.

    Tokens go first where the same items' features are stored, and among equals what was used longest ago. used: by the
    start of a key.

    >>> both = {b"long ago": 50_000, b"long ago/frozen": 9_000, b"today...": 50_000, b"today.../frozen": 9_000}
    >>> kept(both, {b"long ago": 1.0, b"today...": 2.0}, limit=100_000)
    [b'today.../frozen', b'long ago/frozen', b'today...']
    """

    def worth(key: bytes) -> tuple[bool, float, bytes]:
        can_go = not is_features(key) and features_key(key) in sizes
        return can_go, -used.get(key[:START], 0.0), key

    found = []
    for key in sorted(sizes, key=worth):
        limit -= -(-sizes[key] // PAGESIZE) * PAGESIZE + len(key) + NODE
        if limit < 0:
            break
        found.append(key)
    return found


def _fill(part: Path, store: FeatureStore, sizes: Mapping[bytes, int], used: Mapping[bytes, float], limit: int) -> None:
    """Copy what stays of ``store`` to ``part``; once more where it turned out larger than was thought."""
    aim, staying = limit, list(sizes)
    while staying:
        staying = kept(sizes, used, aim)
        store.copy(part, staying)
        with FeatureStore(part) as copied:
            over = copied.info().bytes - limit
        if over <= 0:
            return
        aim -= over
        for file in part.glob("*.mdb"):
            file.unlink()
    store.copy(part, [])


def _forget_remains(folder: Path) -> None:
    """Remove what processes that were killed have left."""
    for part in folder.glob(f"{PARTS}*"):
        rmtree(part, ignore_errors=True)
