"""Held-out items to look at: some that were answered right, and the most frequent mistakes of each modality."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from remodal.errors import RemodalError
from remodal.report.folder import Answer
from remodal.report.media import Shown, show
from remodal.streams import Item, stream

EACH = 3  # of a modality: right ones and, apart, wrong ones


@dataclass(frozen=True)
class Example:
    """One held-out item. times: how often the same answer was given to items of the same class."""

    answer: Answer
    times: int
    shown: Shown


@dataclass(frozen=True)
class Examples:
    """Examples by modality, and why their media are missing, where they are."""

    by_modality: dict[str, list[Example]]
    note: str


def find_examples(results: Mapping[str, Any], answers: Sequence[Answer]) -> Examples:
    """Examples of each modality that the run can answer in; the same folder always gives the same ones."""
    items, note = _items(results)
    found = {}
    for modality, figures in results["per_modality"].items():
        if figures["agnostic"] is not None:
            own = [answer for answer in answers if answer.modality == modality]
            times = Counter((answer.label, answer.agnostic) for answer in own)
            found[modality] = [
                Example(answer, times[answer.label, answer.agnostic], _shown(items, answer.item, note))
                for answer in choose(own)
            ]
    return Examples(found, note)


def choose(answers: Sequence[Answer]) -> list[Answer]:
    """A few right answers, spread over the classes, then one of each of the most frequent mistakes."""
    first: dict[tuple[str, str], Answer] = {}
    for answer in answers:
        first.setdefault((answer.label, answer.agnostic), answer)
    right = [answer for answer in first.values() if answer.right]
    if len(right) > EACH:
        right = [right[index * (len(right) - 1) // (EACH - 1)] for index in range(EACH)]
    times = Counter((answer.label, answer.agnostic) for answer in answers if not answer.right)
    return right + [first[mistake] for mistake, _ in times.most_common(EACH)]


def _items(results: Mapping[str, Any]) -> tuple[dict[str, Item], str]:
    """The stream's held-out items by id; without them, the reason."""
    try:
        found = stream(results["stream"], order=results["order"], seed=results["seed"], **results["settings"]["stream"])
    except RemodalError as error:
        return {}, f"The media aren't shown: the stream isn't there any more ({error})."
    return {item.id: item for task in found for item in task.test}, ""


def _shown(items: Mapping[str, Item], item: str, note: str) -> Shown:
    if item in items:
        return show(items[item])
    return Shown(note="" if note else "not in the stream any more")
