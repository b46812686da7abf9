"""A real server in a process of its own, for tests that kill it, starve it or look at its page."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import httpx

TLS = httpx.create_ssl_context()
"""Never used here; made anew for every request, it would take longer than the answer."""


@dataclass
class Server:
    """process: the server's. url: where it listens."""

    process: subprocess.Popen[str]
    url: str

    def get(self, path: str) -> Any:
        """JSON from a route."""
        return httpx.get(self.url + path, timeout=60, verify=TLS).raise_for_status().json()

    def post(self, path: str, **asked: Any) -> httpx.Response:
        """The answer to a POST."""
        return httpx.post(self.url + path, timeout=120, verify=TLS, **asked)

    def finished(self, job: str) -> dict[str, Any]:
        """An update when it is through."""
        for _ in range(1200):
            found: dict[str, Any] = self.get(f"/jobs/{job}")
            if found["state"] in ("done", "failed"):
                return found
            time.sleep(0.1)
        raise AssertionError(found)

    def open_files(self) -> list[str]:
        """What the process has open now."""
        found = []
        for link in Path(f"/proc/{self.process.pid}/fd").iterdir():
            with suppress(FileNotFoundError):
                found.append(str(link.readlink()))
        return found

    def memory(self) -> int:
        """Bytes that the process and those that decode for it hold now."""
        return sum(resident(process) for process in (self.process.pid, *self.children()))

    def children(self) -> dict[int, bytes]:
        """The commands of the processes that it has begun and that are still there, by number."""
        own, found = self.process.pid, dict[int, bytes]()
        for child in Path(f"/proc/{own}/task/{own}/children").read_text().split():
            with suppress(FileNotFoundError, ProcessLookupError):
                found[int(child)] = Path(f"/proc/{child}/cmdline").read_bytes()
        return found


def resident(process: int) -> int:
    """Bytes that a process holds now; 0 where it has ended, or is about to."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return sum(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmRSS"))


@contextmanager
def served(
    model: Path,
    cache: Path,
    *arguments: str,
    decoders: int = 1,
    cwd: Path | None = None,
    inside: Sequence[str] = (),
    errors: IO[str] | None = None,
) -> Iterator[Server]:
    """``remodal serve`` until the block ends. inside: a command that goes before it. errors: takes what it logs."""
    environment = {**os.environ, "REMODAL_CACHE": str(cache)}
    always = ["--port", "0", "--threads", "1", f"serve.decoders={decoders}"]
    asked = [*inside, sys.executable, "-m", "remodal", "serve", str(model), *always, *arguments]
    with subprocess.Popen(asked, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment, cwd=cwd) as process:
        try:
            assert process.stdout is not None
            started = time.monotonic()
            line = process.stdout.readline()
            assert line, f"the server ended after {time.monotonic() - started:.0f} s"
            yield Server(process, line.split()[-1])
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
