"""What a stream holds, counted."""

from __future__ import annotations

import json
from collections import Counter

from rich.console import Console

from remodal.cli.console import megabytes, table
from remodal.streams.base import Item, Stream
from remodal.streams.embedded import EmbeddedItem


def print_inventory(stream: Stream, console: Console) -> None:
    """A row a modality, its licences, and how much was skipped."""
    by_modality: dict[str, list[Item]] = {}
    for task in stream:
        by_modality.setdefault(task.modality, []).extend((*task.train, *task.test))
    every = [item for items in by_modality.values() for item in items]
    rows = [_row(modality, items) for modality, items in sorted(by_modality.items())]
    console.print(f"{stream.name}: {len(every):,} items in {len(stream)} tasks")
    columns = ["modality", "classes", "train", "test", "sources", "size"]
    console.print(table(columns, [*rows, _row("all", every)]))
    for modality, items in sorted(by_modality.items()):
        licences = Counter(item.licence or "not stated" for item in items)
        stated = ", ".join(f"{licence} ({count:,})" for licence, count in licences.most_common())
        console.print(f"{modality}: {_made_from(items[0])}licences: {stated}")
    if stream.quarantined:
        console.print(f"skipped: {len(stream.quarantined):,} items that can't be used; remodal data verify lists them")


def _row(name: str, items: list[Item]) -> tuple[object, ...]:
    splits = Counter(item.split for item in items)
    files = {item.file for item in items if item.file}
    return (
        name,
        len({(item.modality, item.label) for item in items}),
        splits["train"],
        splits["test"],
        # an item without a group is a source of its own
        len({item.group or item.id for item in items}),
        megabytes(sum(file.stat().st_size for file in files)) if files else "",
    )


def _made_from(item: Item) -> str:
    """The package that the items of a stream inside ours were made from; nothing is known of others."""
    if not isinstance(item, EmbeddedItem):
        return ""
    folder = item.shard.path.parent
    described = json.loads((folder / f"{folder.name}.json").read_text(encoding="utf-8"))
    source = described["modalities"][item.modality]["source"]
    return f"made from {source['package']} {source['version']} ({source['registry']}), "
