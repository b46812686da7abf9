"""Jobs of a table in processes of this machine, as many side by side as asked for, each of one thread."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Generator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import active_children, get_context, parent_process
from pathlib import Path
from typing import Protocol

from remodal.comparison.job import Job, Ran
from remodal.training.threads import bound_spinning


class Pool(Protocol):
    """Who does the jobs of a table."""

    def done(self, jobs: Sequence[Job]) -> Generator[tuple[Job, Ran | None], None, None]:
        """Each job when it is done, and what became of it; None where its process died, again and again.

        A generator that is closed before its end ends the processes.
        """


@dataclass(frozen=True)
class Processes:
    """Of this machine, with the cache of this one.

    at_once: how many.
    """

    at_once: int
    cache: Path

    def done(self, jobs: Sequence[Job]) -> Generator[tuple[Job, Ran | None], None, None]:
        """Each job when it is done; of those that a lost process was to do, none is begun again."""
        bound_spinning()
        # spawn: a fork would copy the threads' locks, in whatever state they are
        with ProcessPoolExecutor(min(self.at_once, len(jobs)) or 1, get_context("spawn"), initializer=_start) as pool:
            try:
                working = {pool.submit(job.run, self.cache): job for job in jobs}
                for future in as_completed(working):
                    try:
                        ran: Ran | None = future.result()
                    except BrokenProcessPool:
                        ran = None
                    yield working[future], ran
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                for process in active_children():
                    process.terminate()  # what a run has learned is in its folder
                raise


def _start() -> None:
    """Make a fresh process one that ends with its parent, however that ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt is the parent's matter
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)  # or it would go on with a run that the next command takes up
