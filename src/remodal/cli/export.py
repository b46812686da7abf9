"""``remodal export``: a saved model as files that answer without remodal."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    model: Annotated[str, typer.Argument(help="A saved model's folder, a run's folder, or owner/name on a hub.")],
    to: Annotated[str, typer.Option(help="The format: onnx.")] = "onnx",
    into: Annotated[
        Path | None, typer.Option(help="A folder for the files.", show_default="MODEL's name and the format")
    ] = None,
) -> None:
    """Write a model for a place where neither torch nor remodal is installed.

    For each tower that has learned something there is one ONNX file, which holds the network, the head, the router and
    the labels. Its answers are compared with the model's before it is written. Two examples stand beside the files, one
    in Python and one for a browser.

    \b
    remodal export my-model                          (files in my-model-onnx)
    remodal export my-model --to onnx --into phone
    python phone/answer.py photo.jpg                 (needs onnxruntime, numpy and Pillow)
    """
    from remodal import load
    from remodal.cli.console import progress_console, results_console, table
    from remodal.cli.progress import shown_on
    from remodal.export import export

    target = into or Path(f"{Path(model).name}-{to}")
    with shown_on(progress_console()) as progress:
        done = export(load(model), target, to, progress)
    rows = [
        (
            one.file.name,
            ", ".join(one.modalities),
            one.classes,
            f"{one.file.stat().st_size / 1e6:,.0f}",
            one.items,
            f"{one.off:.0e}",
        )
        for one in done.towers
    ]
    console = results_console()
    console.print(table(["file", "answers about", "classes", "MB", "items compared", "largest difference"], rows))
    console.print(f"{done.folder}: README.md says what the files take and give")
