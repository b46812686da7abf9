"""MiniLM as a model of the ``transformers`` library, from the package that ``lite`` takes it from too."""

from __future__ import annotations

import torch
from transformers import BertConfig, BertModel

from remodal.backbones.packaged import weights_file
from remodal.backbones.transformer.progress_bar import no_progress_bar


def load_minilm(*, weightless: bool = False) -> BertModel:
    """The pretrained model, float32, or its shapes alone. Raises RemodalError where its package isn't installed."""
    folder = weights_file().parent
    if weightless:
        with torch.device("meta"):
            return BertModel(BertConfig.from_pretrained(folder, local_files_only=True))
    with no_progress_bar():
        return BertModel.from_pretrained(folder, local_files_only=True, use_safetensors=True, dtype=torch.float32)
