"""What methods with one expert a modality share: the learned router, and scores of router and expert together.

Not a method itself. The router sees the frozen model's last-layer mean token and nothing else (no file type, no number
of frames), and is fitted to statistics of it by class and modality.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence

from torch import Tensor

from remodal.adaptation.routed import Embeddings, Expert, routed_scores
from remodal.adaptation.router import Router
from remodal.adaptation.statistics import ClassStatistics
from remodal.backbones import Backbone, Tokens
from remodal.methods.base import Method, State, TaskData
from remodal.settings import Settings
from remodal.streams.base import Column
from remodal.training.trainer import Trainer

IDENTITY_RANK = 64


class RoutedMethod(Method):
    """A method that answers with the expert of the modality that its router finds."""

    def __init__(self, backbone: Backbone, settings: Settings, seed: int) -> None:
        super().__init__(backbone, settings, seed)
        self.routers_ = {name: Router(tower.identity_width) for name, tower in backbone.towers.items()}
        self.identity_: dict[str, ClassStatistics] = {}
        self._embeddings = Embeddings()

    @abstractmethod
    def experts(self) -> Mapping[str, Expert]:
        """What answers within each modality seen so far."""

    def scores(self, tokens: Tokens, columns: Sequence[Column]) -> Tensor:
        """``log p(modality) + log softmax`` within each modality; unseen modalities are scored by the frozen model."""
        return routed_scores(
            self.backbone, self.routers_[tokens.tower], self.experts(), tokens, columns, self._embeddings
        )

    def learn_identity(self, task: TaskData, identity: Tensor, trainer: Trainer) -> None:
        """Store statistics of the task's ``identity`` ``[n, identity_width]``, and fit its tower's router again."""
        statistics = self.identity_.get(task.modality) or ClassStatistics(identity.shape[1], IDENTITY_RANK)
        statistics.add(identity, task.labels, task.classes)
        self.identity_[task.modality] = statistics
        tower = self.backbone.reads[task.modality]
        names = [name for name in self.identity_ if self.backbone.reads[name] == tower]
        self.routers_[tower].train([self.identity_[name] for name in names], names, trainer)

    def trainable_parameters(self) -> int:
        """Prompts and adapter of one modality, and the routers."""
        largest = max((one.prompts.numel() + one.adapter.numel() for one in self.experts().values()), default=0)
        return largest + sum(router.weight.numel() + router.bias.numel() for router in self.routers_.values())

    def put_routing(self, state: State) -> None:
        """Add routers and identity statistics to ``state``."""
        for name, router in self.routers_.items():
            state.put(f"router/{name}", {"weight": router.weight, "bias": router.bias})
        for name, statistics in self.identity_.items():
            state.put(f"identity/{name}", statistics.tensors())
        state.values["routing"] = {
            "routers": {name: router.modalities for name, router in self.routers_.items()},
            "identity": {name: statistics.classes for name, statistics in self.identity_.items()},
        }

    def take_routing(self, state: State) -> None:
        """Take on what :meth:`put_routing` added."""
        values = state.values["routing"]
        for name, known in values["routers"].items():
            stored, router = state.under(f"router/{name}"), self.routers_[name]
            router.modalities, router.weight, router.bias = list(known), stored["weight"], stored["bias"]
        self.identity_ = {
            name: ClassStatistics.from_state(state.under(f"identity/{name}"), classes, IDENTITY_RANK)
            for name, classes in values["identity"].items()
        }
