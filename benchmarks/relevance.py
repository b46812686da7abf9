"""What one modality finds relevant in the others: the weights alpha of R_t, as ``comm`` borrows by them.

R_t is a linear classifier over the modalities seen, trained on pseudo-features of all of them; a task's weights are its
mean probabilities over the *other* modalities, at temperature 2. Here they are those with which the last task of each
modality would borrow after the whole stream: mean over orders and seeds.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import torch
from arguments import asked
from recording import record

from remodal.cache import cache_folder
from remodal.learning.opening import open_stream_for
from remodal.learning.settings import RunSettings
from remodal.methods.comm import Comm, CommSettings
from remodal.training.threads import bound_spinning
from remodal.training.trainer import Trainer


def weights(stream: str, order: str, seed: int) -> dict[str, dict[str, float]]:
    """Weights by borrower and lender, after the stream."""
    backbone, prepared = open_stream_for(RunSettings(stream=stream, order=order, seed=seed), cache_folder())
    method = Comm(backbone, CommSettings(), seed)
    found: dict[str, dict[str, float]] = {}
    for index, task in enumerate(prepared.tasks):
        method.learn(task.train, Trainer(seed, index))
    for task in prepared.tasks:
        identity = backbone.tower(task.train.modality).identity(task.train.tokens)
        found[task.train.modality] = method.borrowing(task.train.modality, identity)
    return found


def main() -> None:
    """Print the matrix and record it."""
    given = asked(__doc__)
    bound_spinning()
    torch.set_num_threads(1)
    figures: dict[str, Any] = {}
    for stream in given.stream:
        name = Path(stream).name
        every: dict[tuple[str, str], list[float]] = defaultdict(list)
        for order in ("random", "sequential"):
            for seed in given.seeds:
                for borrower, lenders in weights(stream, order, seed).items():
                    for lender, weight in lenders.items():
                        every[borrower, lender].append(weight)
        figures[name] = {
            f"{borrower} from {lender}": {"mean": round(fmean(found), 4), "sd": round(stdev(found), 4)}
            for (borrower, lender), found in sorted(every.items())
        }
        for pair, found in figures[name].items():
            print(f"{name}: {pair}: {found['mean']:.3f} ± {found['sd']:.3f}")
    record("relevance", figures)


if __name__ == "__main__":
    main()
