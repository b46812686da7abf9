"""What do other modalities bring to one that is seen for the first time, as ``remodal`` uses them?

As ``first_sight.py``, with ``remodal``: it learns the other modalities, each in one task; then the new one, all of its
classes at once, from a few items a class or from all. Accuracy is on the new modality's test items, among its classes:

- frozen: no prompts are trained;
- alone: prompts are trained where held-out items gain by it, and none are borrowed;
- remodal: they may start from those of another modality, as its items choose.
"""

from __future__ import annotations

from pathlib import Path
from statistics import fmean
from typing import Any

from arguments import Piece, asked
from first_sight import by_start, gain, of_modality, opened_few
from names import learned_without
from recording import record

from remodal.learning.evaluate import accuracy
from remodal.methods.remodal import Remodal, RemodalSettings
from remodal.training.trainer import Trainer

STARTS = {"frozen": RemodalSettings(adapt=False), "alone": RemodalSettings(borrow=False), "remodal": RemodalSettings()}


def rows_of(piece: Piece) -> list[tuple[int | None, str, float]]:
    """(items a class, start, accuracy)."""
    backbone, whole, few = opened_few(piece)
    state = learned_without(Remodal(backbone, RemodalSettings(), piece.seed), whole, piece.modality).state()
    rows = []
    for items, prepared in few.items():
        place, task = of_modality(prepared, piece.modality)
        for start, settings in STARTS.items():
            method = Remodal(backbone, settings, piece.seed)
            method.restore(state)
            method.learn(task.train, Trainer(piece.seed, place))
            found = accuracy(method, task, task.columns).aware
            assert found is not None
            rows.append((items, start, found))
    return rows


def compared(by: dict[str, list[float]]) -> dict[str, Any]:
    """Means by start, and what ``remodal`` brings beside both others, with its interval."""
    means = {start: round(fmean(ones), 4) for start, ones in by.items()}
    return {**means, **{f"remodal - {other}": gain(by["remodal"], by[other]) for other in ("frozen", "alone")}}


def main() -> None:
    """Print a line for each modality and number of items, and record all."""
    given = asked(__doc__, any_backbone=True)
    every = {}
    for stream in given.stream:
        every[Path(stream).name] = {name: compared(by) for name, by in by_start(rows_of, given, stream).items()}
        for name, one in every[Path(stream).name].items():
            starts = "  ".join(f"{start} {one[start]:.3f}" for start in STARTS)
            print(f"{Path(stream).name}: {name:40} {starts}  {one['remodal - frozen']}")
    record(f"newcomer-{given.backbone}", every)


if __name__ == "__main__":
    main()
