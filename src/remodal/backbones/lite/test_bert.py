"""The network of MiniLM, held to the one that its authors' library makes of the same file."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from remodal.backbones.lite.bert import LAYERS, Bert
from remodal.backbones.packaged import load_tokenizer, weights_file

SENTENCES = ("", "a", "a domesticated animal that barks", "Ein Schiff auf dem Meer, 1907 (naïve)", "word " * 200)


@pytest.fixture(scope="module")
def network() -> Bert:
    return Bert(weights_file()).eval()


@torch.inference_mode()
def test_every_layer_gives_the_bits_that_transformers_gives(network: Bert) -> None:
    transformers = pytest.importorskip("transformers", reason="pip install 'remodal[transformer]'")
    folder = weights_file().parent
    theirs = transformers.BertModel.from_pretrained(folder, local_files_only=True, attn_implementation="eager").eval()
    for sentence in SENTENCES:
        pieces = torch.tensor([load_tokenizer().encode(sentence).ids])
        expected = theirs(input_ids=pieces, output_hidden_states=True).hidden_states
        found = network(pieces)
        assert len(found) == len(expected) == LAYERS + 1
        for ours, other in zip(found, expected, strict=True):
            assert np.array_equal(ours.numpy(), other.numpy())
