"""What an encoder shows of itself so that a model on it can be written as one graph, for runtimes without torch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple, Self

from torch import Tensor, nn


class GraphInput(NamedTuple):
    """An input of a graph.

    name, meaning: for who fills it. example: what the graph is traced with. length: what its first dimension counts,
    where that may vary.
    """

    name: str
    meaning: str
    example: Tensor
    length: str | None = None


class Exportable(ABC):
    """An encoder whose stem and head can be traced, for one item at a time."""

    @abstractmethod
    def graph_inputs(self, modalities: Sequence[str]) -> list[GraphInput]:
        """What the stem takes in a graph. modalities: those that the encoder reads."""

    @abstractmethod
    def graph_stem(self, modalities: Sequence[str]) -> nn.Module:
        """From :meth:`graph_inputs` of one item to its tokens ``[frames, ..., width]``, float16 as they are stored."""

    @abstractmethod
    def for_graph(self) -> Self:
        """The encoder, so that its head is one graph for items of any number of frames."""
