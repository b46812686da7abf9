"""What do other modalities bring to one that is seen for the first time, as ``remodal`` uses them?

As ``first_sight.py``, with ``remodal``: it learns the other modalities, each in one task; then the new one, all of its
classes at once, from a few items a class or from all. Accuracy is on the new modality's test items, among its classes:

- frozen: no prompts are trained;
- alone: prompts are trained where held-out items gain by it, and none are borrowed;
- remodal: they may start from those of another modality, as its items choose.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from statistics import fmean
from typing import Any

from arguments import Asked, asked
from first_sight import ITEMS, Piece, newcomers, opened
from names import learned_without
from recording import record
from side_by_side import side_by_side

from remodal.comparison.statistics import t_interval
from remodal.learning.evaluate import accuracy
from remodal.methods.remodal import Remodal, RemodalSettings
from remodal.training.trainer import Trainer

STARTS = {"frozen": RemodalSettings(adapt=False), "alone": RemodalSettings(borrow=False), "remodal": RemodalSettings()}


def rows_of(piece: Piece) -> list[tuple[int | None, str, float, float]]:
    """(items a class, start, accuracy, largest value of the prompts: 0 where the frozen model serves)."""
    backbone, whole = opened(piece.given, piece.stream, piece.seed, None)
    state = learned_without(Remodal(backbone, RemodalSettings(), piece.seed), whole, piece.modality).state()
    rows = []
    for items in ITEMS:
        own, prepared = opened(piece.given, piece.stream, piece.seed, items)
        place, task = next((i, one) for i, one in enumerate(prepared.tasks) if one.train.modality == piece.modality)
        for name, settings in STARTS.items():
            method = Remodal(own, settings, piece.seed)
            method.restore(state)
            method.learn(task.train, Trainer(piece.seed, place))
            found = accuracy(method, task, task.columns).aware
            assert found is not None
            (learned,) = (
                one for part in method.parts_.values() for one in part.modalities if one.name == piece.modality
            )
            values = float(learned.prompts[:, 1].abs().max()) if learned.prompts.numel() else 0.0
            rows.append((items, name, found, values))
    return rows


def figures_of(given: Asked, stream: str) -> dict[str, Any]:
    """By modality and number of items: means by start, and the differences to ``remodal`` with their intervals."""
    modalities = newcomers(opened(given, stream, given.seeds[0], None)[1])
    pieces = {
        f"{Path(stream).name}-{seed}-{modality}": Piece(given, stream, seed, modality)
        for seed in given.seeds
        for modality in modalities
    }
    found: dict[tuple[str, int | None], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for piece, rows in zip(pieces.values(), side_by_side(rows_of, pieces, given.jobs, given.keep), strict=True):
        for items, start, right, _ in rows:
            for name in (piece.modality, "each modality"):
                found[name, items][start].append(right)
    return {f"{name}, {items or 'all'} items a class": compared(by) for (name, items), by in found.items()}


def compared(by: dict[str, list[float]]) -> dict[str, Any]:
    """Means, and what ``remodal`` brings beside both others: the mean difference and half of its 95 % interval."""
    gains = {}
    for other in ("frozen", "alone"):
        one = t_interval([mine - its for mine, its in zip(by["remodal"], by[other], strict=True)])
        gains[f"remodal - {other}"] = [round(one.mean, 4), None if one.half is None else round(one.half, 4)]
    return {**{start: round(fmean(rights), 4) for start, rights in by.items()}, **gains}


def main() -> None:
    """Print a line for each modality and number of items, and record all."""
    given = asked(__doc__, any_backbone=True)
    every = {}
    for stream in given.stream:
        every[Path(stream).name] = figures_of(given, stream)
        for name, one in every[Path(stream).name].items():
            starts = "  ".join(f"{start} {one[start]:.3f}" for start in STARTS)
            print(f"{Path(stream).name}: {name:40} {starts}  {one['remodal - frozen']}")
    record(f"newcomer-{given.backbone}", every)


if __name__ == "__main__":
    main()
