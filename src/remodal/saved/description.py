"""``config.json``: all that is said of a saved model, and the files that hold its tensors.

It may come from a stranger: every field has a limit, and no text in it can move a terminal's cursor.
"""

from __future__ import annotations

import json
import re
import reprlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, ValidationError, model_validator

from remodal.characters import STEERING
from remodal.errors import RemodalError
from remodal.learning.settings import Features
from remodal.modalities.depth import METRES
from remodal.saved.inside import contents
from remodal.streams.base import Column

FORMAT = "remodal model"
SCHEMA = 3
MAX_BYTES = 8 * 2**20
"""A larger ``config.json`` isn't read, nor written: 20,000 classes take 2 MB, and 10 GB of tensors as much."""
MAX_CLASSES = 20_000
MAX_SETTINGS = 10_000
"""Letters of the method's settings, and of the backbone's, as JSON."""
LONGEST = 1000
"""Letters of a text."""
NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}"
"""Of a method or a modality."""
SHOWN = 80
"""Letters of a wrong value that are shown."""


def _in_files(raw: dict[str, Any]) -> dict[str, Any]:
    """Schema 1 has one file for the weights and one for the held-out items."""
    return {**raw, "schema": 2, "weights": [raw["weights"]], "held_out": [raw["held_out"]]}


def _without_items(raw: dict[str, Any]) -> dict[str, Any]:
    """Schema 2 has no list of the items that were learned."""
    return {**raw, "schema": 3}


MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {1: _in_files, 2: _without_items}
"""From the schema of that number to the next one: plain data in, plain data out."""


def one_line(text: str) -> str:
    """``text``; ValueError where a letter of it is none: a control character, a line's end, a change of direction.

    >>> one_line("crème brûlée")
    'crème brûlée'
    >>> one_line("rose\\x1b[2J")
    Traceback (most recent call last):
    ...
    ValueError: a control character in it; valid: letters alone
    """
    if STEERING.search(text):
        raise ValueError("a control character in it; valid: letters alone")
    return text


def cleaned(text: str) -> str:
    r"""``text`` as :func:`one_line` takes it, cut short where it is too long.

    >>> cleaned("two\nlines")
    'two lines'
    """
    return STEERING.sub(" ", text)[:LONGEST]


Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0, le=10**12)]
Number = Annotated[int, Field(ge=1, le=10**6)]
"""Of a version."""
Line = Annotated[str, Field(max_length=LONGEST), AfterValidator(one_line)]
Name = Annotated[str, Field(pattern=f"^{NAME}$")]
Chosen = dict[Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$")], JsonValue]
"""Settings by name."""
Moment = Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\+00:00$")]
"""UTC, ISO 8601."""
Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]


def _shown(column: Column) -> Column:
    if not re.fullmatch(NAME, column.modality):
        raise ValueError("valid: a modality's name")
    if not 0 < len(column.name) <= LONGEST:
        raise ValueError(f"valid: a name of 1 to {LONGEST:,} letters")
    one_line(column.name)
    return column


Class = Annotated[Column, AfterValidator(_shown)]


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True)


class File(Part):
    """A file of tensors in the model's folder."""

    name: str = Field(pattern=r"^([A-Za-z0-9_-]{1,64}|tensors/[0-9a-f]{64})\.safetensors$")
    bytes: int = Field(ge=0, le=2**36)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class Source(Part):
    """What was learned at one go: how many items, of which classes, from where, under which licences."""

    modality: Name
    classes: tuple[Line, ...]
    items: int = Field(ge=1, le=10**12)
    origin: Line
    licences: tuple[Line, ...] = ()


class Measured(Part):
    """Accuracy on the items of a modality that were held out; None where the method can't say."""

    items: int = Field(ge=1, le=10**12)
    aware: Share | None
    agnostic: Share | None


class About(Part):
    """What a model is and has learned.

    settings, backbone_settings: the method's, the backbone's. dtype: of the frozen model's products. tasks: how often
    it has learned. lineage: by modality, a hash over all that was learned of it, in order. accuracy: by modality, on
    the held-out items that are saved with it. depth_unit: of the depth files that it learned from, where one was
    stated. arrived: the last entry that it has learned of a log of what came (:mod:`remodal.watching`).
    """

    method: Name
    settings: Chosen
    backbone: Line
    backbone_settings: Chosen = Field(default_factory=dict)
    dtype: Annotated[str, Field(pattern=r"^(float32|bfloat16|float16)$")] = "float32"
    features: Features
    fingerprint: Line
    seed: int = Field(ge=0, le=2**64)
    tasks: Count
    classes: tuple[Class, ...] = Field(max_length=MAX_CLASSES)
    sources: tuple[Source, ...]
    lineage: dict[Name, Hash]
    accuracy: dict[Name, Measured]
    depth_unit: Annotated[str, Field(pattern=rf"^({'|'.join(METRES)})$")] | None = None
    arrived: Hash | None = None

    @model_validator(mode="after")
    def _consistent(self) -> About:
        if len(set(self.classes)) < len(self.classes):
            raise ValueError("classes: one stands there twice")
        for name, chosen in (("settings", self.settings), ("backbone_settings", self.backbone_settings)):
            if len(json.dumps(chosen)) > MAX_SETTINGS:
                raise ValueError(f"{name}: valid: at most {MAX_SETTINGS:,} letters")
        return self


class Description(Part):
    """A saved version. parent: the version that it learned on from, in the same folder. made: UTC, ISO 8601. note: what
    was done to make it, where it didn't just learn more.

    weights, held_out, items: the files that hold its tensors, in their order; what was learned item by item isn't known
    of models that were saved by earlier versions.
    """

    kind: str = Field(FORMAT, alias="format", pattern=f"^{FORMAT}$")
    schema_number: int = Field(SCHEMA, alias="schema", ge=SCHEMA, le=SCHEMA)
    version: Number
    parent: Number | None
    made: Moment
    made_with: dict[Line, Line]
    note: Line = ""
    about: About
    weights: tuple[File, ...]
    held_out: tuple[File, ...]
    items: tuple[File, ...] = ()

    @model_validator(mode="after")
    def _named_once(self) -> Description:
        for files in (self.weights, self.held_out, self.items):
            if len({file.name for file in files}) < len(files):
                raise ValueError("weights, held_out, items: a file is named twice")
        return self

    @property
    def files(self) -> set[str]:
        """Names of all files of tensors."""
        return {file.name for file in (*self.weights, *self.held_out, *self.items)}

    def as_json(self) -> str:
        """As it stands in ``config.json``. RemodalError where that would be more than is read."""
        text = json.dumps(self.model_dump(by_alias=True), indent=1, ensure_ascii=False) + "\n"
        if len(text.encode()) > MAX_BYTES:
            raise RemodalError(f"the model's description takes more than {MAX_BYTES:,} bytes; valid: at most so many")
        return text


def described(folder: Path, name: str) -> Description:
    """What the file ``name`` in ``folder`` says, ``config.json`` or a version's; an older schema is brought up to date.

    Raises:
        RemodalError: It isn't there, isn't a model's, is damaged, or was made by a newer remodal.
    """
    file = folder / name
    raw = _json(folder, name)
    if not isinstance(raw, dict) or raw.get("format") != FORMAT:
        raise RemodalError(f"{file}: not a model of remodal's; valid: a folder that model.save or remodal run left")
    schema = raw.get("schema")
    if isinstance(schema, int) and schema > SCHEMA:
        made_with = raw.get("made_with")
        by = _cut(made_with.get("remodal", "?") if isinstance(made_with, dict) else "?")
        raise RemodalError(
            f"{file}: found schema {_cut(schema)}, made by remodal {by}; this remodal reads up to {SCHEMA}: upgrade it"
        )
    with valid(f"{file}: damaged"):
        while schema in MIGRATIONS:
            raw = MIGRATIONS[schema](raw)
            schema = raw["schema"]
        return Description.model_validate_json(json.dumps(raw, allow_nan=False))


@contextmanager
def valid(what: str) -> Iterator[None]:
    """A block that builds what is said of a model; where it isn't valid, a RemodalError that begins with ``what``."""
    try:
        yield
    except (ValidationError, KeyError, TypeError, ValueError, RecursionError, OverflowError) as error:
        raise RemodalError(f"{what}: {_first(error)}") from None


def _json(folder: Path, name: str) -> Any:
    file = folder / name
    if not file.exists():
        raise RemodalError(f"{folder}: found no {name}; valid: the folder of a saved model")
    data = contents(folder, name, MAX_BYTES)
    try:
        return json.loads(data, object_pairs_hook=_once, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise RemodalError(f"{file}: damaged: not JSON ({_cut(error)})") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands there twice")
    return found


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number")


def _first(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return _cut(f"{type(error).__name__}: {error}")
    first = error.errors(include_url=False, include_context=False)[0]
    where = cleaned(".".join(str(part)[:SHOWN] for part in first["loc"]))
    return f"{where or 'config'}: found {_cut(first['input'])}; {cleaned(first['msg'][:1].lower() + first['msg'][1:])}"


def _cut(value: object) -> str:
    """The beginning of a value, as letters alone."""
    return cleaned(str(value) if isinstance(value, str | Exception) else reprlib.repr(value))[:SHOWN]
