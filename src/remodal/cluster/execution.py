"""A run whose heavy parts are done on a cluster, if one is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from remodal.backbones import Engine
from remodal.cluster.learning import ClusterLearning
from remodal.cluster.session import connected
from remodal.cluster.stem import ClusterStem
from remodal.learning.execution import Execution
from remodal.learning.settings import RunSettings


@contextmanager
def executed_on(engine: str, settings: RunSettings, used: Engine, cache: Path) -> Iterator[Execution]:
    """On the cluster that ``engine`` names, as long as the block lasts; see :func:`~remodal.cluster.session.connected`.

    settings: of the run. used: what each worker computes with.
    """
    with connected(engine, cache) as cluster:
        yield Execution(ClusterStem(cluster, settings, used), ClusterLearning(cluster, settings, used))
