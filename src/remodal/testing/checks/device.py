"""Whether a method can compute on a GPU, told without one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from remodal.backbones import Engine
from remodal.learning.checkpoint import read_state, write_state
from remodal.testing.candidate import Candidate, apart, held_out_scores, learn
from remodal.testing.checks.check import CLOSE, check, expect
from remodal.testing.elsewhere import elsewhere
from remodal.testing.toy import ToyBackbone, toy_stream

TASKS = (("image", ("cat", "dog")), ("audio", ("bell", "dog")), ("image", ("oak", "elm")))


@check
def computes_where_features_are(candidate: Candidate) -> None:
    """On another device than the CPU it mixes none with it, from a file on too, and scores the same."""
    stream = toy_stream(TASKS, items=4)
    expected = held_out_scores(candidate.learned(stream.tasks), stream)
    with elsewhere() as device, TemporaryDirectory() as folder:
        backbone, file = ToyBackbone(Engine(device)), Path(folder) / "state.safetensors"
        *first, last = (
            replace(task, train=replace(task.train, labels=task.train.labels.to(device))) for task in stream.tasks
        )
        method, restored = candidate.new(backbone), candidate.new(backbone)
        learn(method, first)
        write_state(file, method.state())
        restored.restore(read_state(file))
        learn(restored, [last])
        found = held_out_scores(restored, stream)
    difference = apart(found, expected, relative=True)
    expect(difference <= CLOSE, f"scores {difference:.2g} apart from those that were learned on the CPU", f"{CLOSE:g}")
