"""What the processes beside the first one do in a run: they learn the same steps, measure nothing and keep nothing."""

from __future__ import annotations

from pathlib import Path

from remodal.backbones import Engine
from remodal.learning.execution import learn
from remodal.learning.opening import method_for, open_stream_for
from remodal.learning.settings import RunSettings
from remodal.learning.together import Shares, agreed, begins
from remodal.training.parallel import Team
from remodal.training.trainer import Trainer


def follow(
    settings: RunSettings, cache: Path, team: Team, *, strict: bool = False, engine: Engine | None = None
) -> None:
    """Do what the first process's :func:`~remodal.learning.run.run` with these arguments needs of this one.

    Raises RemodalError where the first process, or another one, has ended before the last step is learned.
    """
    if not begins(team):
        return
    with (engine or Engine()).repeatable():
        backbone, prepared = open_stream_for(settings, cache, strict=strict, engine=engine, stem_pass=Shares(team))
        method = method_for(settings, backbone)
        state, learned = agreed(team, prepared.content)
        if state is not None:
            method.restore(state)
        for index, step in list(enumerate(prepared.steps))[learned:]:
            if step.train is not None:
                learn(method, step.train, Trainer(settings.seed, index, team=team))
