"""Where a command's work is done: here, by processes of a launcher, or on the cluster that ``--engine`` names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from remodal.backbones import Engine
    from remodal.learning.execution import Execution
    from remodal.learning.settings import RunSettings
    from remodal.model import Answering, Model
    from remodal.training.parallel import Team


def executed(
    cluster: str | None, settings: RunSettings, engine: Engine, team: Team
) -> AbstractContextManager[Execution]:
    """Who does a run."""
    from contextlib import nullcontext

    from remodal.cache import cache_folder
    from remodal.learning.together import together

    if cluster is None:
        return nullcontext(together(team))
    from remodal.cluster.execution import executed_on

    return executed_on(cluster, settings, engine, cache_folder())


@contextmanager
def answering(cluster: str | None, model: Model, load: Callable[[], Model]) -> Iterator[Answering]:
    """What answers: the model here, or copies of it on a cluster, each of which ``load`` makes."""
    if cluster is None:
        yield model.answers
        return
    from remodal.cache import cache_folder
    from remodal.cluster import connected
    from remodal.cluster.answers import ClusterAnswers

    with connected(cluster, cache_folder()) as there:
        yield ClusterAnswers(there, model, load)
