"""What a folder of the ``transformers`` library holds: no network is asked, no pickle read, no code of theirs run."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from transformers import AutoConfig, AutoFeatureExtractor, AutoModel
from transformers.models.auto.image_processing_auto import AutoImageProcessor
from transformers.utils import logging

from remodal.backbones.transformer.pictures import Preprocessing
from remodal.backbones.transformer.progress_bar import no_progress_bar
from remodal.backbones.transformer.sentences import Wording
from remodal.errors import LONGEST as MOST_LETTERS
from remodal.errors import RemodalError

LONGEST = 256
"""Word pieces of a sentence, at most."""
UNUSED = "pooler."
"""Weights that no encoder here needs begin so; a checkpoint may lack them."""
WEIGHTS = ("config.json", "*.safetensors")
PROCESSOR = ("preprocessor_config.json", "processor_config.json")
"""Of pictures or sounds; newer versions of the library write the second one."""
WORDING = "tokenizer_config.json"
POOLINGS = {"pooling_mode_cls_token": "cls", "pooling_mode_mean_tokens": "mean", "pooling_mode_lasttoken": "lasttoken"}
"""Of a sentence's word pieces, by the names that older versions of ``sentence-transformers`` give them."""
VALID = "valid: an encoder of transformers"
"""What a folder may hold."""
SAFELY = {"local_files_only": True, "trust_remote_code": False}
"""Of code in a folder, the library would ask at the terminal whether to run it, if nothing were said."""


@contextmanager
def in_folder(folder: Path, valid: str) -> Iterator[None]:
    """Of a broken file the libraries raise whatever their parts raise, and they tell of their work in many lines."""
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    try:
        with no_progress_bar():
            yield
    except RemodalError as error:
        raise RemodalError(f"{folder}: {error}") from None
    except Exception as error:
        raise RemodalError(f"{folder}: {' '.join(str(error).split())[:MOST_LETTERS]}; {valid}") from error
    finally:
        logging.set_verbosity(verbosity)


def load_model(folder: Path, *, weightless: bool = False) -> Any:
    """The ``PreTrainedModel`` in a folder, float32, or its shapes alone.

    Raises:
        RemodalError: A file is missing or damaged, weights are missing, or it is of a class that isn't known.
    """
    for file in WEIGHTS:
        _needed(folder, file)
    with in_folder(folder, VALID):
        if weightless:
            config = AutoConfig.from_pretrained(folder, **SAFELY)
            with torch.device("meta"):
                return AutoModel.from_config(config, trust_remote_code=False)  # type: ignore[no-untyped-call]
        model, report = AutoModel.from_pretrained(
            folder, **SAFELY, use_safetensors=True, dtype=torch.float32, output_loading_info=True
        )
        missing = sorted(name for name in report["missing_keys"] if not name.startswith(UNUSED))
        if missing:  # the library would put random numbers in their place
            raise ValueError(f"found weights without {missing[0]} ({len(missing)} in all are missing)")
    return model


def load_preprocessing(folder: Path) -> Preprocessing:
    """How the model in a folder wants its pictures; RemodalError where the folder doesn't say."""
    _needed(folder, *PROCESSOR)
    with in_folder(folder, f"valid: the {PROCESSOR[0]} of the model"):
        return Preprocessing.of(AutoImageProcessor.from_pretrained(folder, **SAFELY))  # type: ignore[no-untyped-call]


def load_extractor(folder: Path) -> Any:
    """The feature extractor of the model of sounds in a folder; RemodalError where the folder has none."""
    _needed(folder, *PROCESSOR)
    with in_folder(folder, f"valid: the {PROCESSOR[0]} of the model"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # bands of the lowest pitches that no bin falls in: so AST was trained
        return AutoFeatureExtractor.from_pretrained(folder, **SAFELY)  # type: ignore[no-untyped-call]


def load_wording(folder: Path, model: Any) -> Wording:
    """How the model in a folder wants its sentences; RemodalError where the folder doesn't say."""
    config = model.config.get_text_config()
    context = getattr(config, "max_position_embeddings", LONGEST)
    _needed(folder, "tokenizer.json")
    with in_folder(folder, "valid: the tokenizer.json of the model"):
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        if (last := max(tokenizer.get_vocab().values())) >= config.vocab_size:
            raise ValueError(f"found word piece {last:,} for a model of {config.vocab_size:,}")
    if not type(model).__name__.startswith("Siglip"):
        return Wording(tokenizer, min(LONGEST, context, _told(folder, "model_max_length", context)))
    _needed(folder, WORDING)
    filler = _told(folder, "pad_token", None)
    name = filler.get("content") if isinstance(filler, dict) else filler
    piece = tokenizer.token_to_id(name) if isinstance(name, str) else None
    if piece is None:
        raise RemodalError(f"{folder}: found pad_token {name!r} in {WORDING}; valid: one of the tokenizer's pieces")
    return Wording(tokenizer, context, filler=piece, lower=True)


def load_pooling(folder: Path) -> str:
    """What stands for a sentence: the ``mean`` of its word pieces, the first, ``cls``, or the last one, ``lasttoken``.

    ``mean`` if nothing is said.

    RemodalError where ``sentence-transformers`` would make something else of them.
    """
    if not (folder / "modules.json").is_file():
        return "mean"
    with in_folder(folder, "valid: modules Transformer, Pooling (mean, cls or lasttoken) and Normalize"):
        modules = json.loads((folder / "modules.json").read_text(encoding="utf-8"))
        kinds = [module["type"].rpartition(".")[2] for module in modules]
        for kind in kinds:
            if kind not in ("Transformer", "Pooling", "Normalize"):
                raise ValueError(f"found a module {kind} in modules.json")
        if "Pooling" not in kinds:
            return "mean"
        part = Path(modules[kinds.index("Pooling")]["path"]).name
        told = json.loads((folder / part / "config.json").read_text(encoding="utf-8"))
        found = told.get(
            "pooling_mode",
            [POOLINGS.get(name, name) for name, value in told.items() if value is True and name.startswith("pooling")],
        )
        pooling = found[0] if isinstance(found, list) and len(found) == 1 else found
        if pooling not in POOLINGS.values():
            raise ValueError(f"found a pooling {pooling} in {part}")
        return str(pooling)


def _told(folder: Path, name: str, otherwise: Any) -> Any:
    """What the folder says of its tokenizer, where it says anything."""
    file = folder / WORDING
    if not file.is_file():
        return otherwise
    with in_folder(folder, f"valid: the {WORDING} of the model"):
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return found.get(name, otherwise)


def _needed(folder: Path, *files: str) -> None:
    """RemodalError where a folder has none of these files."""
    if not any(any(folder.glob(file)) for file in files):
        raise RemodalError(f"{folder}: found no {files[0]}; valid: a folder with all files of a model; fetch it too")
