"""``remodal merge``: models that learned apart become one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from remodal.cli.options import Device, TrustBackbone


def command(
    models: Annotated[list[str], typer.Argument(help="Saved models' folders, runs' folders, or owner/name on a hub.")],
    into: Annotated[Path, typer.Option(help="A new folder for the result.")],
    base: Annotated[
        str | None, typer.Option(help="The model that all of them learned on from.", show_default="none")
    ] = None,
    device: Device = "cpu",
    dtype: Annotated[str | None, typer.Option(help="Of its products.", show_default="as the models learned")] = None,
    trust_backbone: TrustBackbone = None,
) -> None:
    """Make one model of what several have learned apart; no picture, sound or sentence is needed for it.

    Where two have learned the same modality, both must have begun from one model that had learned some of it: --base.

    \b
    remodal update start --data north/ --as north-model     (in one place)
    remodal update start --data south/ --as south-model     (in another one)
    remodal merge north-model south-model --base start --into everywhere
    remodal merge pictures sounds --into both               (no modality in common: no base)
    """
    from remodal.cli.console import results_console, table
    from remodal.merging import merge
    from remodal.report.words import plural

    done = merge(models, into, base, device=device, dtype=dtype, trust_backbone=trust_backbone)
    console = results_console()
    rows = []
    for model, measured in zip([*models, str(done.folder)], [*done.before, done.after], strict=True):
        for modality, one in measured.items():
            rows.append((model, modality, one.items, one.aware, one.agnostic))
    if rows:
        console.print("accuracy on what each holds out, among the classes that it knows")
        console.print(table(["model", "modality", "items", "given", "not given"], rows))
    console.print(f"{done.folder}: {plural(len(done.columns), 'class')} of {len(models)} models")
