"""What engineers write themselves with river: one item after the other, each a dictionary of numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from peers.course import Course, Labeller, Learner, Request, main
from river import forest, linear_model, naive_bayes, neighbors, optim


class OneByOne(Labeller):
    """Learns each item of a task once, in shuffled order."""

    def __init__(self, course: Course, request: Request, model: Any) -> None:
        super().__init__(course, request.kind)
        self._model = model
        self._random = np.random.default_rng(request.seed)

    def learn(self, task: int) -> None:
        """See :meth:`Learner.learn`."""
        labels = self.train_labels[task]
        for row in self._random.permutation(len(labels)):
            self._model.learn_one(as_dictionary(self.train[task][row]), int(labels[row]))

    def answers(self, items: NDArray[Any]) -> list[int]:
        """See :meth:`Labeller.answers`."""
        return [self._model.predict_one(as_dictionary(item)) for item in items]


def as_dictionary(item: NDArray[Any]) -> dict[int, float]:
    """An item as river takes it."""
    return dict(enumerate(item.tolist()))


def _softmax(seed: int, rate: float) -> Any:
    return linear_model.SoftmaxRegression(optimizer=optim.SGD(rate))


def _bayes(seed: int) -> Any:
    return naive_bayes.GaussianNB()


def _neighbours(seed: int, n_neighbors: int) -> Any:
    return neighbors.KNNClassifier(n_neighbors, engine=neighbors.SWINN(seed=seed))


def _forest(seed: int, n_models: int) -> Any:
    return forest.ARFClassifier(n_models, seed=seed)


MODELS: dict[str, Callable[..., Any]] = {
    "SoftmaxRegression": _softmax,
    "GaussianNB": _bayes,
    "KNNClassifier": _neighbours,
    "ARFClassifier": _forest,
}


def begin(course: Course, request: Request, settings: dict[str, Any]) -> Learner:
    """The contestant, not having learned anything."""
    return OneByOne(course, request, MODELS[request.who](request.seed, **settings))


if __name__ == "__main__":
    main(begin)
