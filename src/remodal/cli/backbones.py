"""``remodal backbones``: the frozen models, and what can be set of each."""

from __future__ import annotations

from typing import Annotated

import typer


def command(
    name: Annotated[
        str | None,
        typer.Argument(help="One backbone with its settings: a name, a model's folder or id, a file of towers."),
    ] = None,
    settings: Annotated[bool, typer.Option("--settings", help="The settings of each backbone.")] = False,
) -> None:
    """List the frozen models, or the settings of one.

    \b
    remodal backbones
    remodal backbones vit
    remodal run --stream everyday --method comm --backbone vit backbone.prompt_from_layer=8
    """
    import inspect

    from remodal.backbones import backbones, in_source, registered
    from remodal.cli.console import results_console, settings_table, table

    console = results_console()
    if name:
        found = {name: registered(name)}
    else:
        found = {one: backbones.get(one) for one in backbones.names()} | {"path/to/folder, owner/name": in_source("")}
    lines = {one: (inspect.getdoc(entry.load) or "").partition("\n")[0] for one, entry in found.items()}
    if not (settings or name):
        console.print(table(["backbone", ""], list(lines.items()), words=2))
        return
    for one, line in lines.items():
        console.print(f"{one}: {line}")
        console.print(settings_table(found[one].options))
