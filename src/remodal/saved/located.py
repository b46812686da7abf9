"""Where a model is: a folder, a run's folder, or an id on a model hub."""

from __future__ import annotations

import re
from pathlib import Path

from remodal.errors import RemodalError
from remodal.saved.folder import is_model
from remodal.saved.hub import fetch

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def located(model: str | Path) -> Path:
    """The folder of the model that was asked for; one on a hub is fetched into the hub's cache first.

    model: a folder that ``model.save`` left, a run's folder, or ``owner/name`` on the hub that ``huggingface_hub``
    is set to. A folder of that name goes first.

    Raises:
        RemodalError: There is no such model.
    """
    folder = Path(model)
    for one in (folder, folder / "model"):
        if is_model(one):
            return one
    if folder.exists() or not HUB_ID.fullmatch(str(model)):
        found = "found no config.json in it" if folder.is_dir() else "no such folder"
        raise RemodalError(
            f"{model}: {found}; valid: the folder of a saved model or of a finished run, or owner/name on a hub"
        )
    return fetch(str(model))


def changed_into(model: str | Path, save_as: str | Path | None) -> tuple[Path, Path]:
    """The folder of the model that was asked for, and that of what is made of it: the same one, unless it is stated.

    Raises:
        RemodalError: There is no such model, it comes from a hub and nothing is stated, or a model is there already.
    """
    source = located(model)
    if save_as is not None:
        return source, unused(save_as)
    if source not in (Path(model), Path(model) / "model"):
        raise RemodalError(f"{model}: comes from a hub; say where the new model goes: --as FOLDER")
    return source, source


def unused(folder: str | Path) -> Path:
    """The folder. RemodalError where it holds a model."""
    if is_model(Path(folder)):
        raise RemodalError(f"{folder}: holds a model already; choose another folder")
    return Path(folder)
