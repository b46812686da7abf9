"""The tables: means with their intervals, by order; and paired differences from a reference."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from remodal.comparison.collect import Finished
from remodal.comparison.plan import Contestant
from remodal.comparison.statistics import Interval, holm, sign_flip, t_interval
from remodal.files import write_csv, write_text
from remodal.report.words import UNKNOWN


class Measure(NamedTuple):
    """A column. scale: what a figure is multiplied with for a person."""

    name: str
    title: str
    scale: float = 100.0
    digits: int = 1


MEASURES = (
    Measure("agnostic_last", "agnostic last, %"),
    Measure("aware_last", "aware last, %"),
    Measure("agnostic_average", "agnostic average, %"),
    Measure("forgetting", "forgetting, points"),
    Measure("router_accuracy", "router accuracy, %"),
    Measure("agnostic_modalities", "agnostic last over modalities, %"),
    Measure("aware_modalities", "aware last over modalities, %"),
    Measure("seconds", "seconds", 1.0),
    Measure("stored_bytes", "stored, MB", 1e-6, 2),
)
"""What the table shows; the first one sorts it."""
COMPARED = MEASURES[:2]
"""What differences are shown of."""


class Row(NamedTuple):
    """What a contestant reached under one order, by measure; None where no seed gave a figure."""

    order: str
    contestant: Contestant
    seeds: int
    figures: dict[str, Interval | None]


class Difference(NamedTuple):
    """A contestant's mean difference from the reference in one measure, its p value, and that corrected by Holm."""

    measure: Measure
    contestant: Contestant
    reference: Contestant
    interval: Interval
    p: float
    p_holm: float


def rows(finished: Sequence[Finished]) -> list[Row]:
    """Means and intervals over the seeds, by order; the best first."""
    found = []
    for order in dict.fromkeys(one.cell.order for one in finished):
        of_order = []
        for contestant, own in _by_contestant([one for one in finished if one.cell.order == order]).items():
            figures = {measure.name: _interval(own, measure.name) for measure in MEASURES}
            of_order.append(Row(order, contestant, len(own), figures))
        found += sorted(of_order, key=_worst_last)
    return found


def differences(finished: Sequence[Finished], reference: Contestant) -> list[Difference]:
    """Paired over the (order, seed) that both have finished, the largest first.

    Holm's correction is for the methods on one kind of features: a question of its own each, and all together no number
    of pairs that one can afford would do.
    """
    by_contestant = _by_contestant(finished)
    found = []
    for measure in COMPARED:
        base = _by_block(by_contestant.get(reference, []), measure.name)
        pairs = {
            contestant: [value - base[block] for block, value in _by_block(own, measure.name).items() if block in base]
            for contestant, own in by_contestant.items()
            if contestant != reference
        }
        p = {contestant: sign_flip(values) for contestant, values in pairs.items() if values}
        corrected: dict[Contestant, float] = {}
        for kind in {contestant.features for contestant in p}:
            corrected |= holm({contestant: value for contestant, value in p.items() if contestant.features == kind})
        of_measure = [Difference(measure, who, reference, t_interval(pairs[who]), p[who], corrected[who]) for who in p]
        found += sorted(of_measure, key=lambda one: -one.interval.mean)
    return found


def blocks(finished: Sequence[Finished], measure: str) -> dict[str, list[float]]:
    """A measure of each method on one kind of features over the (order, seed) that all of them have finished."""
    by_block = {who.method: _by_block(own, measure) for who, own in _by_contestant(finished).items()}
    common = [
        block
        for block in dict.fromkeys((one.cell.order, one.cell.seed) for one in finished)
        if all(block in own for own in by_block.values())
    ]
    return {who: [own[block] for block in common] for who, own in by_block.items()}


def shown(interval: Interval | None, measure: Measure, *, signed: bool = False) -> str:
    """A mean and its interval as a person reads them.

    >>> shown(Interval(0.8816, 0.0042, 5), MEASURES[0]), shown(Interval(-0.02, None, 1), MEASURES[0], signed=True)
    ('88.2 ± 0.4', '−2.0')
    """
    if interval is None:
        return UNKNOWN
    value = round(interval.mean * measure.scale, measure.digits) or 0.0
    sign = "−" if value < 0 else "+" if signed and value > 0 else ""
    text = f"{sign}{abs(value):,.{measure.digits}f}"
    return text if interval.half is None else f"{text} ± {interval.half * measure.scale:,.{measure.digits}f}"


def p_shown(p: float) -> str:
    """A p value.

    >>> p_shown(0.0312), p_shown(0.0004), p_shown(1.0)
    ('.031', '< .001', '1')
    """
    return "< .001" if p < 0.001 else "1" if p >= 0.9995 else f"{p:.3f}".lstrip("0")


def rows_as_text(found: Sequence[Row]) -> tuple[list[str], list[list[str]]]:
    """Head and body of the table of means."""
    head = ["order", "method", "features", "seeds", *(measure.title for measure in MEASURES)]
    body = [
        [
            row.order, *row.contestant, str(row.seeds),
            *(shown(row.figures[measure.name], measure) for measure in MEASURES),
        ]
        for row in found
    ]  # fmt: skip
    return head, body


def differences_as_text(found: Sequence[Difference]) -> tuple[list[str], list[list[str]]]:
    """Head and body of the table of differences."""
    head = ["measure", "method", "features", "pairs", "difference, points", "p", "p (Holm)"]
    body = [
        [
            one.measure.title.partition(",")[0], *one.contestant, str(one.interval.number),
            shown(one.interval, one.measure, signed=True), p_shown(one.p), p_shown(one.p_holm),
        ]
        for one in found
    ]  # fmt: skip
    return head, body


def by_first(table: tuple[list[str], list[list[str]]]) -> dict[str, tuple[list[str], list[list[str]]]]:
    """A table for each value of the first column, without that column.

    >>> by_first((["order", "n"], [["random", "1"], ["random", "2"]]))
    {'random': (['n'], [['1'], ['2']])}
    """
    head, body = table
    return {
        first: (head[1:], [row[1:] for row in body if row[0] == first])
        for first in dict.fromkeys(row[0] for row in body)
    }


def write_markdown(title: str, found: Sequence[Row], between: Sequence[Difference], path: Path) -> None:
    """``table.md``."""
    parts = [f"# {title}", "Mean ± half of the 95 % interval over seeds.", _markdown(*rows_as_text(found))]
    if between:
        note = (
            f"Difference from {between[0].reference}, mean ± half of the 95 % interval over pairs of one order and "
            "seed; p of the exact sign-flip test, alone and corrected by Holm within a kind of features."
        )
        parts += [note, _markdown(*differences_as_text(between))]
    write_text(path, "\n\n".join(parts) + "\n")


def write_rows(stream: str, found: Sequence[Row], path: Path) -> None:
    """``table.csv``: each measure's mean and the ends of its interval, not rounded; empty where there is none."""
    head = [f"{measure.name}{end}" for measure in MEASURES for end in ("", "_low", "_high")]
    body = []
    for row in found:
        ends: list[float | None] = []
        for measure in MEASURES:
            one = row.figures[measure.name]
            ends += [None, None, None] if one is None else [one.mean, one.low, one.high]
        body.append([stream, row.order, *row.contestant, row.seeds, *ends])
    write_csv(path, ["stream", "order", "method", "features", "seeds", *head], body)


def write_differences(found: Sequence[Difference], path: Path) -> None:
    """``differences.csv``."""
    head = [
        "measure", "method", "features", "reference_method", "reference_features", "pairs", "difference", "low", "high",
        "p", "p_holm",
    ]  # fmt: skip
    body = [
        [
            one.measure.name, *one.contestant, *one.reference, one.interval.number, one.interval.mean, one.interval.low,
            one.interval.high, one.p, one.p_holm,
        ]
        for one in found
    ]  # fmt: skip
    write_csv(path, head, body)


def _by_contestant(finished: Sequence[Finished]) -> dict[Contestant, list[Finished]]:
    found: dict[Contestant, list[Finished]] = {}
    for one in finished:
        found.setdefault(one.cell.contestant, []).append(one)
    return found


def _by_block(own: Sequence[Finished], measure: str) -> dict[tuple[str, int], float]:
    figures = {(one.cell.order, one.cell.seed): one.measures[measure] for one in own}
    return {block: value for block, value in figures.items() if value is not None}


def _interval(own: Sequence[Finished], measure: str) -> Interval | None:
    known = [value for one in own if (value := one.measures[measure]) is not None]
    return t_interval(known) if known else None


def _worst_last(row: Row) -> float:
    first = row.figures[MEASURES[0].name]
    return -first.mean if first else 1.0


def _markdown(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *body]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
