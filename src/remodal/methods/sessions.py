"""What methods share that keep something of each task and find, for an item, the task it most likely comes from.

Not a method itself. Within a modality the best session answers, over its own classes; between modalities, the one
whose best session fits best comes first, whatever the classes say. So one array of scores serves both settings: with
the modality given, the other modalities' columns are masked and the best session among its own is left.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor

from remodal.backbones import Tokens, Tower
from remodal.methods.base import TaskData
from remodal.methods.parts import TowerMethod
from remodal.streams.base import Column
from remodal.training.trainer import Trainer

BEHIND = 1e3
"""How far the next modality's scores lie behind: more than any log-probability."""
ELSEWHERE = 100.0
"""How far the classes of the modality's other sessions lie behind."""

Part = TypeVar("Part")


class SessionMethod(TowerMethod[Part]):
    """A tower's part has ``sessions``, oldest first, each with ``columns``, its task's classes, and a ``selector``."""

    grows_with_tasks = True
    learns_modalities_apart = True

    def fresh(self, tower: Tower, task: TaskData, trainer: Trainer) -> Part:
        """No session yet."""
        empty: Part = self.part([])
        return empty

    @abstractmethod
    def embedded(self, part: Part, session: Any, fit: Tensor, tower: Tower, tokens: Tokens) -> Tensor:
        """What items are mapped to in the text space ``[k, d]`` that fit ``session`` best; fit: how well, ``[k]``."""

    def part_scores(self, part: Part, tower: Tower, tokens: Tokens, columns: Sequence[Column]) -> Tensor:
        """Log-probability within a modality, less ``BEHIND`` for each modality that fits better."""
        out = torch.full((len(tokens), len(columns)), torch.nan)
        sessions: list[Any] = part.sessions  # type: ignore[attr-defined]
        identity = tower.identity(tokens)
        fits: dict[str, Tensor] = {}
        known = {column for session in sessions for column in session.columns}
        for modality in dict.fromkeys(column.modality for column in columns if column in known):
            positions = [at for at, column in enumerate(columns) if column.modality == modality and column in known]
            own = [session for session in sessions if session.columns[0].modality == modality]
            fits[modality], best = torch.stack([session.selector.fit(identity) for session in own], dim=1).max(1)
            names = [columns[at].name for at in positions]
            for index, session in enumerate(own):
                chosen = (best == index).nonzero()[:, 0]
                if len(chosen):
                    embedded = self.embedded(part, session, fits[modality][chosen], tower, tokens[chosen])
                    logits = self.backbone.logits(embedded, names)
                    mine = {column.name for column in session.columns}
                    logits = logits - torch.tensor([0.0 if name in mine else ELSEWHERE for name in names])
                    out[chosen[:, None], torch.tensor(positions)] = logits.log_softmax(1)
        for modality, fit in fits.items():
            better = torch.stack([(other > fit).float() for other in fits.values()]).sum(0)
            positions = [at for at, column in enumerate(columns) if column.modality == modality]
            out[:, positions] -= BEHIND * better[:, None]
        return out
