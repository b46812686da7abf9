"""Which cluster: one of this machine alone, or one that is there already.

Ray listens on all addresses of a machine, and whoever reaches it can run code. A cluster of this machine alone is
started here with a token that no one else knows, without a dashboard and without usage reports. One that is there
already is as safe as whoever started it made it (``RAY_AUTH_MODE=token``).
"""

from __future__ import annotations

import logging
import os
import secrets
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from remodal.errors import RemodalError, in_one_line, installed_with
from remodal.features.shared import VARIABLE

KIND = "ray"
QUIET = ("ray", "ray.data", "ray._private")


@dataclass(frozen=True)
class Cluster:
    """What there is to work with. cpus, gpus: of all machines together. shared: where features are kept for all."""

    cpus: int
    gpus: int
    shared: str

    def hands(self, cpus: int, gpus: float) -> int:
        """How many workers that need so much can work at a time; at least one, which waits then."""
        return max(1, min(self.cpus // cpus, int(self.gpus / gpus) if gpus else self.cpus))


def address_of(engine: str) -> str | None:
    """The address in ``ray:ADDRESS``; None of ``ray``, which is a cluster of this machine alone.

    >>> address_of("ray"), address_of("ray:10.0.0.1:6379"), address_of("ray:auto")
    (None, '10.0.0.1:6379', 'auto')
    """
    kind, colon, address = engine.partition(":")
    if kind != KIND or (colon and not address):
        raise RemodalError(
            f"engine: found {engine!r}; valid: ray, or ray:ADDRESS such as ray:10.0.0.1:6379 or ray:auto"
        )
    return address or None


@contextmanager
def connected(engine: str, cache: Path) -> Iterator[Cluster]:
    """The cluster, as long as the block lasts; features are read from and written to its shared place meanwhile.

    cache: below which that place is for a cluster of this machine alone, unless the environment names another.

    Raises:
        RemodalError: There is no such cluster, Ray isn't installed, or no place is named that all machines reach.
    """
    address = address_of(engine)
    shared = os.environ.get(VARIABLE) or (str(cache / "shared") if address is None else None)
    if shared is None:
        found = f"engine {engine}: found no place for features that all its machines reach"
        raise RemodalError(
            f"{found}; valid: {VARIABLE} with a folder on a shared disk, or a URL such as s3://bucket/folder"
        )
    shared = shared if "://" in shared else str(Path(shared).resolve())
    told = {VARIABLE: shared, "RAY_USAGE_STATS_ENABLED": "0", "RAY_BACKEND_LOG_LEVEL": "fatal"}
    if address is None:
        told |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    with _environment(told):
        with installed_with("ray"):
            import ray
        read_environment()
        quiet()
        # "local": without an address Ray would take any cluster that runs on this machine
        named: dict[str, Any] = {"address": address} if address else {"address": "local", "include_dashboard": False}
        with in_one_line(f"engine {engine}: the cluster can't be reached"), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "lancedb fork support")  # in Ray's own processes, which don't use it
            ray.init(**named, log_to_driver=False, logging_level="ERROR", runtime_env={"env_vars": {VARIABLE: shared}})
        try:
            there = ray.cluster_resources()
            yield Cluster(int(there.get("CPU", 1)), int(there.get("GPU", 0)), shared)
        finally:
            ray.shutdown()


@contextmanager
def _environment(told: Mapping[str, str]) -> Iterator[None]:
    """With these variables, which Ray's own processes inherit."""
    before = {name: os.environ.get(name) for name in told}
    os.environ.update(told)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def read_environment() -> None:
    """Whoever imported Ray before has made it read its mode and token; they may be others now."""
    raylet: Any = import_module("ray._raylet")  # as Ray's own ray.init does, which offers no other way
    raylet.Config.initialize("")
    raylet.AuthenticationTokenLoader.instance().reset_cache()


def quiet() -> None:
    """What Ray says while it works is not for the user's eyes: what fails in the end is told in a line."""
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.CRITICAL)
