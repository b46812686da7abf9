"""What is told of a job, whatever the process that learns does."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from remodal.saved.folder import CONFIG
from remodal.serve.current import Damaged
from remodal.serve.jobs import Job
from remodal.serve.service import Service
from remodal.serve.settings import ServeSettings
from remodal.serve.turns import Client
from remodal.serve.uploads import Upload

A = Client("here", "a")
SAVES_THEN = """
import contextlib, io, sys
from remodal.serve import learner
out = learner.Told.tell
learner.Told.tell = lambda told, **values: out(told, **values) if "work" in values else {then}
sys.exit(learner.main(*sys.argv[1:]))
"""


def taught(saved: Path, cache: Path, folder: Path, *learners: list[str]) -> list[Job]:
    """What becomes of one job after the other, each with a process of its own that learns; the real one where empty."""

    async def run() -> list[Job]:
        service = Service(str(saved), cache, None, ServeSettings.checked({"decoders": 1}))
        uploads = [Upload(file.name, file.read_bytes()) for file in sorted((folder / "audio/warm").glob("*.wav"))]
        whole, jobs = service.jobs._learner, []
        async with service:
            for learner in learners:
                service.jobs._learner = [*learner, *whole[3:]] if learner else whole
                job = await service.teach(A, ["hum"], uploads)
                jobs.append(job)
                while job.state in ("waiting", "running"):
                    await asyncio.sleep(0.05)
            assert service.problems == {}
        return jobs

    return asyncio.run(run())


def python(script: str) -> list[str]:
    """A process that runs it."""
    return [sys.executable, "-c", script]


def test_a_learner_that_breaks_off_fails_its_job_and_no_other(saved: Path, lite_cache: Path, folder: Path) -> None:
    broken = {
        "print('no JSON')": "can't be understood (Expecting value",
        "print('x' * (1 << 25))": "can't be understood (Separator",
        "import sys; sys.stdout.buffer.write(b'\\xff\\n')": "can't be understood ('utf-8' codec",
        "import os; os.kill(os.getpid(), 9)": "ended with status -9",
        'import sys; print(\'{"problem": "so and so"}\'); sys.exit(2)': "so and so",
    }
    *failed, whole = taught(saved, lite_cache, folder, *map(python, broken), [])
    for job, said in zip(failed, broken.values(), strict=True):
        assert (job.state, job.result) == ("failed", None)
        assert said in str(job.problem)
        assert str(job.problem).endswith("; version 1 answers")
    assert (whole.state, whole.problem) == ("done", None)


@pytest.mark.parametrize("then", ["print(1 / 0)", pytest.param("sys.exit(3)", marks=pytest.mark.long)])
def test_a_version_that_was_saved_is_told_of_though_telling_failed(
    saved: Path, lite_cache: Path, folder: Path, then: str
) -> None:
    (job,) = taught(saved, lite_cache, folder, python(SAVES_THEN.format(then=then)))
    assert (job.state, job.result) == ("done", {"version": 2})
    assert str(job.problem).endswith("; version 2 answers")


def test_a_folder_that_cannot_be_read_fails_the_job_alone(saved: Path, lite_cache: Path, folder: Path) -> None:
    config = (saved / CONFIG).read_bytes()
    jobs = []

    async def run() -> None:
        service = Service(str(saved), lite_cache, None, ServeSettings.checked({"decoders": 1}))
        uploads = [Upload("a.png", (folder / "image/warm/0.png").read_bytes())]
        async with service:
            jobs.append(await service.teach(A, ["hum"], uploads))
            (saved / CONFIG).write_bytes(b"{")
            while jobs[0].state in ("waiting", "running"):
                await asyncio.sleep(0.05)
            for asked in (service.versions, service.roll_back, lambda: service.teach(A, ["hum"], uploads)):
                with pytest.raises(Damaged, match="config.json: damaged"):
                    await asked()
            (said,) = await service.asking.answers(A, uploads)
            assert (said.version, said.answer.problem) == (1, None)
            (saved / CONFIG).write_bytes(config)
            jobs.append(await service.teach(A, ["hum"], uploads))
            while jobs[1].state in ("waiting", "running"):
                await asyncio.sleep(0.05)

    asyncio.run(run())
    assert jobs[0].state == "failed"
    assert "config.json: damaged" in str(jobs[0].problem)
    assert (jobs[1].state, jobs[1].result and jobs[1].result["version"]) == ("done", 2)


def test_a_folder_that_another_process_changed_is_followed_though_its_version_stays(
    saved: Path, lite_cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    said = "another process changed it; version 1 answers now"

    async def run() -> None:
        async with Service(str(saved), lite_cache, None, ServeSettings.checked({"decoders": 1})), asyncio.timeout(60):
            config = saved / CONFIG
            config.write_bytes(config.read_bytes() + b"\n")
            while said not in caplog.text:
                await asyncio.sleep(0.05)

    asyncio.run(run())
