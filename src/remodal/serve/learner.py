"""The process that learns: ``python -m remodal.serve.learner WORK [ASKED]``; WORK as JSON, see :class:`Work`.

ASKED is the file of what is to be changed, see :class:`~remodal.serve.staging.Asked`.

Tells of itself in JSON, one object a line on standard output: ``work``, ``done`` and ``total`` as it goes on; what was
done, when there is a new version; or ``problem``. The server may kill it at any moment:
the model's current version stays.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from remodal.correcting import Corrected, Forget, Relabel, correct
from remodal.errors import RemodalError
from remodal.features.progress import Counter
from remodal.media import Given
from remodal.model import Model
from remodal.saved import InUse
from remodal.serve.staging import TAUGHT, Asked
from remodal.streams import lessons
from remodal.training.threads import bound_spinning
from remodal.updating import Updated, update
from remodal.watching import Arrivals
from remodal.watching.watch import KEEP

TOLD_SECONDS = 0.2
"""Between two lines about the same work."""
PATIENCE_SECONDS = 60.0
"""That what arrives waits for another process, such as ``remodal watch``, to be done with the model."""


class Work(NamedTuple):
    """What every job of a server has in common.

    model, cache, device, dtype, trust_backbone: see :meth:`Model.load`. search_index: to be refreshed afterwards, None
    where there is none. keep: versions that stay after an update, None for all
    (for arrivals: the default of watching).
    """

    model: str
    cache: str
    device: str
    dtype: str | None
    search_index: str | None
    trust_backbone: str | None
    keep: int | None


class Told:
    """Progress as lines of JSON."""

    def __init__(self, out: Any) -> None:
        self._out = out

    @contextmanager
    def work(self, name: str, total: int) -> Iterator[Counter]:
        """A line at the start, and as it goes on."""
        done, told_at = 0, time.monotonic()
        self.tell(work=name, done=0, total=total)

        def count(steps: int = 1) -> None:
            nonlocal done, told_at
            done += steps
            if time.monotonic() - told_at > TOLD_SECONDS:
                told_at = time.monotonic()
                self.tell(work=name, done=done, total=total)

        yield count

    def note(self, line: str) -> None:
        """Nothing: the server tells of results."""

    def tell(self, **values: object) -> None:
        """One line."""
        self._out.write(json.dumps(values).encode() + b"\n")
        self._out.flush()


def main(work: str, asked: str = "") -> int:
    """Change the model as is asked, if anything is, and the index, if there is one; the exit status."""
    # what a library prints must not come between the lines
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    os.nice(10)  # answering goes first
    told, common = Told(out), Work(**json.loads(work))
    loading: dict[str, Any] = {
        "cache": Path(common.cache), "device": common.device, "dtype": common.dtype,
        "trust_backbone": common.trust_backbone,
    }  # fmt: skip
    try:
        if asked:
            job = Asked.read(Path(asked))
            told.tell(**CHANGES[job.kind](common, job, told, loading))
        if common.search_index:
            from remodal.search import Index, refresh

            refresh(Index.open(common.search_index), Model.load(common.model, **loading), told)
    except RemodalError as error:
        told.tell(problem=str(error))
        return 2
    return 0


def _updated(common: Work, job: Asked, told: Told, loading: dict[str, Any]) -> dict[str, Any]:
    """Learn a class; what was done."""
    done = update(common.model, job.data, keep=common.keep, progress=told, **loading)
    return {
        "version": done.version,
        "new": [list(column) for column in done.new],
        "more": [list(column) for column in done.more],
        **_accuracies(done),
        "set_aside": [one._asdict() for one in done.set_aside],
    }


def _corrected(common: Work, job: Asked, told: Told, loading: dict[str, Any]) -> dict[str, Any]:
    """Forget, or give files their right name; what was done."""
    files = [Given(one.name, Path(one.path).read_bytes(), one.modality, one.unit) for one in job.files]
    correction = Relabel(files, job.files[0].label) if job.kind == "relabel" else Forget(job.classes, files)
    done = correct(common.model, correction, keep=common.keep, progress=told, **loading)
    return {
        "version": done.version,
        "items": done.items,
        "held_out": done.held_out,
        "new": [list(column) for column in done.new],
        "gone": [list(column) for column in done.gone],
        **_accuracies(done),
    }


def _arrived(common: Work, job: Asked, told: Told, loading: dict[str, Any]) -> dict[str, Any]:
    """Learn what arrived, when no other process changes the model any more; what was done."""
    arrivals = Arrivals(common.model, partial(Model.load, **loading), keep=common.keep or KEEP)
    tasks, refused = lessons(job.data, undivided=sys.maxsize)
    items = [item for task in tasks for item in task.train]
    end = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            done = arrivals.take(items, TAUGHT, f"{TAUGHT}, as it came", set_aside=refused, progress=told)
        except InUse:
            if time.monotonic() > end:
                raise
            time.sleep(TOLD_SECONDS)
        else:
            assert done is not None, "each item is learned, held out or set aside"
            return done.model_dump(mode="json")


def _accuracies(done: Updated | Corrected) -> dict[str, Any]:
    return {
        "before": {name: measured.model_dump() for name, measured in done.before.items()},
        "after": {name: measured.model_dump() for name, measured in done.after.items()},
    }


CHANGES = {"update": _updated, "arrival": _arrived, "forget": _corrected, "relabel": _corrected}
"""What is done for each kind of job."""


if __name__ == "__main__":
    bound_spinning()
    sys.exit(main(*sys.argv[1:]))
