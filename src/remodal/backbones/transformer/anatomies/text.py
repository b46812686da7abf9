"""Encoders of text in BERT's shape: BERT, RoBERTa, XLM-RoBERTa, CamemBERT, DistilBERT.

Papers: Devlin et al., "BERT", NAACL 2019; Liu et al., "RoBERTa", arXiv 1907.11692, 2019; Conneau et al., "Unsupervised
cross-lingual representation learning at scale", ACL 2020; Martin et al., "CamemBERT", ACL 2020; Sanh et al.,
"DistilBERT", arXiv 1910.01108, 2019. Their mean as a sentence's embedding: Reimers & Gurevych, "Sentence-BERT", EMNLP
2019.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from remodal.backbones.transformer.anatomies.anatomy import Anatomy, Inputs, mask_of


def mean_of_word_pieces(last: Tensor, inputs: Inputs) -> Tensor:
    """Mean over the word pieces that aren't padding."""
    weight = _real(last, inputs)[..., None].to(last.dtype)
    return (last * weight).sum(1) / weight.sum(1)


def last_word_piece(last: Tensor, inputs: Inputs) -> Tensor:
    """The last word piece that isn't padding, which has seen all others where a model is causal."""
    return last[torch.arange(len(last), device=last.device), _real(last, inputs).sum(1).long() - 1]


def _real(last: Tensor, inputs: Inputs) -> Tensor:
    """1 where a word piece isn't padding, ``[n, pieces]``."""
    return inputs.get("attention_mask", torch.ones(last.shape[:2], device=last.device))


def bert(model: Any) -> dict[str, Anatomy]:
    """A ``BertModel`` or a model of its shape; the pooler isn't used."""
    causal = getattr(model.config, "is_decoder", False)
    return {
        "text": Anatomy(
            embed=lambda inputs: model.embeddings(input_ids=inputs["input_ids"]),
            layers=tuple((model.transformer if hasattr(model, "transformer") else model.encoder).layer),
            norm=nn.Identity(),
            summary=mean_of_word_pieces,
            width=model.config.hidden_size,
            causal=causal,
            beside=lambda tokens, inputs: {"attention_mask": mask_of(inputs, causal=causal)},
        )
    }
