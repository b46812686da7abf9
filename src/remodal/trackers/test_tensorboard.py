"""What TensorBoard's own reader finds in a run's folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from remodal.trackers import Tracker
from remodal.trackers.conftest import STEPS, Told
from remodal.trackers.tensorboard import TensorBoard

pytest.importorskip("tensorboard", reason="TensorBoard isn't installed: pip install 'remodal[tensorboard]'")


def read(out: Path) -> dict[str, list[tuple[int, float]]]:
    """Steps and values by name."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(out / "tensorboard")).Reload()
    return {name: [(one.step, one.value) for one in events.Scalars(name)] for name in events.Tags()["scalars"]}


def test_the_numbers_are_those_of_the_run(told: Told, out: Path) -> None:
    results = told(TensorBoard())
    found = read(out)
    assert [step for step, _ in found["tasks"]] == STEPS
    assert found["aware/last"][-1][1] == pytest.approx(results["summary"]["aware"]["last"])
    assert found["cost/stored_bytes"] == [(4, results["cost"]["stored_bytes"])]


def test_the_settings_are_text(told: Told, out: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    told(TensorBoard())
    (text,) = EventAccumulator(str(out / "tensorboard")).Reload().Tensors("settings/text_summary")
    assert b'    method: "nearest-mean"\n' in text.tensor_proto.string_val[0]


def test_a_run_that_was_broken_off_goes_on_in_the_same_curves(
    told: Told, broken_off: Callable[[Tracker], None], out: Path
) -> None:
    broken_off(TensorBoard())
    assert [step for step, _ in read(out)["tasks"]] == STEPS[:3]
    told(TensorBoard())
    for name in ("tasks", "aware/last", "agnostic/last"):
        assert [step for step, _ in read(out)[name]][-4:] == STEPS[1:], name


def test_after_a_kill_a_file_that_was_cut_off_is_no_loss(told: Told, out: Path) -> None:
    results = told(TensorBoard())
    (file,) = (out / "tensorboard").iterdir()
    file.write_bytes(file.read_bytes()[:-20])
    told(TensorBoard())
    found = read(out)
    assert [step for step, _ in found["tasks"]] == STEPS
    assert found["aware/last"][-1][1] == pytest.approx(results["summary"]["aware"]["last"])
