"""Who takes part, and what each may choose among: four trials each, on held-out training items.

``remodal`` has its defaults.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

Settings = Mapping[str, Any]
BOTH = ("published", "shared")


class Contestant(NamedTuple):
    """Who learns.

    library: whose it is. who: its name there. module: what runs it. trials: settings to choose among; none where it
    has nothing to choose. features: kinds that it is given. loop: kinds that it is measured with in the loop, too.
    orders: how many class orders it learns, at most. chosen_on: the features that its settings are chosen on, if
    others. keeps: it stores all items.
    """

    library: str
    who: str
    module: str
    trials: Sequence[Settings] = ()
    features: Sequence[str] = BOTH
    loop: Sequence[str] = ()
    orders: int = 3
    chosen_on: str | None = None
    keeps: bool = False


def _remodal(who: str) -> Contestant:
    return Contestant("remodal", who, "peers.with_remodal", loop=BOTH)


def _avalanche(who: str, trials: Sequence[Settings], features: Sequence[str] = BOTH) -> Contestant:
    return Contestant("Avalanche", who, "peers.with_avalanche", trials, features, loop=("published",))


def _sklearn(who: str, trials: Sequence[Settings], *, keeps: bool = False) -> Contestant:
    return Contestant("scikit-learn", who, "peers.with_sklearn", trials, keeps=keeps)


def _river(who: str, trials: Sequence[Settings], orders: int = 3) -> Contestant:
    """river takes a dictionary an item: features three times as wide take three times as long."""
    return Contestant("river", who, "peers.with_river", trials, ("published",), orders=orders)


LINEAR = [{"loss": loss, "alpha": alpha} for loss in ("hinge", "log_loss") for alpha in (1e-4, 1e-2)]
GRADIENT = [{"rate": rate, "epochs": epochs} for rate in (1e-3, 1e-4) for epochs in (1, 10)]
SHRINKAGE = [{"shrinkage_param": value} for value in (1e-4, 1e-2, 1e-1, 1.0)]
DRAWINGS = (
    _remodal("remodal"),
    _remodal("nearest-mean"),
    _remodal("ridge"),
    _avalanche("Naive", GRADIENT),
    _avalanche("Replay", GRADIENT),
    _avalanche("StreamingLDA", SHRINKAGE, ("published",)),
    _avalanche("StreamingLDA", SHRINKAGE)._replace(features=("shared",), loop=(), orders=1, chosen_on="published"),
    _sklearn("SGDClassifier", LINEAR),
    _sklearn("SGDClassifier, 10 passes", LINEAR),
    _sklearn("Perceptron", [{"penalty": "l2", "alpha": value} for value in (1e-6, 1e-5, 1e-4, 1e-3)]),
    _sklearn("MLPClassifier", [{"learning_rate_init": value} for value in (1e-2, 1e-3, 1e-4, 1e-5)]),
    _sklearn("GaussianNB", [{"var_smoothing": value} for value in (1e-9, 1e-4, 1e-3, 1e-2)]),
    _sklearn("ridge-refit", [{"alpha": value} for value in (1, 100, 1000, 10000)], keeps=True),
    _river("SoftmaxRegression", [{"rate": value} for value in (1e-1, 1e-2, 1e-3, 1e-4)]),
    _river("GaussianNB", [{}]),
    _river("KNNClassifier", [{"n_neighbors": value} for value in (1, 3, 5, 10)], orders=1),
    _river("ARFClassifier", [{"n_models": value} for value in (3, 10, 20, 30)], orders=1),
)
MODALITIES = tuple(
    one._replace(orders=1, loop=())
    for one in DRAWINGS
    if (one.library, one.who) in {("scikit-learn", who) for who in ("SGDClassifier", "GaussianNB", "ridge-refit")}
    or one.library == "remodal"
)
"""Peers that take the features of several modalities side by side, and aren't slow with these."""
TRANSFORMER = (
    Contestant("remodal", "remodal", "peers.with_remodal", [{"adapt": False}], ("shared",), ("shared",), orders=1),
    Contestant("remodal", "nearest-mean", "peers.with_remodal", (), ("shared",), ("shared",), orders=1),
    Contestant("Avalanche", "LearningToPrompt", "peers.with_prompts", [{"train_epochs": 5}], (), ("shared",), orders=1),
)
"""``remodal`` doesn't train prompts, which it may do where there is a transformer and which takes minutes on a CPU.

``LearningToPrompt`` has Avalanche's own settings, and five epochs as in the paper: a trial would take minutes too.
"""
