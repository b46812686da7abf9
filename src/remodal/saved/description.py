"""``config.json``: all that is said of a saved model, and the files that hold its tensors."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from remodal.errors import RemodalError
from remodal.learning.settings import Features
from remodal.streams.base import Column

FORMAT = "remodal model"
SCHEMA = 1
MAX_BYTES = 32 * 2**20
"""A larger ``config.json`` isn't read."""
MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}
"""From the schema of that number to the next one: plain data in, plain data out."""

Share = Annotated[float, Field(ge=0, le=1)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True)


class File(_Part):
    """A file of tensors beside ``config.json``."""

    name: str = Field(pattern=r"^[A-Za-z0-9_-]+\.safetensors$")
    bytes: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class Source(_Part):
    """What was learned at one go: how many items, of which classes, from where, under which licences."""

    modality: str
    classes: tuple[str, ...]
    items: int = Field(ge=1)
    origin: str
    licences: tuple[str, ...] = ()


class Measured(_Part):
    """Accuracy on the items of a modality that were held out; None where the method can't say."""

    items: int = Field(ge=1)
    aware: Share | None
    agnostic: Share | None


class About(_Part):
    """What a model is and has learned.

    tasks: how often it has learned. lineage: by modality, a hash over all that was learned of it, in order.
    accuracy: by modality, on the held-out items that are saved with it.
    """

    method: str
    settings: dict[str, Any]
    backbone: str
    features: Features
    fingerprint: str
    seed: int = Field(ge=0)
    tasks: int = Field(ge=0)
    classes: tuple[Column, ...]
    sources: tuple[Source, ...]
    lineage: dict[str, str]
    accuracy: dict[str, Measured]


class Description(_Part):
    """A saved version. parent: the version that it learned on from, in the same folder. made: UTC, ISO 8601."""

    kind: str = Field(FORMAT, alias="format", pattern=f"^{FORMAT}$")
    schema_number: int = Field(SCHEMA, alias="schema", ge=SCHEMA, le=SCHEMA)
    version: int = Field(ge=1)
    parent: int | None
    made: str
    made_with: dict[str, str]
    about: About
    weights: File
    held_out: File

    def as_json(self) -> str:
        """As it stands in ``config.json``."""
        return json.dumps(self.model_dump(by_alias=True), indent=1, ensure_ascii=False) + "\n"


def described(file: Path) -> Description:
    """What ``file`` (a ``config.json``, or a version's) says; one of an older schema is brought up to date.

    Raises:
        RemodalError: It isn't there, isn't a model's, is damaged, or was made by a newer remodal.
    """
    raw = _json(file)
    if not isinstance(raw, dict) or raw.get("format") != FORMAT:
        raise RemodalError(f"{file}: not a model of remodal's; valid: a folder that model.save or remodal run left")
    schema = raw.get("schema")
    if isinstance(schema, int) and schema > SCHEMA:
        made_with = raw.get("made_with")
        by = made_with.get("remodal", "?") if isinstance(made_with, dict) else "?"
        raise RemodalError(
            f"{file}: found schema {schema}, made by remodal {by}; this remodal reads up to {SCHEMA}: upgrade it"
        )
    try:
        while schema in MIGRATIONS:
            raw = MIGRATIONS[schema](raw)
            schema = raw["schema"]
        return Description.model_validate_json(json.dumps(raw))
    except (ValidationError, KeyError, TypeError, ValueError) as error:
        raise RemodalError(f"{file}: damaged: {_first(error)}") from None


def _json(file: Path) -> Any:
    try:
        with file.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise RemodalError(f"{file.parent}: found no {file.name}; valid: the folder of a saved model") from None
    except OSError as error:
        raise RemodalError(f"{file}: can't be read ({error.strerror})") from None
    if len(data) > MAX_BYTES:
        raise RemodalError(f"{file}: found more than {MAX_BYTES:,} bytes; valid: at most so many")
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise RemodalError(f"{file}: damaged: not JSON ({error})") from None


def _first(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return f"{type(error).__name__}: {error}"
    first = error.errors(include_url=False)[0]
    found = repr(first["input"])
    return f"{'.'.join(map(str, first['loc']))}: found {found[:80]}; {first['msg'].lower()}"
