"""What the processes of one run share, beside gradients: the stem pass, and where the run begins.

All that the others have to know, the first process tells them: they need not see the run's folder.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from safetensors.torch import load, save

from remodal.backbones import Backbone
from remodal.errors import RemodalError
from remodal.features.extract import Extracted, NeedsTokens, always, extract
from remodal.features.progress import Progress
from remodal.features.source import Encoded
from remodal.features.store import FeatureStore
from remodal.learning.execution import HERE, Execution
from remodal.methods.base import State
from remodal.training.parallel import Team


def begins(team: Team, finished: bool = False) -> bool:
    """Whether there is a run to do, as the first process says."""
    return team.told(b"finished" if finished else b"begins") == b"begins"


@dataclass(frozen=True)
class Shares:
    """A :class:`~remodal.features.extract.StemPass` of processes that all make it: each of a machine does its share."""

    team: Team

    def __call__(
        self,
        items: Sequence[Encoded],
        backbone: Backbone,
        store: FeatureStore,
        progress: Progress | None = None,
        needs_tokens: NeedsTokens = always,
    ) -> Extracted:
        """Of all items, when every process has done its share; seconds are this one's."""
        own = extract(items[self.team.local_rank :: self.team.local_size], backbone, store, progress, needs_tokens)
        self.team.wait()
        store.look()
        found = extract(items, backbone, store, None, needs_tokens)
        for what, seconds in own.seconds.items():
            found.seconds[what] += seconds
        return found


def together(team: Team) -> Execution:
    """What these processes do of a run, as one."""
    return HERE if team.size == 1 else Execution(Shares(team), team=team)


def agreed(team: Team, content: str, state: State | None = None, learned: int = 0) -> tuple[State | None, int]:
    """What the first process goes on from, in each: the method's state, if there is one, after so many steps.

    content: a hash over the data. Raises RemodalError where they aren't the first process's.
    """
    if team.size == 1:
        return state, learned
    own = [content, learned, None if state is None else state.values]
    there, learned, values = json.loads(team.told(json.dumps(own).encode()))
    if there != content:
        found = f"found other data, or another frozen model, in process {team.rank} than in the first"
        raise RemodalError(f"{found}; valid: the same in all processes")
    if values is None:
        return None, 0
    tensors = {} if state is None else {name: one.contiguous() for name, one in state.tensors.items()}
    return State(load(team.told(save(tensors))), values), learned
