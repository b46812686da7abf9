"""``remodal relabel``: a saved model as if it had been taught files under their right name."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from remodal.cli.options import Device, DtypeLearned, TrustBackbone


def command(
    model: Annotated[str, typer.Argument(help="A saved model's folder, a run's folder, or owner/name on a hub.")],
    files: Annotated[list[Path], typer.Argument(help="Files that it has learned or holds out, as they were.")],
    name: Annotated[str, typer.Option("--as", help="The class that they are of: a known one, or a new one.")],
    into: Annotated[
        Path | None, typer.Option(help="A folder for the result.", show_default="a next version of MODEL")
    ] = None,
    data: Annotated[
        str | None, typer.Option(help="What it learned from, where features aren't stored any more: a folder.")
    ] = None,
    device: Device = "cpu",
    dtype: DtypeLearned = None,
    trust_backbone: TrustBackbone = None,
) -> None:
    """Make the model that was taught some files under their right name, in the same place of the order.

    A file is found by its content, whatever it is called, and stays in its modality. All else is learned again in its
    order, from the features in the cache; so the result is exact, with any method.

    \b
    remodal relabel my-model 0003.jpg --as dog
    remodal relabel my-model wrong/*.wav --as siren
    remodal rollback my-model                    (it was a mistake)
    """
    from remodal.cli.console import progress_console, results_console
    from remodal.cli.corrected import print_corrected
    from remodal.cli.progress import shown_on
    from remodal.correcting import Relabel, correct

    with shown_on(progress_console()) as progress:
        done = correct(
            model, Relabel(files, name), into, data=data, device=device, dtype=dtype, trust_backbone=trust_backbone,
            progress=progress,
        )  # fmt: skip
    print_corrected(results_console(), "relabelled", done)
