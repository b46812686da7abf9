"""remodal: one frozen model learns image, video, audio, depth and text, task after task, and keeps what it learned.

>>> import remodal
>>> remodal.list_backbones()
['lite']
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from remodal.model import Evaluation, Model, Prediction, Text
    from remodal.streams import list_streams, stream

__all__ = [
    "Evaluation", "Model", "Prediction", "Text", "list_backbones", "list_methods", "list_streams", "stream",
]  # fmt: skip

__version__ = "0.1.0"

_HOMES = {
    "Evaluation": "remodal.model", "Model": "remodal.model", "Prediction": "remodal.model", "Text": "remodal.model",
    "list_streams": "remodal.streams", "stream": "remodal.streams",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    """Names are imported when they are first used: ``import remodal`` costs nothing."""
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(f"module 'remodal' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


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
