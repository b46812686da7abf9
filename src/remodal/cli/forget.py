"""``remodal forget``: a saved model as if it had never seen something."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from remodal.cli.options import Device, DtypeLearned, TrustBackbone


def command(
    model: Annotated[str, typer.Argument(help="A saved model's folder, a run's folder, or owner/name on a hub.")],
    classes: Annotated[
        list[str] | None, typer.Option("--class", help="A class, as modality:name; may be given again.")
    ] = None,
    files: Annotated[
        list[Path] | None, typer.Option("--item", help="A file that it has learned or holds out; may be given again.")
    ] = None,
    sources: Annotated[
        list[str] | None, typer.Option("--source", help="Where items came from, as the model's card says.")
    ] = None,
    data: Annotated[
        str | None, typer.Option(help="What it learned from, where features aren't stored any more: a folder.")
    ] = None,
    save_as: Annotated[
        Path | None, typer.Option("--as", help="A folder for the result.", show_default="a next version of MODEL")
    ] = None,
    device: Device = "cpu",
    dtype: DtypeLearned = None,
    trust_backbone: TrustBackbone = None,
) -> None:
    """Make the model that never saw a class, a file, or what came from a source.

    All else is learned again in its order, from the features in the cache; so the result is exact, with any method.
    Earlier versions still know what was forgotten, until they are removed.

    \b
    remodal forget my-model --class image:cat
    remodal forget my-model --item letter.png --item voice.wav
    remodal forget my-model --source new-birds
    remodal versions my-model --keep 1            (removes the versions that still know it)
    """
    from remodal.cli.console import progress_console, results_console
    from remodal.cli.corrected import print_corrected
    from remodal.cli.progress import shown_on
    from remodal.correcting import Forget, correct

    chosen = Forget(classes or (), files or (), sources or ())
    with shown_on(progress_console()) as progress:
        done = correct(
            model, chosen, save_as, data=data, device=device, dtype=dtype, trust_backbone=trust_backbone,
            progress=progress,
        )  # fmt: skip
    print_corrected(results_console(), "forgotten", done)
