"""The version of the model that answers, and how another one takes its place."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from remodal.errors import RemodalError
from remodal.modalities import get_modality
from remodal.model import Model
from remodal.serve.current import Damaged, current, folder_read


class NotServed(RemodalError):
    """A medium, or a question, of a modality that this server doesn't serve."""


class Served:
    """The model in memory, replaced as a whole where its folder has another current version.

    load: reads the folder's current version. depth_unit: of depth files where a client states none; None: what those
    had that the model learned from.
    """

    def __init__(self, folder: Path, load: Callable[[], Model], depth_unit: str | None) -> None:
        self.folder = folder
        self._load, self._depth_unit = load, depth_unit
        self._loaded_from = current(folder)
        self.model = load()
        self.model.unit(depth_unit)
        self._replacing = asyncio.Lock()

    @property
    def version(self) -> int:
        """Of the model that answers now."""
        return self.now()[1]

    def now(self) -> tuple[Model, int]:
        """The model that answers now and its version, whatever replaces it meanwhile."""
        model = self.model
        assert model.saved_as is not None
        return model, model.saved_as[1]

    @property
    def modalities(self) -> tuple[str, ...]:
        """What is served."""
        return self.model.modalities

    def check_modality(self, modality: str, where: str = "") -> None:
        """NotServed, or UnknownName, where a modality is another one than those that are served."""
        if get_modality(modality).name not in self.modalities:
            served = ", ".join(self.modalities)
            raise NotServed(f"{where + ': ' if where else ''}found {modality}; valid on this server: {served}")

    def unit(self, stated: str | None) -> str | None:
        """Of a depth file, for which a client states one or none."""
        return stated or self.model.unit(self._depth_unit)

    def classes(self) -> list[dict[str, Any]]:
        """What the version that answers has learned of what is served: modality and label of each class, how many items
        of it were learned (None where that wasn't noted), and how many are held out.
        """
        learned = self.model.learned_
        counts = Counter(learned.items.columns.tolist())
        noted = sum(source.items for source in learned.sources) == len(learned.items)
        return [
            {
                "modality": column.modality,
                "label": column.name,
                "items": counts[place] if noted else None,
                "held_out": learned.held_out.counts(column.modality)[column.name],
            }
            for place, column in enumerate(learned.columns)
            if column.modality in self.modalities
        ]

    async def follow(self) -> bool:
        """Answer with the current version of the folder from the next batch on; whether it is another one.

        Raises:
            Damaged: The folder can't be read; the version that answers goes on.
        """
        async with self._replacing:
            found = await asyncio.to_thread(current, self.folder)
            if found == self._loaded_from:
                return False
            with folder_read():
                model = await asyncio.to_thread(self._load)
            if model.backbone.fingerprint != self.model.backbone.fingerprint:
                raise Damaged(f"{self.folder}: is now a model of another backbone; start the server again")
            self.model, self._loaded_from = model, found
            return True
