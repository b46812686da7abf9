"""``remodal watch``: what it prints."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from remodal.cli.conftest import Cli


def test_what_arrived_is_learned_and_told_of_a_line_each(cli: Cli, saved: Path, broken_data: Path) -> None:
    done = cli("watch", broken_data, "--model", saved, "--once", "--every", 0.01)
    assert done.exit_code == 0, done.stderr
    lines = done.stdout.splitlines()
    skipped = {line.partition(": ")[2].partition(":")[0] for line in lines if line.startswith("skipped")}
    assert skipped == {"text/tea/latin1.txt", "image/red/cut.png"}
    assert " version 2: learned " in lines[-2]
    assert "new: text tea" in lines[-2] or "image red" in lines[-2]
    assert lines[-1] == f"{saved}: 24 learned, 8 held out, 4 new classes, 2 skipped"
    again = cli("watch", broken_data, "--model", saved, "--once", "--every", 0.01)
    assert again.stdout == f"{saved}: 0 learned, 0 held out, 0 new classes, 0 skipped\n"
    drawn = cli("watch", "--model", saved, "--report", "accuracy.svg")
    assert drawn.stdout == "accuracy.svg: accuracy over time\n"


def test_something_to_watch_is_needed(cli: Cli, saved: Path) -> None:
    failed = cli("watch", "--model", saved)
    assert failed.exit_code == 2
    assert "found no folder to watch; valid: remodal watch FOLDER, or --report FILE" in failed.stderr


def test_ctrl_c_ends_it_with_a_summary(saved: Path, own_data: Path, lite_cache: Path) -> None:
    command = [sys.executable, "-m", "remodal", "watch", own_data, "--model", saved, "--every", "0.1"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "REMODAL_CACHE": str(lite_cache), "PYTHONUNBUFFERED": "1"},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert " version 2: learned " in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=60)
    assert (process.returncode, rest) == (0, f"{saved}: 24 learned, 8 held out, 4 new classes, 0 skipped\n")
    assert "Traceback" not in errors
