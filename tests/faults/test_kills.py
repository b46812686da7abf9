"""Kills, a full disk, dropped connections: the model's current version answers on, and nothing is left behind."""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from multiprocessing.context import ForkProcess
from pathlib import Path

import pytest
from forking import executed, forked
from serving import Server, served

import remodal
from remodal.saved import changing, forget, history, versions
from remodal.search import Index

FILES = 12
Begin = Callable[..., ForkProcess]


def lesson(folder: Path) -> list[tuple[str, tuple[str, bytes]]]:
    """Files for ``/update``."""
    sounds = sorted((folder / "audio").rglob("*.wav"))[:FILES]
    return [("files", (file.name, file.read_bytes())) for file in sounds]


def learner(server: Server) -> int:
    """The process that learns, once there is one."""
    for _ in range(600):
        for child, command in server.children().items():
            if b"remodal.serve.learner" in command:
                return child
        time.sleep(0.05)
    raise AssertionError("no process that learns")


def uploaded(cache: Path) -> list[Path]:
    """Files that clients sent and that are still there."""
    return [path for path in (cache / "uploads").rglob("*") if path.is_file() and path.name != ".lock"]


def still_answers(server: Server, version: int) -> None:
    """The version answers a sentence rightly."""
    (answer,) = server.post("/predict", data={"texts": ["a cup of hot tea"]}).json()
    assert (answer["version"], answer["best"][0]["label"]) == (version, "warm")


@pytest.mark.long  # serve/test_jobs.py breaks a learner off quickly
@pytest.mark.parametrize("shares", [(0.0, 0.5), pytest.param((0.0, 0.2, 0.4, 0.6, 0.8), marks=pytest.mark.long)])
@pytest.mark.parametrize(("route", "files"), [("/update", FILES), ("/relabel", 2)])
def test_the_process_that_learns_is_killed(
    saved: Path, folder: Path, lite_cache: Path, tmp_path: Path, shares: tuple[float, ...], route: str, files: int
) -> None:
    cache = Path(shutil.copytree(lite_cache, tmp_path / "cache", ignore=shutil.ignore_patterns("uploads")))
    with served(saved, cache) as server:

        def asked() -> str:
            """A job that gives files a name that they haven't had."""
            name = f"hum {next(names)}"
            job: str = server.post(route, data={"label": name}, files=lesson(folder)[:files]).json()["id"]
            return job

        names, started = count(), time.monotonic()
        whole = server.finished(asked())
        seconds, answering = time.monotonic() - started, whole["result"]["version"]
        failed = 0
        for share in shares:
            before = answering
            job = asked()
            process = learner(server)
            time.sleep(share * seconds)
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
            found = server.finished(job)
            if found["state"] == "failed":
                failed += 1
                answering = int(found["problem"].removesuffix(" answers").rpartition(" ")[2])
            else:
                answering = found["result"]["version"]
            assert answering in (before, before + 1)  # killed late, it may have saved the new version already
            still_answers(server, answering)
            assert [one["version"] for one in server.get("/versions") if one["current"]] == [answering]
            assert uploaded(cache) == []
            assert list(saved.rglob("*.part")) == []
        assert failed >= len(shares) // 2


@pytest.mark.long  # serve/test_own_folders.py kills a process that has them
def test_what_clients_sent_goes_with_a_server_that_is_killed_or_ends(
    saved: Path, folder: Path, graphs_only: Path
) -> None:
    def dropped(server: Server) -> Path:
        """Where a file is that was dropped on the page."""
        file = {"files": ("private.png", (folder / "image/warm/0.png").read_bytes())}
        (path,) = server.post("/gradio_api/upload", files=file).json()
        return Path(path)

    with served(saved, graphs_only) as server:
        kept = dropped(server)
        assert uploaded(graphs_only) == [kept]
        own = kept.relative_to(graphs_only / "uploads").parts[0]
        assert (graphs_only / "uploads" / own).stat().st_mode & 0o077 == 0
        server.post("/update", data={"label": "hum"}, files=lesson(folder))
        process = learner(server)
        server.process.kill()
        server.process.wait()
        os.kill(process, signal.SIGKILL)
    assert len(uploaded(graphs_only)) > 1
    assert kept.is_file()
    with served(saved, graphs_only) as server:
        still_answers(server, 1)
        assert uploaded(graphs_only) == []
        assert dropped(server).is_file()
    assert [path.name for path in (graphs_only / "uploads").iterdir()] == [".lock"]


@pytest.mark.parametrize(("begin", "kills"), [(forked, 3), pytest.param(executed, 5, marks=pytest.mark.long)])
def test_an_update_is_killed_again_and_again(
    saved: Path, folder: Path, lite_cache: Path, tmp_path: Path, begin: Begin, kills: int
) -> None:
    shutil.copytree(folder / "audio/warm", tmp_path / "more/audio/hum")
    command = ("update", saved, "--data", tmp_path / "more")
    seconds, draws = finished(begin(lite_cache, *command)), random.Random(0)  # noqa: S311
    for _ in range(kills):
        before = len(versions(saved))
        killed(begin(lite_cache, *command), seconds * draws.uniform(0.3, 1.0))
        found = versions(saved)
        assert before <= len(found) <= before + 1
        loaded = remodal.load(saved, cache=lite_cache)
        assert loaded.saved_as is not None
        assert loaded.saved_as[1] in {one.version for one in found}
    finished(begin(lite_cache, *command))
    named = {saved / name for one in versions(saved) for name in one.files}
    assert set((saved / "tensors").iterdir()) == named


def finished(process: ForkProcess) -> float:
    """The seconds that it took."""
    started = time.monotonic()
    process.join(120)
    assert process.exitcode == 0
    return time.monotonic() - started


def killed(process: ForkProcess, seconds: float) -> None:
    """After so many; it may have ended."""
    process.join(seconds)
    process.kill()
    process.join()


def test_forgetting_versions_is_killed_at_every_file(saved: Path, lite_cache: Path) -> None:
    model = remodal.load(saved, cache=lite_cache)
    for seed in (1, 2, 3):
        model.method.parts_["text"].sums += seed  # type: ignore[attr-defined]  # so that each has files of its own
        model.save(saved)
    for number in range(100):
        copy = Path(shutil.copytree(saved, saved.parent / f"copy {number}"))
        status = forgotten(copy, number)
        left = versions(copy)
        assert left[-1].version == 4
        assert [one.version for one in history(copy)] == [1, 2, 3, 4]
        for one in left:
            assert all((copy / name).exists() for name in one.files)
        if status == 0:
            break
        assert os.WTERMSIG(status) == signal.SIGKILL
        with changing(copy):
            forget(copy, 1)
        assert set((copy / "tensors").iterdir()) == {copy / name for name in left[-1].files}
    assert number >= 6  # three descriptions and what only they named


def forgotten(model: Path, files: int) -> int:
    """How a process ends that forgets all versions but the newest, and is killed before it removes one file more."""
    child = os.fork()
    if child == 0:
        left, unlink = files, Path.unlink

        def killing(path: Path, missing_ok: bool = False) -> None:
            nonlocal left
            if path.suffix in (".json", ".safetensors"):
                if not left:
                    os.kill(os.getpid(), signal.SIGKILL)
                left -= 1
            unlink(path, missing_ok)

        Path.unlink = killing  # type: ignore[method-assign]
        with changing(model):
            forget(model, 1)
        os._exit(0)
    return os.waitpid(child, 0)[1]


@pytest.mark.parametrize("kills", [1, pytest.param(5, marks=pytest.mark.long)])
def test_an_index_is_killed_while_it_is_written(
    saved: Path, folder: Path, lite_cache: Path, tmp_path: Path, kills: int
) -> None:
    root, draws = tmp_path / "index", random.Random(1)  # noqa: S311
    command = ("index", saved, folder, "--into", root)
    for number in range(kills):
        process = executed(lite_cache, *command)
        while number == 0 and process.is_alive() and not any(root.rglob("*.lance")):
            time.sleep(0.01)
        killed(process, draws.uniform(0, 0.5 if number == 0 else 6))
    finished(executed(lite_cache, *command))
    stored = Index.open(str(root)).stored()
    assert {one.path: one.label for one in stored} == {str(path): path.parent.name for path in folder.rglob("*.*")}
    assert len(stored) == 48


@pytest.mark.parametrize("change", ["update", "forget"])
def test_a_full_disk_leaves_the_model_as_it_was(
    saved: Path, folder: Path, lite_cache: Path, tmp_path: Path, change: str
) -> None:
    shutil.copytree(folder / "audio/warm", tmp_path / "more/audio/hum")
    limit = max(file.stat().st_size for file in (saved / "tensors").iterdir()) // 2
    script = (
        "import signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "from remodal.cli import main; sys.argv[0] = 'remodal'; main()"
    )
    what = {"update": ("--data", str(tmp_path / "more")), "forget": ("--class", "audio:warm")}
    before = set(saved.rglob("*"))
    done = subprocess.run(
        [sys.executable, "-c", script, change, str(saved), *what[change]],
        env={**os.environ, "REMODAL_CACHE": str(lite_cache)}, capture_output=True, text=True, check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert set(saved.rglob("*")) - {saved / ".lock"} == before - {saved / ".lock"}
    assert remodal.load(saved, cache=lite_cache).saved_as == (saved.resolve(), 1)


def test_connections_are_dropped_in_mid_upload(server: Server) -> None:
    still_answers(server, 1)
    before = len([name for name in server.open_files() if "tmp" in name])
    host, port = server.url.removeprefix("http://").split(":")
    for route in ("/predict", "/update", "/search", "/suggest", "/forget", "/relabel", "/arrivals") * 5:
        with socket.create_connection((host, int(port))) as connection:
            head = (
                f"POST {route} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5000000\r\n"
                "Content-Type: multipart/form-data; boundary=b\r\n\r\n--b\r\nContent-Disposition: form-data; "
                'name="files"; filename="x"\r\n\r\n'
            )
            connection.sendall(head.encode() + b"x" * 2_000_000)
    still_answers(server, 1)
    for _ in range(100):  # what the requests held is freed as the next ones come
        still_answers(server, 1)
        held = [name for name in server.open_files() if "tmp" in name]
        if len(held) <= before:
            break
        time.sleep(0.1)
    else:
        raise AssertionError(held)
    assert server.get("/versions")[0]["version"] == 1
