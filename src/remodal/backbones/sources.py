"""Where a model of the ``transformers`` library is that a user names: a folder, or an id in the cache of the hub.

A file may name one for each modality: the settings of ``towers``, in YAML.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from copy import copy
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]
from pydantic import create_model

from remodal.backbones.settings import MODALITIES, TowersSettings
from remodal.errors import RemodalError

FILES = "config.json, *.safetensors, tokenizer.json, tokenizer_config.json and preprocessor_config.json"
"""Of a model, those of them that it has."""
SUFFIXES = (".yaml", ".yml")
MOST_BYTES = 100_000
"""Of a file of towers."""


def is_id(name: str) -> bool:
    """Whether a name is one that a hub may know.

    >>> is_id("facebook/dinov2-small"), is_id("dinov2"), is_id("../models/dinov2")
    (True, False, False)
    """
    return re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", name) is not None


def located(source: str) -> Path:
    """The folder of a model: the one of that path, or the one in the cache of the hub. No network is asked.

    Raises:
        RemodalError: It is in neither.
    """
    if Path(source).is_dir():
        return Path(source)
    if not is_id(source):
        raise RemodalError(f"found no folder {source!r}; valid: a folder with a model's {FILES}, or its id owner/name")
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(source, local_files_only=True))
    except (HFValidationError, LocalEntryNotFoundError, OSError):
        raise RemodalError(
            f"found no folder {source!r}, and no such model in the cache {constants.HF_HUB_CACHE}; where there is a "
            f"network: hf download {source}; elsewhere: fetch its {FILES}, as far as it has them, into a folder, and "
            "name that"
        ) from None


def settings_in(file: Path) -> type[TowersSettings]:
    """The settings of ``towers``, with what a YAML file says as their defaults; its folders are given from where it is.

    Raises:
        RemodalError: It can't be read, or says something that can't be set.
    """
    valid = "valid: a YAML file of lines such as 'image: facebook/dinov2-small'"
    try:
        with file.open("rb") as stream:
            text = stream.read(MOST_BYTES + 1)
        if len(text) > MOST_BYTES:
            raise RemodalError(f"{file}: found more than {MOST_BYTES:,} bytes; {valid}")
        found: Any = yaml.safe_load(text)
    except OSError as error:
        raise RemodalError(f"{file}: can't be read ({error.strerror or error}); {valid}") from None
    except (RecursionError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RemodalError(f"{file}: can't be read ({' '.join(str(error).split())}); {valid}") from None
    if not isinstance(found, dict) or not all(isinstance(name, str) for name in found):
        raise RemodalError(f"{file}: found no settings; {valid}")
    for modality in MODALITIES:
        source = found.get(modality)
        if isinstance(source, str) and (not is_id(source) or (file.parent / source).is_dir()):
            found[modality] = str((file.parent / source).resolve())
    try:
        return _with_defaults(TowersSettings.checked(found))
    except RemodalError as error:
        raise RemodalError(f"{file}: {error}") from None


def named_in(settings: Mapping[str, object]) -> list[str]:
    """The folders and ids that a backbone's settings name."""
    found = (settings.get(modality) for modality in MODALITIES)
    return [source for source in found if isinstance(source, str)]


def _with_defaults(values: TowersSettings) -> type[TowersSettings]:
    fields: dict[str, Any] = {}
    for name in values.model_fields_set:
        field = copy(TowersSettings.model_fields[name])
        field.default = getattr(values, name)
        fields[name] = field.annotation, field
    return create_model("TowersSettings", __base__=TowersSettings, **fields)
