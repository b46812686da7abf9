"""One process a contestant and course, with the same number of threads for each; what was found stays in a folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

from peers.contestants import Contestant
from peers.course import Request

from remodal.files import write_json

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Processes(NamedTuple):
    """Runs requests, one after the other.

    peers: interpreter of the peers' environment; ``remodal`` runs in this one's. work: folder of what was found; what
    is there isn't measured again, where the same was asked. threads: that each process may use.
    """

    peers: Path
    work: Path
    threads: int

    def runs(self, who: Contestant, request: Request) -> list[dict[str, Any]]:
        """What a process found, one entry a setting; ``start`` is what it took beside learning and answering."""
        course = Path(request.folder).name
        name = "-".join((course, who.library, who.who, request.kind, "loop" if request.loop else "cached"))
        file = self.work / "found" / f"{name.replace(' ', '_')}.json"
        kept = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        if kept.get("asked") != request._asdict():
            kept = {"asked": request._asdict(), "runs": self._run(who, request)}
            write_json(file, kept)
        found: list[dict[str, Any]] = kept["runs"]
        return found

    def _run(self, who: Contestant, request: Request) -> list[dict[str, Any]]:
        asked, found = self.work / "asked.json", self.work / "found.json"
        write_json(asked, request._asdict())
        found.unlink(missing_ok=True)
        python = sys.executable if who.library == "remodal" else str(self.peers)
        path = os.pathsep.join(str(Path(__file__).parents[at]) for at in (1, 2))
        where = {"PYTHONPATH": os.pathsep.join((path, os.environ.get("PYTHONPATH", ""))), "PYTHONWARNINGS": "ignore"}
        threads = dict.fromkeys(THREADS, str(self.threads))
        started = time.perf_counter()
        done = subprocess.run(
            [python, "-m", who.module, str(asked), str(found)],
            env={**os.environ, **where, **threads}, check=False, capture_output=True, text=True,
        )  # fmt: skip
        whole = time.perf_counter() - started
        if done.returncode:
            raise SystemExit(f"{who.library}, {who.who}: {done.stderr[-2000:]}")
        runs: list[dict[str, Any]] = json.loads(found.read_text(encoding="utf-8"))
        start = whole - sum(run["learn"] + run["answer"] for run in runs)
        return [{**run, "start": start} for run in runs]
