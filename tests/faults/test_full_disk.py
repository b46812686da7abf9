"""A disk that is full, really: a small file system of its own, in which a server's model and index are."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from serving import served

import remodal
from remodal.search import Index, keep_up

MOUNT = ["unshare", "--mount", "--map-root-user"]
FREE = 100_000
"""Bytes left."""

pytestmark = pytest.mark.skipif(
    shutil.which("unshare") is None
    or subprocess.run([*MOUNT, "mount", "-t", "tmpfs", "none", "/mnt"], check=False, capture_output=True).returncode
    != 0,
    reason="a file system of one's own can't be mounted here: it needs Linux with user namespaces",
)

FILL = """
set -e
mount -t tmpfs none "$1"
cp -R "$2/." "$1"
used=$(du --bytes --summarize "$1" | cut -f 1)
mount -o remount,size=$((used + 2000000)) "$1"
head -c 100000000 /dev/zero > "$1/filler" 2> /dev/null || true
truncate --size=-"$3" "$1/filler"
shift 3
exec "$@"
"""


FULL_THEN_FREE = """
import json, sys
from pathlib import Path
from typer.testing import CliRunner
from remodal.cli import app

disk, more = map(Path, sys.argv[1:])
search = ["search", str(disk / "index"), "warm", "--json", "--top", "50"]
index = ["index", str(disk / "model"), str(more), "--into", str(disk / "index")]
before = CliRunner().invoke(app, search)
full = CliRunner().invoke(app, index)
after = CliRunner().invoke(app, search)
(disk / "filler").unlink()
free = CliRunner().invoke(app, index)
print(json.dumps([said.stdout for said in (before, after, free)]))
sys.stderr.write(full.stderr + free.stderr)
sys.exit(full.exit_code)
"""


@pytest.fixture
def kept(saved: Path, folder: Path, lite_cache: Path, tmp_path: Path) -> Path:
    """A model and an index of what it learned from, side by side."""
    root = tmp_path / "kept"
    shutil.copytree(saved, root / "model")
    model = remodal.load(saved, cache=lite_cache)
    index = Index.create(str(root / "index"), str(saved), model.backbone.fingerprint, model.backbone.width)
    keep_up(index, model, folder)
    return root


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """Where the small file system will be."""
    made = tmp_path / "disk"
    made.mkdir()
    return made


def filled(disk: Path, kept: Path) -> list[str]:
    """What to put before a command that is to find ``kept`` in ``disk``, and hardly any room beside it."""
    return [*MOUNT, "sh", "-c", FILL, "sh", str(disk), str(kept), str(FREE)]


@pytest.mark.long  # an index and an update meet a full disk quickly
def test_a_server_answers_on_and_learns_when_there_is_room_again(
    kept: Path, disk: Path, folder: Path, lite_cache: Path
) -> None:
    sounds = [("files", (file.name, file.read_bytes())) for file in sorted((folder / "audio/warm").glob("*.wav"))]
    with served(disk / "model", lite_cache, "--index", str(disk / "index"), inside=filled(disk, kept)) as server:
        inside = Path(f"/proc/{server.process.pid}/root{disk}")
        before = sorted(file.relative_to(inside) for file in inside.rglob("*"))
        answer = server.post("/update", data={"label": "hum"}, files=sounds)
        job = server.finished(answer.json()["id"])
        assert job["state"] == "failed"
        assert "No space left on device" in job["problem"]
        left = {file.relative_to(inside) for file in inside.rglob("*")}
        assert {str(name) for name in left.difference(before)} <= {"model/.lock"}
        (said,) = server.post("/predict", data={"texts": ["a cup of hot tea"]}).json()
        assert (said["version"], said["best"][0]["label"]) == (1, "warm")
        assert server.post("/search", data={"words": "warm"}).json()[0]["label"] == "warm"
        (inside / "filler").unlink()
        assert (
            server.finished(server.post("/update", data={"label": "hum"}, files=sounds).json()["id"])["state"] == "done"
        )
        assert server.get("/ready") == {"version": 2}


def test_an_index_is_as_it_was(kept: Path, disk: Path, folder: Path, lite_cache: Path, tmp_path: Path) -> None:
    more = tmp_path / "more"
    more.mkdir()
    for number in range(200):
        (more / f"{number}.txt").write_text(f"a sentence like no other, number {number}")
    done = subprocess.run(
        [*filled(disk, kept), sys.executable, "-c", FULL_THEN_FREE, str(disk), str(more)],
        env={**os.environ, "REMODAL_CACHE": str(lite_cache)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert "the index can't be used" in done.stderr
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
    before, after, last = json.loads(done.stdout)
    assert len(before.splitlines()) > 20
    assert before == after
    assert "248 files" in last
