"""Another process changes the model's folder, or damages it, while a server answers from it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from forking import forked
from serving import Server, served

SECONDS = 60
"""Within which the server follows, on a machine that is busy."""


def remodal_(cache: Path, *arguments: object) -> None:
    """One command in a process of its own."""
    process = forked(cache, *arguments)
    process.join(SECONDS)
    assert process.exitcode == 0


def soon(true: Callable[[], bool]) -> None:
    """Wait until it is."""
    end = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < end
        time.sleep(0.2)


def told(server: Server) -> list[tuple[int, bool, bool]]:
    """Versions, which of them is current, and which answers."""
    return [(one["version"], one["current"], one["answers"]) for one in server.get("/versions")]


@pytest.mark.long  # serve/test_api.py changes the folder in its own process
def test_a_server_follows_what_another_process_does(
    saved: Path, index: str, folder: Path, lite_cache: Path, tmp_path: Path
) -> None:
    more = tmp_path / "more"
    shutil.copytree(folder / "audio/warm", more / "audio/hum")
    with served(saved, lite_cache, "--index", index) as server:
        assert told(server) == [(1, True, True)]
        remodal_(lite_cache, "update", saved, "--data", more)
        soon(lambda: told(server) == [(1, False, False), (2, True, True)])
        assert server.get("/ready") == {"version": 2}
        soon(lambda: server.get("/index")["stale"] == {})
        remodal_(lite_cache, "rollback", saved, "--to", 1)
        soon(lambda: told(server) == [(1, True, True), (2, False, False)])
        soon(lambda: server.get("/index")["stale"] == {})
        (said,) = server.post("/predict", data={"texts": ["a cup of hot tea"]}).json()
        assert (said["version"], said["best"][0]["label"]) == (1, "warm")


DAMAGES = (b"{", b"\xff\xfe", b"[]", b'{"format": "remodal model", "schema": 1}')


@pytest.mark.long  # serve/test_jobs.py damages a folder quickly
def test_a_damaged_folder_is_told_of_and_followed_again_when_it_is_whole(
    saved: Path, folder: Path, lite_cache: Path, tmp_path: Path
) -> None:
    sounds = [("files", (file.name, file.read_bytes())) for file in sorted((folder / "audio/warm").glob("*.wav"))]
    config, log = saved / "config.json", tmp_path / "log"
    with log.open("w") as errors, served(saved, lite_cache, errors=errors) as server:
        for _ in range(2):
            whole = config.read_bytes()
            waiting = [server.post("/update", data={"label": "hum"}, files=sounds).json()["id"] for _ in range(2)]
            for damage in DAMAGES:
                config.write_bytes(damage)
                for answer in (
                    httpx.get(server.url + "/versions"),
                    server.post("/rollback", json={}),
                    server.post("/update", data={"label": "hum"}, files=sounds),
                ):
                    assert (answer.status_code, len(answer.json()["detail"].splitlines())) == (500, 1)
                    assert str(config) in answer.json()["detail"]
                time.sleep(1.2)
            version = server.get("/ready")["version"]
            assert server.post("/predict", data={"texts": ["hot tea"]}).json()[0]["version"] == version
            jobs = [server.finished(job) for job in waiting]
            assert [job["state"] for job in jobs] == ["failed", "failed"]
            assert "config.json" in jobs[0]["problem"]
            assert server.get("/health")["status"] == "ok"
            config.write_bytes(whole)
            job = server.finished(server.post("/update", data={"label": "hum"}, files=sounds).json()["id"])
            assert (job["state"], job["result"]["version"]) == ("done", version + 1)
    lines = log.read_text().splitlines()
    assert not any("Traceback" in line for line in lines)
    assert sum("the version in memory answers on" in line for line in lines) <= 10  # at most once a kind of damage
    assert any(f"job {waiting[0]}, update hum: " in line for line in lines)
