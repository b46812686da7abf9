"""remodal: one frozen model learns image, video, audio, depth and text, task after task, and keeps what it learned.

>>> import remodal
>>> remodal.list_backbones()
['lite', 'towers', 'vit']
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from remodal.answering import Answer, Prediction
    from remodal.media import Text
    from remodal.model import Evaluation, Model
    from remodal.streams import list_streams, stream

__all__ = [
    "Answer", "Evaluation", "Model", "Prediction", "Text", "list_backbones", "list_methods", "list_streams", "load",
    "stream",
]  # fmt: skip

__version__ = "0.1.0"

_HOMES = {
    "Answer": "remodal.answering", "Evaluation": "remodal.model", "Model": "remodal.model",
    "Prediction": "remodal.answering", "Text": "remodal.media",
    "list_streams": "remodal.streams", "stream": "remodal.streams",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    """Names are imported when they are first used: ``import remodal`` costs nothing."""
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(f"module 'remodal' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def load(
    model: str | Path,
    *,
    cache: Path | None = None,
    device: str = "cpu",
    dtype: str | None = None,
    trust_backbone: str | Path | None = None,
) -> Model:
    """The current version of a saved model: of its folder, of a finished run's folder, or ``owner/name`` on a hub.

    trust_backbone: the folder or id of the frozen model, or the file of its towers, where the saved model names one.

    Raises:
        RemodalError: There is none, a file of it is damaged, or this installation can't run it.
    """
    from remodal.model import Model

    return Model.load(model, cache=cache, device=device, dtype=dtype, trust_backbone=trust_backbone)


def list_methods() -> list[str]:
    """Names of all methods.

    >>> "comm" in list_methods(), "remodal" in list_methods()
    (True, True)
    """
    from remodal.methods import methods

    return methods.names()


def list_backbones() -> list[str]:
    """Names of all backbones."""
    from remodal.backbones import backbones

    return backbones.names()
