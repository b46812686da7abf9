"""What ``forget`` and ``relabel`` print of what they did."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remodal.cli.console import print_how_to_refresh, table

if TYPE_CHECKING:
    from rich.console import Console

    from remodal.correcting import Corrected


def print_corrected(console: Console, what: str, done: Corrected) -> None:
    """Accuracies before and after, how many items were ``what``, and which classes came and went."""
    rows = []
    for modality, before in done.before.items():
        after = done.after[modality]
        rows.append((modality, before.items, before.aware, after.aware, before.agnostic, after.agnostic))
    if rows:
        console.print("accuracy on what is held out of the classes known before, with and without the modality given")
        console.print(table(["modality", "items", "given: before", "after", "not given: before", "after"], rows))
    console.print(f"{what}: {done.items:,} learned, {done.held_out:,} held out; items that it knows now: {done.left:,}")
    for told, columns in (("new", done.new), ("classes that are gone", done.gone)):
        if columns:
            console.print(f"{told}: {', '.join(map(str, columns))}")
    if done.version > 1:
        console.print(f"earlier versions are as they were: remodal versions {done.folder} --keep 1 removes them")
    print_how_to_refresh(console, done.folder)
    console.print(f"{done.folder}: version {done.version}")
