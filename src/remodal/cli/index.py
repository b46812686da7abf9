"""``remodal index``: make stored media searchable."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from remodal.cli.options import Cluster, DepthUnit, Device, DtypeLearned, TrustBackbone


def command(
    model: Annotated[str, typer.Argument(help="A saved model's folder, a run's folder, or owner/name on a hub.")],
    folder: Annotated[Path | None, typer.Argument(help="Its files, of any modality, come into the index.")] = None,
    into: Annotated[str, typer.Option(help="The index: a folder, or an object store such as s3://bucket/index.")] = "",
    again: Annotated[
        bool, typer.Option("--refresh", help="Embed again what an earlier version of the model embedded.")
    ] = False,
    forgotten: Annotated[
        Path | None, typer.Option("--forget", help="A folder, there or not: its files leave the index.")
    ] = None,
    depth_unit: DepthUnit = None,
    cluster: Cluster = None,
    device: Device = "cpu",
    dtype: DtypeLearned = None,
    trust_backbone: TrustBackbone = None,
) -> None:
    """Make the files below a folder searchable by words and by other files; run it again when they change.

    A sound of more than a minute comes into the index in windows of 5 seconds, one every 2.5, a clip of more than 30
    seconds in windows of 4, one every 2: the moment is found, up to a day in one file.

    A file whose content is unchanged isn't read through the model again, one that is gone is removed from the index,
    and one that can't be used is skipped with its reason; so are links that leave the folder. Files that aren't named
    as media are counted.

    \b
    remodal index my-model holiday/ --into holiday.index
    remodal index my-model --into holiday.index --refresh      (when the model has learned more)
    remodal index /net/my-model /net/photos --into s3://bucket/index --engine ray:10.0.0.1:6379    (docs/machines.md)
    remodal index my-model --into holiday.index --forget old/  (a folder that is gone, or shall not be found)
    """
    from functools import partial

    from remodal.cli.console import counted, print_others, print_refused, progress_console, results_console
    from remodal.cli.progress import shown_on
    from remodal.cli.spread import answering
    from remodal.errors import RemodalError
    from remodal.model import Model
    from remodal.saved import located
    from remodal.search import Index, forget, keep_up, refresh

    if not into:
        raise RemodalError("no index is given; valid: --into with a folder or the address of an object store")
    if folder is None and not again and forgotten is None:
        raise RemodalError("found no folder, no --refresh and no --forget; valid: at least one of them")
    console = results_console()
    if forgotten is not None:
        console.print(f"{forgotten}: {forget(Index.open(into), forgotten):,} removed")
    if folder is None and not again:
        return
    name = str(located(model).resolve()) if Path(model).exists() else model
    load = partial(Model.load, name, device=device, dtype=dtype, trust_backbone=trust_backbone)
    loaded = load()
    index = Index.create(into, name, loaded.backbone.fingerprint, loaded.backbone.width)
    done = {}
    with shown_on(progress_console()) as progress, answering(cluster, loaded, load) as answers:
        if again:
            done["--refresh"] = refresh(index, loaded, progress, answers=answers)
        if folder is not None:
            done[str(folder)] = keep_up(index, loaded, folder, progress, depth_unit=depth_unit, answers=answers)
    print_refused(console, "skipped", [one for each in done.values() for one in each.refused])
    print_refused(console, "partly", [one for each in done.values() for one in each.partly])
    print_others(console, "skipped", done[str(folder)].others if folder else {})
    for what, each in done.items():
        console.print(f"{what}: {each.embedded:,} embedded, {each.known:,} unchanged, {each.removed:,} removed")
    console.print(f"{into}: {index.count()}")
    if stale := index.stale(loaded.lineage):
        listed = counted(stale)
        console.print(f"embedded by an earlier version of the model: {listed}; --refresh embeds them again")
