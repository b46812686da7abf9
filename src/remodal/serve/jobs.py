"""Changes of the model and of its index: one after the other, each in a process of its own, while the model answers."""

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

from remodal.errors import RemodalError, in_one_line
from remodal.saved import tidy, versions
from remodal.serve.admission import Busy
from remodal.serve.background import Background, log, one_line
from remodal.serve.learner import Work
from remodal.serve.staging import TAUGHT, Kind, Sent, Staging

REMEMBERED = 100
"""Finished jobs that can still be asked about."""
NOTED = {"forget": "forgot ", "relabel": "relabelled "}
"""How the note of a version begins that such a job made."""
MAX_LINE = 1 << 24
"""Bytes of one line that the learner tells."""


@dataclass
class Job:
    """One piece of work for another process.

    kind: ``update`` teaches the classes named in ``label`` from ``files`` files, and so does ``arrival``, for which
    each content counts once; ``relabel`` has files be of that class; ``forget`` forgets the classes named in ``label``,
    and files; ``refresh`` embeds stored media again. labels: what is named in ``label``, one by one. progress:
    ``work``, ``done`` and ``total`` of what is going on. result: what the work did. problem: what didn't work; beside
    a result where the new version was saved nevertheless.
    """

    id: str
    kind: Kind
    label: str = ""
    files: int = 0
    state: Literal["waiting", "running", "done", "failed"] = "waiting"
    progress: dict[str, Any] = field(default_factory=dict)
    result: dict[str, Any] | None = None
    problem: str | None = None
    labels: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """As clients see it."""
        return asdict(self)


class Jobs(Background):
    """work: what all jobs have in common. staging: where files wait; it is kept open around.

    waiting: jobs that may wait. answer_with_current: has the folder's current version answer, and gives its number.
    """

    def __init__(
        self, work: Work, staging: Staging, waiting: int, answer_with_current: Callable[[], Awaitable[int]]
    ) -> None:
        self._model = Path(work.model)
        self._learner = [sys.executable, "-m", "remodal.serve.learner", json.dumps(work._asdict())]
        self._staging = staging
        self._answer_with_current = answer_with_current
        self._queue: Queue[Job] = Queue(waiting)
        self.running = False
        self.all: dict[str, Job] = {}

    async def change(
        self, kind: Kind, labels: Sequence[str], files: Sequence[Sent], classes: Sequence[str] = ()
    ) -> Job:
        """Queue a change of the model, see :class:`Job`. labels: of the files, each once. classes: to be forgotten.

        Raises:
            RemodalError: Too many jobs wait, or the files can't be kept.
        """
        self.check_room()
        named = tuple(labels) or tuple(classes)
        job = Job(secrets.token_hex(8), kind, ", ".join(named), len(files), labels=named)
        await asyncio.to_thread(self._staging.keep, job.id, kind, files, classes)
        try:
            return self._queued(job)
        except RemodalError:
            self._staging.forget(job.id)
            raise

    def refresh(self) -> Job:
        """Queue a refresh of the index. Raises Busy where too many jobs wait."""
        return self._queued(Job(secrets.token_hex(8), "refresh"))

    def check_room(self) -> None:
        """Raises Busy where too many jobs wait."""
        if self._queue.full():
            raise Busy(f"{self._queue.maxsize:,} jobs wait already; try again when one is done")

    def _queued(self, job: Job) -> Job:
        self.check_room()
        self._queue.put_nowait(job)
        self.all[job.id] = job
        return job

    async def _run(self) -> None:
        while True:
            job = await self._queue.get()
            self.running = True
            try:
                await self._finish(job)
            except Exception as error:  # whatever it is: the next job is not to blame
                job.state, job.problem = "failed", one_line(error)
                log.exception("job %s failed", job.id)
            finally:
                self.running = False
                self._staging.forget(job.id)
            finished = [one for one in self.all.values() if one.state in ("done", "failed")]
            for old in finished[:-REMEMBERED]:
                del self.all[old.id]

    async def _finish(self, job: Job) -> None:
        """Have a job done, and tell truly what came of it."""
        before: set[int] | None = None
        try:
            before = await asyncio.to_thread(self._made_by, job)
            await self._work(job)
        except Exception as error:
            job.problem = one_line(error)
            try:
                job.problem += f"; version {await self._left_by(job, before)} answers"
            except RemodalError as damage:
                if (said := one_line(damage)) != job.problem:
                    job.problem += f"; {said}"
            log.warning("job %s, %s %s: %s", job.id, job.kind, job.label, job.problem)
        job.state = "done" if job.problem is None or job.result is not None else "failed"

    async def _left_by(self, job: Job, before: set[int] | None) -> int:
        """Clear up after a job that broke off, which may have saved a new version or half of one; what answers now."""
        await asyncio.to_thread(tidy, self._model)
        if job.result is None and before is not None:
            saved = await asyncio.to_thread(self._made_by, job) - before
            job.result = {"version": max(saved)} if saved else None
        return await self._answer_with_current()

    def _made_by(self, job: Job) -> set[int]:
        """The versions that such a job made: those that learned a label of it last, or that say they were corrected.

        Raises:
            RemodalError: The folder can't be read.
        """
        listed = versions(self._model)
        if job.kind in NOTED:
            return {one.version for one in listed if one.note.startswith(NOTED[job.kind])}
        last = {one.version: one.about.sources[-1] for one in listed if one.about.sources}
        taught = {version for version, source in last.items() if source.origin == TAUGHT}
        return {version for version in taught if {*job.labels} & {*last[version].classes}}

    async def _work(self, job: Job) -> None:
        """Have it done; RemodalError with what the process told last, or that it told nothing."""
        job.state = "running"
        learner = [*self._learner, *([] if job.kind == "refresh" else [str(self._staging.asked(job.id))])]
        process = await asyncio.create_subprocess_exec(*learner, stdin=DEVNULL, stdout=PIPE, limit=MAX_LINE)
        problem = ""
        try:
            assert process.stdout is not None
            with in_one_line("what the process that learned tells can't be understood"):
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
