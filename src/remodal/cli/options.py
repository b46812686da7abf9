"""Options that several commands have, with the same words."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Cluster = Annotated[
    str | None,
    typer.Option("--engine", metavar="ray[:ADDRESS]", help="Spread the work over a cluster.", show_default="here"),
]
Device = Annotated[str, typer.Option(help="Where the frozen model computes: cpu, cuda, mps or auto.")]
Dtype = Annotated[str, typer.Option(help="Of its products: float32, bfloat16 or float16.")]
DtypeLearned = Annotated[str | None, typer.Option(help="Of its products.", show_default="as the model learned")]
TrustBackbone = Annotated[
    Path | None, typer.Option(help="The frozen model's folder, id or file of towers, where it isn't remodal's own.")
]
DepthUnit = Annotated[
    str | None, typer.Option(help="mm, cm, m or sunrgbd: of depth files.", show_default="what the model learned from")
]
Trackers = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", help="Who is told too: tensorboard, mlflow, wandb or trackio; repeatable."),
]
