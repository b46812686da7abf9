"""What the processes of one run share, beside gradients: the stem pass, and where the run begins.

All that the others have to know, the first process tells them: they need not see the run's folder.
"""

from __future__ import annotations

import json

from safetensors.torch import load, save

from remodal.backbones import Backbone
from remodal.errors import RemodalError
from remodal.features.extract import NeedsTokens, extract
from remodal.features.progress import Progress
from remodal.features.store import FeatureStore
from remodal.methods.base import State
from remodal.streams.base import Stream
from remodal.training.parallel import Team


def begins(team: Team, finished: bool = False) -> bool:
    """Whether there is a run to do, as the first process says."""
    return team.told(b"finished" if finished else b"begins") == b"begins"


def extract_shares(
    team: Team,
    stream: Stream,
    backbone: Backbone,
    store: FeatureStore,
    progress: Progress | None,
    needs_tokens: NeedsTokens,
) -> dict[str, float]:
    """See that the store has what will be asked of the stream's items: each process of a machine computes its share.

    Gives the seconds that this process spent, as :class:`~remodal.features.extract.Extracted` does.
    """
    if team.size == 1:
        return {}
    items = [item for task in stream for item in (*task.train, *task.test)]
    own = extract(items[team.local_rank :: team.local_size], backbone, store, progress, needs_tokens)
    team.wait()
    return own.seconds


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
