"""Files of clients go with the process that took them, however it ends."""

from __future__ import annotations

from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

from remodal.serve.own_folders import OwnFolders


def hold(root: Path, told: Connection) -> None:
    """Keep a file until this process ends."""
    with OwnFolders(root) as folders:
        file = folders.make("page") / "private.png"
        file.write_bytes(b"a picture")
        told.send(file)
        told.recv()


def test_what_a_killed_process_left_is_removed_by_the_next_one_and_a_living_ones_is_not(tmp_path: Path) -> None:
    context = get_context("fork")
    files, begun = [], []
    for _ in range(2):
        here, there = context.Pipe()
        process = context.Process(target=hold, args=(tmp_path, there))
        process.start()
        files.append(here.recv())
        begun.append((process, here))
    (dead, _), (alive, told) = begun
    dead.kill()
    dead.join()
    assert [file.exists() for file in files] == [True, True]
    with OwnFolders(tmp_path) as folders:
        assert [file.exists() for file in files] == [False, True]
        assert (folders.make("page").parent.stat().st_mode & 0o077) == 0
    told.send("end")
    alive.join()
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]
