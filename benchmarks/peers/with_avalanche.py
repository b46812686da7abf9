"""Avalanche's strategies, as its users would run them: a linear head that grows with the classes, on frozen features.

The frozen features are given, or the frozen network is in the loop, as in Avalanche's own examples: then each epoch and
each evaluation computes them again.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import torch
from peers.course import Course, Learner, Request, main
from peers.torchvision_operators import declared
from torch import Tensor, nn

declared()

from avalanche.benchmarks import tensors_benchmark  # noqa: E402
from avalanche.evaluation.metrics import accuracy_metrics  # noqa: E402
from avalanche.models import IncrementalClassifier  # noqa: E402
from avalanche.training import Naive, Replay, StreamingLDA  # noqa: E402
from avalanche.training.plugins import EvaluationPlugin  # noqa: E402

BATCH, EVALUATED = 32, 128
"""Items at a time; Avalanche's own default is one."""


class Frozen(nn.Module):
    """The frozen network, pictures ``[n, size, size, 3]`` -> features ``[n, width]``; it stays in evaluation mode."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        network: Any = torch.jit.load(str(file))  # type: ignore[no-untyped-call]
        self._network = network.eval()
        for weights in network.parameters():
            weights.requires_grad = False

    def train(self, mode: bool = True) -> Self:
        """Nothing changes."""
        return self

    def forward(self, pictures: Tensor) -> Tensor:
        """Features."""
        with torch.no_grad():
            features: Tensor = self._network(pictures)
        return features


class Avalanche(Learner):
    """A strategy, and the benchmark that it learns. It is evaluated as Avalanche does it, without anything logged."""

    def __init__(self, course: Course, kind: str, strategy: Any) -> None:
        train, test = (
            [
                (torch.from_numpy(items), torch.from_numpy(labels))
                for items, labels in zip(course.inputs(split, kind), course.labels(split))
            ]
            for split in ("train", "test")
        )
        benchmark = tensors_benchmark(train_tensors=train, test_tensors=test, task_labels=[0] * len(train))
        self._train, self._test = list(benchmark.train_stream), list(benchmark.test_stream)
        self._strategy = strategy

    def learn(self, task: int) -> None:
        """See :meth:`Learner.learn`."""
        self._strategy.train(self._train[task])

    def accuracies(self, tasks: int) -> list[float]:
        """See :meth:`Learner.accuracies`."""
        found = self._strategy.eval(self._test[:tasks])
        accuracy = {int(name[-3:]): value for name, value in found.items() if name.startswith("Top1_Acc_Exp")}
        return [accuracy[task] for task in range(tasks)]


def evaluator() -> Any:
    """Accuracy on each task, and nothing else."""
    return EvaluationPlugin(accuracy_metrics(experience=True), loggers=[])


def begin(course: Course, request: Request, settings: dict[str, Any]) -> Learner:
    """The contestant, not having learned anything."""
    torch.set_num_threads(request.threads)
    torch.manual_seed(request.seed)
    frozen: nn.Module = Frozen(course.folder / f"{request.kind}.pt") if request.loop else nn.Identity()
    inputs, width = "pictures" if request.loop else request.kind, course.inputs("train", request.kind)[0].shape[1]
    common = {
        "criterion": nn.CrossEntropyLoss(),
        "train_mb_size": BATCH,
        "eval_mb_size": EVALUATED,
        "evaluator": evaluator(),
    }
    if request.who == "StreamingLDA":
        lda = StreamingLDA(slda_model=frozen, input_size=width, num_classes=len(course.names), **common, **settings)
        return Avalanche(course, inputs, lda)
    rate, epochs = settings["rate"], settings["epochs"]
    head = IncrementalClassifier(width, initial_out_features=len(course.classes[0]))
    model = nn.Sequential(frozen, head)
    optimizer = torch.optim.SGD(head.parameters(), lr=rate, momentum=0.9)
    strategy = {"Naive": Naive, "Replay": Replay}[request.who]
    return Avalanche(course, inputs, strategy(model=model, optimizer=optimizer, train_epochs=epochs, **common))


if __name__ == "__main__":
    main(begin)
