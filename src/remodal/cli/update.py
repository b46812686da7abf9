"""``remodal update``: a saved model learns what is new in a folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from remodal.cli.options import Device, DtypeLearned, TrustBackbone

if TYPE_CHECKING:
    from remodal.streams.base import Column


def command(
    model: Annotated[str, typer.Argument(help="A saved model's folder, a run's folder, or owner/name on a hub.")],
    data: Annotated[
        str, typer.Option(help="A folder <modality>/<class>/<files>, or with a manifest.csv; its URL; or an address.")
    ],
    save_as: Annotated[
        Path | None, typer.Option("--as", help="A folder for the result.", show_default="a next version of MODEL")
    ] = None,
    depth_unit: Annotated[
        str | None,
        typer.Option(
            help="mm, cm, m or sunrgbd: of depth files whose manifest states none.",
            show_default="what the model learned from",
        ),
    ] = None,
    device: Device = "cpu",
    dtype: DtypeLearned = None,
    trust_backbone: TrustBackbone = None,
) -> None:
    """Learn new classes, more items of known ones, or a new modality; the old version stays.

    A quarter of a class is held out to measure with, unless it has fewer than eight files: then all are learned from.

    \b
    remodal update my-model --data new-birds/
    remodal update my-model --data new-birds/ --as my-model-with-birds
    remodal rollback my-model                    (it was a mistake)
    """
    from remodal.cli.console import (
        in_counts,
        print_how_to_refresh,
        print_refused,
        progress_console,
        results_console,
        table,
    )
    from remodal.cli.progress import shown_on
    from remodal.updating import update

    with shown_on(progress_console()) as progress:
        done = update(
            model, data, save_as, device=device, dtype=dtype, depth_unit=depth_unit, trust_backbone=trust_backbone,
            progress=progress,
        )  # fmt: skip
    console = results_console()
    rows = []
    for modality, before in done.before.items():
        after = done.after[modality]
        counts = (None, None) if after.agnostic is None else in_counts(round(after.agnostic * after.items), after.items)
        rows.append((modality, before.aware, after.aware, before.agnostic, after.agnostic, *counts))
    if rows:
        console.print("accuracy on what was held out of the classes known before, with and without the modality given")
        head = ["modality", "given: before", "after", "not given: before", "after", "right", "95 % interval"]
        console.print(table(head, rows))
    for what, columns in (("new", done.new), ("more of", done.more)):
        if columns:
            console.print(f"{what}: {_listed(columns)}")
    print_refused(console, "skipped", done.set_aside)
    print_how_to_refresh(console, done.folder)
    console.print(f"{done.folder}: version {done.version}")


def _listed(columns: Sequence[Column]) -> str:
    by_modality = {
        modality: [column.name for column in columns if column.modality == modality]
        for modality in dict.fromkeys(column.modality for column in columns)
    }
    return "; ".join(f"{modality}: {', '.join(names)}" for modality, names in by_modality.items())
