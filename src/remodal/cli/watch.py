"""``remodal watch``: what arrives in a folder is learned as it arrives."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from remodal.cli.options import DepthUnit, Device, DtypeLearned, TrustBackbone

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from remodal.watching import Entry


def command(
    model: Annotated[
        Path, typer.Option(help="A saved model's folder, or a run's; where there is none, a new model begins.")
    ],
    folder: Annotated[Path | None, typer.Argument(help="It is laid out as <modality>/<class>/<files>.")] = None,
    method: Annotated[str | None, typer.Option(help="Of a new model.", show_default="remodal")] = None,
    backbone: Annotated[
        str | None, typer.Option(help="Of a new model: a name, a folder or id, a file of towers.", show_default="lite")
    ] = None,
    every: Annotated[
        float, typer.Option(help="Seconds between two looks, at least; what two looks find the same is whole.")
    ] = 5.0,
    once: Annotated[bool, typer.Option("--once", help="Learn what is there, and end.")] = False,
    keep: Annotated[int, typer.Option(min=1, help="Of the versions that watching made, the newest so many stay.")] = 5,
    report: Annotated[
        Path | None, typer.Option(help="Draw accuracy over time in this file (.png, .svg, .pdf); nothing is learned.")
    ] = None,
    depth_unit: DepthUnit = None,
    device: Device = "cpu",
    dtype: DtypeLearned = None,
    trust_backbone: TrustBackbone = None,
) -> None:
    """Learn what arrives in a folder as it arrives, each class from its first file on, until Ctrl-C.

    Nobody has to know the classes beforehand. Every fourth file of a class is held out, up to five, and measures every
    version. Each content is learned once, whatever it is called, also after a kill at any moment. MODEL/arrivals.jsonl
    says what was learned when.

    \b
    remodal watch traps/ --model my-model                 (a camera writes traps/image/fox/0001.jpg, ...)
    remodal watch traps/ --model my-model --once          (from cron: what is new since the last time)
    remodal watch --model my-model --report accuracy.png  (accuracy over time, from the log)
    remodal rollback my-model                             (what was learned last was wrong; take it out of traps/ first)
    """
    from remodal.cli.console import progress_console, results_console
    from remodal.cli.progress import Lines
    from remodal.errors import RemodalError, installed_with
    from remodal.watching import watch

    console = results_console()
    if report is not None:
        with installed_with("experiments"):
            from remodal.watching.figure import draw

        console.print(f"{draw(model, report)}: accuracy over time")
        return
    if folder is None:
        raise RemodalError("found no folder to watch; valid: remodal watch FOLDER, or --report FILE")
    _print(
        console,
        model,
        watch(
            folder, model, method=method, backbone=backbone, every=every, once=once, keep=keep, device=device,
            dtype=dtype, depth_unit=depth_unit, trust_backbone=trust_backbone, progress=Lines(progress_console()),
        ),
    )  # fmt: skip


def _print(console: Console, model: Path, done: Iterator[Entry]) -> None:
    """What is done, as it is done, and a summary at the end or at Ctrl-C."""
    from remodal.cli.console import print_refused, write_line
    from remodal.streams.base import Quarantined

    learned = held_out = new = set_aside = 0
    try:
        for entry in done:
            learned, held_out = learned + len(entry.learned), held_out + len(entry.held_out)
            new, set_aside = new + len(entry.new), set_aside + len(entry.set_aside)
            print_refused(console, "skipped", [Quarantined(one.path, one.reason) for one in entry.set_aside])
            if entry.version is not None:
                write_line(_line(entry))  # of a console, Ctrl-C at this moment would have the line printed again
    except KeyboardInterrupt:
        pass
    write_line(f"{model}: {learned:,} learned, {held_out:,} held out, {new:,} new classes, {set_aside:,} skipped")


def _line(entry: Entry) -> str:
    """What an entry says, for a person who watches.

    >>> from remodal.streams.base import Column
    >>> from remodal.watching import Arrival, Entry
    >>> fox = Arrival(path="image/fox/1.jpg", modality="image", label="fox", content="0" * 64)
    >>> time = "2025-11-28T01:18:56+00:00"
    >>> _line(Entry(time=time, source="traps", version=3, learned=(fox,), new=(Column("image", "fox"),)))
    '2025-11-28 01:18:56 version 3: learned 1 image fox; new: image fox'
    """
    from collections import Counter

    from remodal.cli.console import LISTED, counted

    parts = []
    for what, items in (("learned", entry.learned), ("held out", entry.held_out)):
        counts = Counter(f"{one.modality} {one.label}" for one in items)
        more = f" and {len(counts) - LISTED:,} more classes" if len(counts) > LISTED else ""
        if counts:
            parts.append(f"{what} {counted(dict(counts.most_common(LISTED)))}{more}")
    if entry.new:
        more = f" and {len(entry.new) - LISTED:,} more" if len(entry.new) > LISTED else ""
        parts.append(f"new: {', '.join(f'{one.modality} {one.name}' for one in entry.new[:LISTED])}{more}")
    known = [(name, one) for name, one in entry.accuracy.items() if one.agnostic is not None]
    if shares := [f"{name} {one.agnostic:.3f} of {one.items:,}" for name, one in known]:
        parts.append(f"held-out accuracy, modality not given: {', '.join(shares)}")
    when = entry.time[:19].replace("T", " ")
    return f"{when} version {entry.version}: {'; '.join(parts)}"
