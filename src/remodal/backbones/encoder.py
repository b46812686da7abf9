"""The contract of an encoder: a frozen stem whose output is stored, and a head that takes prompts.

Prompts are ``[layers, 2, length, width]`` (keys, values) for every encoder, and zero values give exactly the frozen
model.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray
from torch import Tensor

from remodal.backbones.engine import Engine


@dataclass(frozen=True)
class PromptTraining:
    """How an encoder's prompts are trained where nothing else is asked for.

    rate: learning rate of the prompts. speed: learning rate of the alignment over that. steps: of a task. frames:
    whether a batch counts frames, each of which passes all layers, and not items. through: so many features, the last
    ones, are aligned meanwhile, all by default: where others tell the classes apart already, prompts can do nothing.
    """

    rate: float = 3e-3
    speed: float = 5.0
    steps: int = 12
    frames: bool = False
    through: int | None = None


class Encoder(ABC):
    """One frozen network: files' media -> tokens (stem), tokens + prompts -> features (head)."""

    name: str
    engine: Engine = Engine()
    """Where it computes."""
    layers: int
    """Layers that take prompts."""
    width: int
    """Width of a token, and so of a prompt."""
    feature_width: int
    """Width of what :meth:`embed` gives."""
    identity_width: int
    """Width of what :meth:`pooled` gives."""
    knows_names: bool = True
    """Whether :meth:`align` says anything before something is learned."""
    prompt_training: PromptTraining = PromptTraining()
    cost: int = 1
    """What a frame costs, in pictures: a network takes fewer at a time of those that cost more."""
    own: slice = slice(None)
    """Which features are what the model itself makes of its last layer; :meth:`align` needs no others."""
    keeps_features: bool = False
    """Whether frozen features are stored beside the tokens, since computing them from tokens takes long."""

    recordable: bool = False
    """Whether :meth:`embed` starts the same operations on a GPU for tokens of one shape, whatever they hold."""

    @abstractmethod
    def prepare(self, modality: str, medium: Any) -> NDArray[Any]:
        """A decoded medium in few bytes, ``[frames, ...]``; called where it is decoded, maybe in another process."""

    def normalised(self, modality: str, prepared: NDArray[Any]) -> NDArray[Any]:
        """Prepared frames as the stem takes them: as they are, unless an encoder says otherwise."""
        return prepared

    @abstractmethod
    def stem(self, inputs: NDArray[Any]) -> NDArray[Any] | Tensor:
        """Frozen tokens ``[frames, ..., width]`` of a batch of normalised frames, whatever items they belong to.

        float16, or bytes where the stem does nothing and pictures are stored as they are. A tensor may be on the
        engine's device, where what comes after the stem needs it.
        """

    @abstractmethod
    def embed(self, tokens: Tensor, prompts: Tensor | None) -> Tensor:
        """Features ``[n, feature_width]`` of tokens ``[n, frames, ..., width]``, differentiable in the prompts.

        tokens: as they are stored, on the engine's device. prompts: ``[layers, 2, length, width]``; or one an item,
        ``[n, layers, 2, length, width]``; or several that act beside each other, each with a softmax of its own, ``[1
        or n, parts, layers, 2, length, width]``.
        """

    @abstractmethod
    def align(self, features: Tensor) -> Tensor:
        """Features in the text space, ``[n, d]``, by the frozen model's own map (linear, not normalised)."""

    @abstractmethod
    def pooled(self, tokens: Tensor) -> Tensor:
        """What the frames show on average ``[n, identity_width]``: all that a router, a key or a query may see.

        Its shape is the same for every modality of the encoder, whatever the file, the decoder or the number of
        frames, so that the identity has to be found from content.
        """

    def frozen(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Features without prompts, and :meth:`pooled`; in one pass where an encoder can."""
        return self.embed(tokens, None), self.pooled(tokens)
