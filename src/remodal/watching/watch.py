"""A folder is watched: what arrives in it is learned as it arrives."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path

from remodal.errors import RemodalError
from remodal.features.progress import Progress
from remodal.model import Model
from remodal.saved import InUse
from remodal.streams.folder import LAYOUT
from remodal.watching.arrivals import Arrivals
from remodal.watching.log import Entry
from remodal.watching.looking import Looker, Sign, listing_of
from remodal.watching.waking import looks

EVERY = 5.0
"""Seconds."""
KEEP = 5
"""Versions."""
MANY = 32
"""Files of which it is shown how learning them goes on."""
TOGETHER = 256
"""Files that are taken at a time, at most: so many are looked at again after a kill."""


def watch(
    folder: str | Path,
    model: str | Path,
    *,
    method: str | None = None,
    backbone: str | None = None,
    every: float = EVERY,
    once: bool = False,
    keep: int | None = KEEP,
    cache: Path | None = None,
    device: str = "cpu",
    dtype: str | None = None,
    depth_unit: str | None = None,
    trust_backbone: str | Path | None = None,
    progress: Progress | None = None,
) -> Iterator[Entry]:
    """Learn what stands in a folder ``<modality>/<class>/<files>``, and what arrives there; gives what was done.

    model: a saved model's folder; where there is none, a new model begins there, of ``method`` and ``backbone``
    (:class:`~remodal.model.Model`). every: seconds between two looks, at least; a file is whole when two looks find it
    the same. once: end when all that is whole is learned. keep: of the versions that watching made, the newest so many
    stay; None: all. depth_unit: of depth files that state none; by default what those had that the model learned from.

    Each content is learned once, under whatever name it comes, also after a kill at any moment. While another process
    changes the model, arrivals wait.

    Raises:
        RemodalError: There is no such folder, it has a manifest, the model is of another method or backbone, or is
            damaged.
    """
    root = Path(folder).resolve()
    if not root.is_dir():
        raise RemodalError(f"{folder}: no such folder; valid: a folder on this machine, laid out as {LAYOUT}")
    if not every > 0:
        raise RemodalError(f"every: found {every} seconds; valid: more than 0")
    begin = partial(
        Model, method or "remodal", backbone or "lite", cache=cache, device=device, dtype=dtype or "float32"
    )
    load = partial(Model.load, cache=cache, device=device, dtype=dtype, trust_backbone=trust_backbone)
    arrivals = Arrivals(model, load, begin, keep)
    loaded = arrivals.model()
    for what, asked, found in (("method", method, loaded.method_name), ("backbone", backbone, loaded.backbone_name)):
        if asked not in (None, found):
            raise RemodalError(f"{model}: found a model of the {what} {found}; valid: that, not {asked!r}")
    loaded.unit(depth_unit)
    done: dict[str, Sign] = {}  # as long as this process lives: also of files that an entry says nothing of

    def is_known(path: str, sign: Sign) -> bool:
        return done.get(path) == sign or arrivals.known.is_file(str(root), path, sign)

    looker = Looker(root, is_known)
    for _ in _twice(every) if once else looks(root, every, lambda: looker.unsettled):
        known = arrivals.known
        arrivals.model()
        if arrivals.known is not known:  # another process has learned something, or gone back
            done.clear()
        whole = iter(looker.look().items())
        while some := dict(islice(whole, TOGETHER)):
            items, quarantined = listing_of(root, tuple(some), arrivals.model().unit(depth_unit))
            order = {path: at for at, path in enumerate(some)}
            there = [one for one in quarantined if os.path.lexists(root / one.path)]
            try:
                entry = arrivals.take(
                    sorted(items, key=lambda item: order[item.id]), str(root), f"{root.name}, as it came",
                    signs=some, set_aside=there, progress=progress if len(some) >= MANY else None,
                )  # fmt: skip
            except InUse:
                if once:
                    raise
                looker.unsettled = True
                break
            done.update(some)
            if entry is not None:
                yield entry


def _twice(every: float) -> Iterator[None]:
    yield
    time.sleep(every)
    yield
