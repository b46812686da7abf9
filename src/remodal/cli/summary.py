"""A run in short, for the terminal."""

from __future__ import annotations

import json
from typing import Any

from rich.console import Console

from remodal.backbones.settings import BackboneSettings
from remodal.cli.console import LISTED, in_counts, megabytes, table
from remodal.report.words import PARTS, plural

MOST_SKIPPED = 20
"""Skipped items that are listed; all of them are in results.json."""
SETTINGS = {"aware": "aware (modality given)", "agnostic": "agnostic (modality not given)"}


def print_summary(results: dict[str, Any], console: Console) -> None:
    """Accuracy with and without the modality given, by modality, the router, the cost, and what was skipped.

    results: as in ``results.json``.
    """
    summary = results["summary"]
    console.print(
        f"{results['method']} on {results['stream']}, {results['backbone']}, order {results['order']}, "
        f"seed {results['seed']}, {plural(len(results['tasks']), 'task')}"
    )
    measures = ("last", "average", "forgetting")
    rows = [[words, *(summary[name][measure] for measure in measures)] for name, words in SETTINGS.items()]
    console.print(table(["accuracy", *measures], rows))
    by_modality = [
        [name, one["tasks"], one["classes"], one["aware"], one["agnostic"], *_counts(results, name)]
        for name, one in results["per_modality"].items()
    ]
    head = ["at the end", "tasks", "classes", *SETTINGS, "right, modality not given", "95 % interval"]
    console.print(table(head, by_modality))
    learned, held_out = (sum(task[split] for task in results["tasks"]) for split in ("train", "test"))
    console.print(f"measured on {held_out:,} held-out items, which nothing is learned from; learned from {learned:,}")
    if repeated := results.get("repeated"):  # runs of earlier versions didn't look
        first = ", ".join(repeated[:LISTED]) + (", ..." if len(repeated) > LISTED else "")
        console.print(f"{len(repeated):,} of them are training items too, byte for byte: {first}")
    if summary["router_accuracy"] is not None:
        console.print(f"modality found: {summary['router_accuracy']:.3f} of the held-out items")
    console.print(_computed(results))
    _print_cost(results["cost"], console)
    _print_skipped(results["quarantined"], console)


def _counts(results: dict[str, Any], modality: str) -> tuple[str | None, str | None]:
    """Held-out items of a modality that are right at the end, the modality not given: of how many, and the interval."""
    last = results["accuracy"]["agnostic"][-1]
    tasks = [(last[at], task["test"]) for at, task in enumerate(results["tasks"]) if task["modality"] == modality]
    if any(share is None for share, _ in tasks):
        return None, None
    return in_counts(sum(round(share * items) for share, items in tasks), sum(items for _, items in tasks))


def _computed(results: dict[str, Any]) -> str:
    """The frozen model with its settings, and where and how precisely it computed."""
    versions, settings = results["versions"], results["settings"].get("backbone", {})
    chosen = "".join(f", {BackboneSettings.prefix}{name}={json.dumps(value)}" for name, value in settings.items())
    where = ", ".join(versions[name] for name in ("device", "dtype") if name in versions)  # earlier versions didn't say
    return f"frozen model: {results['backbone']}{chosen}" + (f"; computed on {where}" if where else "")


def _print_cost(cost: dict[str, Any], console: Console) -> None:
    seconds = cost["seconds"]
    parts = ", ".join(f"{words} {seconds[name]:.1f}" for name, words in PARTS.items() if name in seconds)
    earlier = seconds.get("earlier", 0.0)
    before = f", {earlier:.1f} of it by an earlier process" if earlier else ""
    console.print(f"cost: {seconds['total'] + earlier:.1f} s ({parts}{before})")
    console.print(
        f"peak memory {megabytes(cost['peak_memory_bytes'])}, trainable parameters "
        f"{cost['trainable_parameters']:,}, stored by the method {megabytes(cost['stored_bytes'])}"
    )


def _print_skipped(quarantined: list[dict[str, str]], console: Console) -> None:
    if not quarantined:
        return
    console.print(f"skipped: {plural(len(quarantined), 'item')} that can't be used")
    for one in quarantined[:MOST_SKIPPED]:
        console.print(f"  {one['path']}: {one['reason']}")
    if len(quarantined) > MOST_SKIPPED:
        console.print(f"  and {len(quarantined) - MOST_SKIPPED:,} more, all in results.json")
