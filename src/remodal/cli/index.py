"""``remodal index``: make stored media searchable."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    model: Annotated[str, typer.Argument(help="A saved model's folder, a run's folder, or owner/name on a hub.")],
    folder: Annotated[Path | None, typer.Argument(help="Its files, of any modality, come into the index.")] = None,
    into: Annotated[str, typer.Option(help="The index: a folder, or an object store such as s3://bucket/index.")] = "",
    again: Annotated[
        bool, typer.Option("--refresh", help="Embed again what an earlier version of the model embedded.")
    ] = False,
    device: Annotated[str, typer.Option(help="Where the frozen model computes.")] = "cpu",
    trust_backbone: Annotated[
        Path | None, typer.Option(help="The frozen model's folder, for a saved model that names one.")
    ] = None,
) -> None:
    """Make the files below a folder searchable by words and by other files; run it again when they change.

    A file whose content is unchanged isn't read through the model again, one that is gone is removed from the index,
    and one that can't be used is skipped with its reason; so are links that leave the folder.

    \b
    remodal index my-model holiday/ --into holiday.index
    remodal index my-model --into holiday.index --refresh      (when the model has learned more)
    """
    from remodal.cli.console import counted, print_refused, progress_console, results_console
    from remodal.cli.machine import checked_device
    from remodal.cli.progress import shown_on
    from remodal.errors import RemodalError
    from remodal.model import Model
    from remodal.saved import located
    from remodal.search import Index, keep_up, refresh

    if not into:
        raise RemodalError("no index is given; valid: --into with a folder or the address of an object store")
    if folder is None and not again:
        raise RemodalError("found neither a folder nor --refresh; valid: one of them, or both")
    loaded = Model.load(model, device=checked_device(device), trust_backbone=trust_backbone)
    name = str(located(model).resolve()) if Path(model).exists() else model
    index = Index.create(into, name, loaded.backbone.fingerprint, loaded.backbone.width)
    console = results_console()
    done = {}
    with shown_on(progress_console()) as progress:
        if again:
            done["--refresh"] = refresh(index, loaded, progress)
        if folder is not None:
            done[str(folder)] = keep_up(index, loaded, folder, progress)
    print_refused(console, "skipped", [one for each in done.values() for one in each.refused])
    for what, each in done.items():
        console.print(f"{what}: {each.embedded:,} embedded, {each.known:,} unchanged, {each.removed:,} removed")
    console.print(f"{into}: {len(index):,} files")
    if stale := index.stale(loaded.lineage):
        listed = counted(stale)
        console.print(f"embedded by an earlier version of the model: {listed}; --refresh embeds them again")
