"""Runs of a table as tasks of a cluster: done by whichever machine is free, and again where that one died.

A run's folder has to be on a disk that all machines have. One that is done again goes on from its last checkpoint.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace

from remodal.cache import cache_folder
from remodal.cluster.tasks import tasks
from remodal.comparison.job import Job, Ran


@dataclass(frozen=True)
class ClusterJobs:
    """A :class:`~remodal.comparison.processes.Pool`. gpus: a run's part of one. at_once: None: as many as fit."""

    gpus: float = 0
    at_once: int | None = None

    def done(self, jobs: Sequence[Job]) -> Generator[tuple[Job, Ran | None], None, None]:
        """Each job when it is done."""
        found = [replace(job, folder=job.folder.resolve()) for job in jobs]  # a worker has another working folder
        for at, ran in tasks(_ran, [(job,) for job in found], gpus=self.gpus, at_once=self.at_once):
            yield jobs[at], ran


def _ran(job: Job) -> Ran:
    return job.run(cache_folder())
