"""Updates of the model and of its index: one after the other, each in a process of its own, while the model answers."""

from __future__ import annotations

import asyncio
import json
import secrets
import sys
from asyncio import Queue
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from remodal.errors import RemodalError
from remodal.saved import tidy
from remodal.serve.background import Background
from remodal.serve.batching import Busy
from remodal.serve.staging import Lesson, Staging

REMEMBERED = 100
"""Finished jobs that can still be asked about."""


@dataclass
class Job:
    """One piece of work for another process.

    kind: ``update`` teaches the class ``label`` from ``files`` files, ``refresh`` embeds stored media again. progress:
    ``work``, ``done`` and ``total`` of what is going on. result: what the work did.
    """

    id: str
    kind: Literal["update", "refresh"]
    label: str = ""
    files: int = 0
    state: Literal["waiting", "running", "done", "failed"] = "waiting"
    progress: dict[str, Any] = field(default_factory=dict)
    result: dict[str, Any] | None = None
    problem: str | None = None

    def as_json(self) -> dict[str, Any]:
        """As clients see it."""
        return asdict(self)


class Jobs(Background):
    """model: its folder. answer_with_current: has the folder's current version answer, and gives its number. staging:
    where files wait; it is kept open around. waiting: jobs that may wait.
    """

    def __init__(
        self,
        model: Path,
        cache: Path,
        device: str,
        index: str | None,
        trust_backbone: Path | None,
        staging: Staging,
        waiting: int,
        answer_with_current: Callable[[], Awaitable[int]],
    ) -> None:
        self._model = model
        told = [str(model), str(cache), device, index or "", str(trust_backbone or "")]
        self._learner = [sys.executable, "-m", "remodal.serve.learner", *told]
        self._staging = staging
        self._answer_with_current = answer_with_current
        self._queue: Queue[Job] = Queue(waiting)
        self.all: dict[str, Job] = {}

    async def update(self, label: str, lessons: Sequence[Lesson]) -> Job:
        """Queue an update that teaches ``label`` from files.

        Raises:
            RemodalError: Too many jobs wait, or the files can't be kept.
        """
        self._check()
        job = Job(secrets.token_hex(8), "update", label, len(lessons))
        await asyncio.to_thread(self._staging.keep, job.id, label, lessons)
        try:
            return self._queued(job)
        except RemodalError:
            self._staging.forget(job.id)
            raise

    def refresh(self) -> Job:
        """Queue a refresh of the index. Raises Busy where too many jobs wait."""
        return self._queued(Job(secrets.token_hex(8), "refresh"))

    def _check(self) -> None:
        if self._queue.full():
            raise Busy(f"{self._queue.maxsize:,} jobs wait already; try again when one is done")

    def _queued(self, job: Job) -> Job:
        self._check()
        self._queue.put_nowait(job)
        self.all[job.id] = job
        return job

    async def _run(self) -> None:
        while True:
            job = await self._queue.get()
            try:
                await self._work(job)
            except Exception as error:
                # it may have died with a new version saved, or half of one
                await asyncio.to_thread(tidy, self._model)
                version = await self._answer_with_current()
                job.state, job.problem = "failed", f"{' '.join(str(error).split())}; version {version} answers"
            finally:
                self._staging.forget(job.id)
            finished = [one for one in self.all.values() if one.state in ("done", "failed")]
            for old in finished[:-REMEMBERED]:
                del self.all[old.id]

    async def _work(self, job: Job) -> None:
        """Have it done; RemodalError with what the process told last, or that it told nothing."""
        job.state = "running"
        data = [str(self._staging.lessons(job.id))] if job.kind == "update" else []
        process = await asyncio.create_subprocess_exec(*self._learner, *data, stdin=DEVNULL, stdout=PIPE)
        problem = ""
        try:
            assert process.stdout is not None
            async for line in process.stdout:
                told = json.loads(line)
                if "work" in told:
                    job.progress = told
                elif "problem" in told:
                    problem = told["problem"]
                else:
                    job.result = told
                    await self._answer_with_current()
            status = await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if status != 0:
            raise RemodalError(problem or f"the process that learned ended with status {status}")
        job.state = "done"
