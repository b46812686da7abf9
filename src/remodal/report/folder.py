"""Reading what a run has left in its folder (``docs/run-folder.md``)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from remodal.errors import RemodalError, installed_with
from remodal.learning.results import SCHEMA

SECTIONS = {
    "stream": str, "order": str, "seed": int, "method": str, "backbone": str, "settings": dict, "tasks": list,
    "accuracy": dict, "summary": dict, "per_modality": dict, "cost": dict, "quarantined": list, "versions": dict,
}  # fmt: skip
"""What a run wrote, and of which kind each part is."""


class Answer(NamedTuple):
    """The final answer to one held-out item whose modality was not given, and the truth."""

    item: str
    modality: str
    label: str
    agnostic: str
    agnostic_modality: str

    @property
    def right(self) -> bool:
        """Whether the name is right, whatever the modality it was found in."""
        return self.label == self.agnostic


def read_results(folder: Path) -> dict[str, Any]:
    """The content of ``results.json``.

    Raises:
        RemodalError: There is none, or it isn't a whole one of the schema that is known here.
    """
    path = folder / "results.json"
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        reason = f"found no results.json ({error.strerror}); valid: the folder of a finished run"
        raise RemodalError(f"{folder}: {reason}") from None
    except ValueError as error:
        raise RemodalError(f"{path}: found no JSON ({error}); valid: what a run wrote") from None
    return checked_results(results, str(path))


def checked_results(results: Any, where: str) -> dict[str, Any]:
    """What JSON gave, as the content of a ``results.json``.

    where: it was found, for a person.

    Raises:
        RemodalError: It isn't a whole one of the schema that is known here.
    """
    schema = results.get("schema") if isinstance(results, dict) else None
    if schema != SCHEMA:
        raise RemodalError(f"{where}: found schema {schema!r}; valid: {SCHEMA}")
    if missing := [section for section in SECTIONS if section not in results]:
        raise RemodalError(f"{where}: found no {', '.join(missing)}; valid: what a run wrote")
    found: dict[str, Any] = results
    _check_kinds(found, SECTIONS, where)
    _check_kinds(found["settings"], dict.fromkeys(found["settings"], dict), f"{where}: settings")
    return found


def _check_kinds(found: Mapping[str, Any], kinds: Mapping[str, type], where: str) -> None:
    for name, kind in kinds.items():
        if not isinstance(found[name], kind):
            raise RemodalError(f"{where}: found {name} {found[name]!r:.60}; valid: what a run wrote")


def read_answers(folder: Path) -> list[Answer]:
    """The answers in ``predictions.parquet``, without the scores.

    Raises:
        RemodalError: The file is missing or damaged.
    """
    with installed_with("experiments"):
        import pyarrow as pa
        import pyarrow.parquet as pq
    path = folder / "predictions.parquet"
    try:
        table = pq.read_table(path, columns=list(Answer._fields))
    except (OSError, pa.ArrowException) as error:
        raise RemodalError(f"{path}: can't be read ({error})") from None
    return [Answer(**row) for row in table.to_pylist()]
