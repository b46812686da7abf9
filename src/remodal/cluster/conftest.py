"""A cluster of two machines, each a Ray node of its own on this one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from remodal.cluster.session import read_environment


@dataclass
class TwoMachines:
    """engine: what ``--engine`` takes."""

    nodes: Any
    second: Any

    @property
    def engine(self) -> str:
        return f"ray:{self.nodes.address}"

    def kill(self) -> None:
        """The second machine goes down at once, with all its processes."""
        self.nodes.remove_node(self.second, allow_graceful=False)


@pytest.fixture
def machines(monkeypatch: pytest.MonkeyPatch) -> Iterator[TwoMachines]:
    pytest.importorskip("ray")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", 32 * "ab")
    from ray.cluster_utils import Cluster

    read_environment()

    node: dict[str, Any] = {"num_cpus": 1, "object_store_memory": 100 * 2**20}
    nodes = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    yield TwoMachines(nodes, nodes.add_node(**node))
    nodes.shutdown()
