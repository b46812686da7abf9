"""How answers are written: for a person, as JSON Lines, as CSV; each as the lines of one medium."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from io import StringIO
from typing import TYPE_CHECKING, Any

from remodal.characters import printable
from remodal.modalities.windows import Span

if TYPE_CHECKING:
    from remodal.answering import Answer

When = Mapping[str, Any]
"""``start`` and ``end`` of a window in seconds, both None where a medium was read whole; or nothing."""
FORMULA = ("=", "+", "-", "@")
"""How texts begin that a spreadsheet would compute."""
WHOLE: When = {}
"""The moment of a medium that isn't asked about window by window."""

UNCUT: When = {"start": None, "end": None}
"""That of a medium that is too short to be cut in windows."""


def csv_head(when: When) -> tuple[str, ...]:
    """The columns of :func:`as_csv`."""
    return ("medium", *when, "rank", "label", "modality", "probability", "familiarity", "problem")


def as_text(name: str, answer: Answer, when: When = WHOLE) -> list[str]:
    """The likeliest modality and the classes, with their probabilities; and whether they say anything."""
    if when.get("start") is not None:
        name = f"{name}  {Span(**when)}"
    if answer.problem is not None:
        return [f"{name}: can't be answered: {answer.problem}"]
    modality, share = max(answer.modalities.items(), key=lambda one: one[1])
    classes = ", ".join(f"{one.label} {one.probability:.2f}" for one in answer.best)
    doubt = " (unlike anything it has learned)" if answer.unfamiliar else ""
    return [f"{name}: {modality} {share:.2f}: {classes}{doubt}"]


def as_json(name: str, answer: Answer, when: When = WHOLE) -> list[str]:
    """One object: ``medium``, of a window ``start`` and ``end`` in seconds, ``best``, ``modalities``, ``familiarity``,
    ``problem`` (null where there is none).
    """
    best = [one._asdict() for one in answer.best]
    told = {"modalities": answer.modalities, "familiarity": answer.familiarity, "problem": answer.problem}
    content = {"medium": name, **when, "best": best, **told}
    return [json.dumps(content, ensure_ascii=False)]


def as_csv(name: str, answer: Answer, when: When = WHOLE) -> list[str]:
    """A row a class, or one with the problem; see :func:`csv_head`."""
    if answer.problem is not None:
        return [csv_row([name, *when.values(), "", "", "", "", "", answer.problem])]
    familiarity = "" if answer.familiarity is None else f"{answer.familiarity:.4f}"
    return [
        csv_row([name, *when.values(), rank, one.label, one.modality, f"{one.probability:.6f}", familiarity, ""])
        for rank, one in enumerate(answer.best, start=1)
    ]


def csv_row(cells: Sequence[object]) -> str:
    """One row, quoted where it has to be. A text that a spreadsheet would take for a formula has a ``'`` before it.

    >>> print(csv_row(["a,b", 1, "", "=1+2"]))
    "a,b",1,,'=1+2
    """
    row = StringIO()
    csv.writer(row, lineterminator="").writerow([_cell(one) if isinstance(one, str) else one for one in cells])
    return row.getvalue()


def _cell(text: str) -> str:
    return printable(f"'{text}" if text.startswith(FORMULA) else text)
