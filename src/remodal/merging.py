"""Saved models that learned apart become one, without an item having left the place where it was learned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from remodal.errors import RemodalError
from remodal.model import Model
from remodal.saved import changing, unused
from remodal.saved.description import Measured
from remodal.streams.base import Column


class Merged(NamedTuple):
    """What a merge gave.

    before: by model, in the order given, the accuracy on what it holds out, by modality, among its own classes. after:
    that of the merged model on what all hold out, among all classes.
    """

    folder: Path
    columns: tuple[Column, ...]
    before: tuple[Mapping[str, Measured], ...]
    after: Mapping[str, Measured]


def merge(
    models: Sequence[str | Path],
    into: str | Path,
    base: str | Path | None = None,
    *,
    cache: Path | None = None,
    device: str = "cpu",
    dtype: str | None = None,
    trust_backbone: str | Path | None = None,
) -> Merged:
    """One model of what several have learned (:meth:`Model.merged`), saved in a new folder.

    models: two or more, see :meth:`Model.load`. base: the model that all of them learned on from, if they did.

    Raises:
        RemodalError: ``into`` holds a model, or the models can't be merged.
    """
    if len(models) < 2:
        raise RemodalError(f"found {len(models)} model to merge; valid: two or more")
    target = unused(into)

    def opened(model: str | Path) -> Model:
        return Model.load(model, cache=cache, device=device, dtype=dtype, trust_backbone=trust_backbone)

    with changing(target):
        begun = None if base is None else opened(base)
        found = opened(models[0])
        before = [found.about().accuracy]
        for at, model in enumerate(models[1:], start=1):
            other = opened(model)
            before.append(other.about().accuracy)
            try:
                found = found.merged(other, begun)
            except RemodalError as error:
                raise RemodalError(f"{models[0] if at == 1 else 'those before'} and {model}: {error}") from None
        found.save(target, note=f"merged {', '.join(Path(model).name for model in models)}")
    return Merged(target, found.learned_.columns, tuple(before), found.about().accuracy)
