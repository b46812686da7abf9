"""A watcher is killed at every file that it writes or removes: the next one loses nothing and learns nothing twice."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections import Counter
from pathlib import Path

import pytest
from forking import Life, executed, killed_at_a_file

import remodal
from remodal.saved import current_description, versions
from remodal.watching import LOG, entries, log, watch

FILES = 8


@pytest.fixture
def traps(tmp_path: Path, folder: Path) -> Path:
    """Sentences of two classes."""
    for label in ("warm", "cold"):
        (tmp_path / "traps/text" / label).mkdir(parents=True)
        for number in range(FILES // 2):
            shutil.copy(folder / f"text/{label}/{number}.txt", tmp_path / f"traps/text/{label}/{number}.txt")
    return tmp_path / "traps"


def finished(traps: Path, model: Path, cache: Path) -> None:
    """Watch until all is learned."""
    for _ in watch(traps, model, every=0.01, once=True, keep=1, cache=cache, method="nearest-mean"):
        pass


def killed(traps: Path, model: Path, cache: Path, moment: int) -> int:
    """How a process ends that is killed at its ``moment``-th file, in the middle of a line of the log too."""
    as_line = log.Entry.as_line

    def watching(life: Life) -> None:
        def half_a_line(entry: log.Entry) -> bytes:
            if not life.left:
                with (model / LOG).open("ab") as file:
                    file.write(as_line(entry)[:40])
            life.shorten()
            return as_line(entry)

        log.Entry.as_line = half_a_line  # type: ignore[method-assign]
        finished(traps, model, cache)

    return killed_at_a_file(moment, watching)


@pytest.mark.parametrize("begins", [True, False])
def test_a_watcher_is_killed_at_every_file(
    traps: Path, saved_once: Path, lite_cache: Path, tmp_path: Path, begins: bool
) -> None:
    def model(name: str) -> Path:
        return tmp_path / name if begins else Path(shutil.copytree(saved_once, tmp_path / name))

    finished(traps, model("whole"), lite_cache)
    whole = remodal.load(tmp_path / "whole", cache=lite_cache)
    for moment in range(100):
        folder = model(f"killed {moment}")
        status = killed(traps, folder, lite_cache, moment)
        finished(traps, folder, lite_cache)
        found = remodal.load(folder, cache=lite_cache)
        assert found.lineage == whole.lineage  # the same items in the same order, each once
        logged = list(entries(folder, found.learned_.arrived))
        contents = Counter(one.content for entry in logged for one in (*entry.learned, *entry.held_out))
        assert (len(contents), set(contents.values())) == (FILES, {1})
        assert {folder / name for one in versions(folder) for name in one.files} == set((folder / "tensors").iterdir())
        if status == 0:
            break
        assert os.WTERMSIG(status) == signal.SIGKILL
    assert moment >= 6  # half a line, a whole one, tensors, the card, config.json


@pytest.mark.long  # the test above kills a process at every file
def test_the_command_is_killed_while_files_arrive(saved: Path, folder: Path, lite_cache: Path, tmp_path: Path) -> None:
    command = ("watch", tmp_path / "traps", "--model", saved, "--every", "0.2")
    sentences = sorted((folder / "text").rglob("*.txt"))
    (tmp_path / "traps").mkdir()
    for number, sentence in enumerate(sentences):
        if number % 4 == 0:
            process = executed(lite_cache, *command)
        target = tmp_path / "traps" / sentence.relative_to(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(sentence, target)
        time.sleep(1 + number / 3)
        if number % 4 == 3:
            process.kill()
            process.join()
    finished(tmp_path / "traps", saved, lite_cache)
    logged = entries(saved, current_description(saved).about.arrived)
    learned = Counter(one.path for entry in logged for one in (*entry.learned, *entry.held_out))
    assert learned == Counter(str(one.relative_to(folder)) for one in sentences)
