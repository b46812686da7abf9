"""A run in short, for the terminal."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from remodal.cli.console import megabytes, table

MOST_SET_ASIDE = 20
"""Items set aside that are listed; all of them are in results.json."""
SETTINGS = ("aware", "agnostic")


def print_summary(results: dict[str, Any], console: Console) -> None:
    """Accuracy with and without the modality given, by modality, the router, the cost, and what was set aside.

    results: as in ``results.json``.
    """
    summary = results["summary"]
    console.print(
        f"{results['method']} on {results['stream']}, {results['backbone']}, order {results['order']}, "
        f"seed {results['seed']}, {len(results['tasks'])} tasks"
    )
    measures = ("last", "average", "forgetting")
    console.print(table(["accuracy", *measures], [[s, *(summary[s][m] for m in measures)] for s in SETTINGS]))
    by_modality = [
        [name, one["tasks"], one["classes"], one["aware"], one["agnostic"]]
        for name, one in results["per_modality"].items()
    ]
    console.print(table(["at the end", "tasks", "classes", *SETTINGS], by_modality))
    if summary["router_accuracy"] is not None:
        console.print(f"modality found: {summary['router_accuracy']:.3f} of the held-out items")
    _print_cost(results["cost"], console)
    _print_set_aside(results["quarantined"], console)


def _print_cost(cost: dict[str, Any], console: Console) -> None:
    seconds = cost["seconds"]
    parts = ", ".join(f"{name} {seconds[name]:.1f}" for name in ("decode", "stem", "learn", "evaluate"))
    console.print(
        f"cost: {seconds['total']:.1f} s ({parts}), peak memory {megabytes(cost['peak_memory_bytes'])}, "
        f"trainable {cost['trainable_parameters']:,}, stored {megabytes(cost['stored_bytes'])}"
    )


def _print_set_aside(quarantined: list[dict[str, str]], console: Console) -> None:
    if not quarantined:
        return
    console.print(f"set aside: {len(quarantined):,} items")
    for one in quarantined[:MOST_SET_ASIDE]:
        console.print(f"  {one['path']}: {one['reason']}")
    if len(quarantined) > MOST_SET_ASIDE:
        console.print(f"  and {len(quarantined) - MOST_SET_ASIDE:,} more, all in results.json")
