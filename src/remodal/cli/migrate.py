"""``remodal migrate``: a saved model on another frozen model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from remodal.cli.options import Device, Dtype, TrustBackbone


def command(
    model: Annotated[str, typer.Argument(help="A saved model's folder, a run's folder, or owner/name on a hub.")],
    backbone: Annotated[str, typer.Option(help="The frozen model that it moves to.")],
    data: Annotated[
        list[str],
        typer.Option(help="What it learned from: a folder, its URL, an address or a stream; may be given again."),
    ],
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="backbone.NAME=VALUE", help="A setting of the frozen model.")
    ] = None,
    save_as: Annotated[
        Path | None, typer.Option("--as", help="A folder for the result.", show_default="a next version of MODEL")
    ] = None,
    index: Annotated[
        str | None, typer.Option(help="An index of stored media, which moves too.", show_default="none")
    ] = None,
    device: Device = "cpu",
    dtype: Dtype = "float32",
    trust_backbone: TrustBackbone = None,
) -> None:
    """Move a model to another frozen model: it learns the same again, in the same order and under the same names.

    Its files are found by what they hold, wherever they lie below DATA. What it forgot stays forgotten, and what was
    relabelled keeps its name. The earlier version stays, and rollback goes back to it.

    \b
    remodal migrate my-model --backbone vit --data photos/ --data sounds/
    remodal migrate my-model --backbone vit --data photos/ --index holiday.index
    remodal migrate runs/demo --backbone vit --data everyday --as demo-vit
    remodal rollback my-model                                  (back to the frozen model before)
    """
    from remodal.cli.asked import assigned
    from remodal.cli.console import print_refused, progress_console, results_console, table
    from remodal.cli.progress import shown_on
    from remodal.errors import UnknownName
    from remodal.migrating import migrate

    chosen = assigned(settings or [])
    for name in chosen:
        if not name.startswith("backbone."):
            raise UnknownName("setting", name, ["backbone.NAME"])
    with shown_on(progress_console()) as progress:
        done = migrate(
            model, backbone, data, save_as,
            backbone_settings={name.removeprefix("backbone."): value for name, value in chosen.items()},
            device=device, dtype=dtype, trust_backbone=trust_backbone, index=index, progress=progress,
        )  # fmt: skip
    console = results_console()
    rows = [
        (modality, one.items, one.aware, done.after[modality].aware, one.agnostic, done.after[modality].agnostic)
        for modality, one in done.before.items()
        if modality in done.after
    ]
    console.print("accuracy on what is held out, with and without the modality given")
    console.print(table(["modality", "items", "given: before", "after", "not given: before", "after"], rows))
    lost = f" ({done.lost:,} of those before weren't found)" if done.lost else ""
    console.print(f"learned again: {done.items:,} items; held out: {done.held_out:,}{lost}")
    print_refused(console, "not in the index any more", done.refused)
    if done.indexed is None:
        console.print("an index of stored media finds what the version before knew; --index moves it too")
    else:
        console.print(f"{index}: {done.indexed:,} rows on {backbone}; the earlier ones stay beside them")
    console.print(f"{done.folder}: version {done.version}, on {backbone}")
