"""What engineers write themselves with scikit-learn: ``partial_fit`` on frozen features, task after task.

``ridge-refit`` is what many do instead: it keeps the features of all items and fits a ``RidgeClassifier`` anew.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from peers.course import Course, Labeller, Learner, Request, main
from sklearn.linear_model import Perceptron, RidgeClassifier, SGDClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier

BATCH = 32


class PartialFit(Labeller):
    """passes: over the items of a task, shuffled anew each time; in one call where ``whole``."""

    def __init__(self, course: Course, request: Request, model: Any, passes: int = 1, whole: bool = False) -> None:
        super().__init__(course, request.kind)
        self._model, self._passes, self._whole = model, passes, whole
        self._every = np.arange(len(course.names))
        self._random = np.random.default_rng(request.seed)
        self._seen = 0

    def learn(self, task: int) -> None:
        """See :meth:`Learner.learn`."""
        items, labels = self.train[task], self.train_labels[task]
        size = len(items) if self._whole else BATCH
        for _ in range(self._passes):
            order = self._random.permutation(len(items))
            for start in range(0, len(items), size):
                rows = order[start : start + size]
                self._model.partial_fit(items[rows], labels[rows], classes=self._every)
        self._seen = max(self._seen, int(labels.max()) + 1)

    def answers(self, items: NDArray[Any]) -> NDArray[Any]:
        """The best of the classes learned so far."""
        model = self._model
        scores = model.decision_function(items) if hasattr(model, "decision_function") else model.predict_proba(items)
        best: NDArray[Any] = scores[:, : self._seen].argmax(1)
        return best


class Refit(Labeller):
    """Keeps all items."""

    def __init__(self, course: Course, request: Request, alpha: float) -> None:
        super().__init__(course, request.kind)
        self._alpha = alpha

    def learn(self, task: int) -> None:
        """See :meth:`Learner.learn`."""
        items, labels = np.concatenate(self.train[: task + 1]), np.concatenate(self.train_labels[: task + 1])
        self._model = RidgeClassifier(alpha=self._alpha).fit(items, labels)

    def answers(self, items: NDArray[Any]) -> NDArray[Any]:
        """See :meth:`Labeller.answers`."""
        answers: NDArray[Any] = self._model.predict(items)
        return answers


def begin(course: Course, request: Request, settings: dict[str, Any]) -> Learner:
    """The contestant, not having learned anything."""
    if request.who == "ridge-refit":
        return Refit(course, request, **settings)
    if request.who == "GaussianNB":
        return PartialFit(course, request, GaussianNB(**settings), whole=True)
    model, passes = MODELS[request.who]
    return PartialFit(course, request, model(random_state=request.seed, **settings), passes)


MODELS: dict[str, tuple[Callable[..., Any], int]] = {
    "SGDClassifier": (SGDClassifier, 1),
    "SGDClassifier, 10 passes": (SGDClassifier, 10),
    "Perceptron": (Perceptron, 10),
    "MLPClassifier": (MLPClassifier, 10),
}


if __name__ == "__main__":
    main(begin)
