"""``remodal methods``: what can learn, and what can be set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from remodal.settings import Settings


def command(
    name: Annotated[str | None, typer.Argument(help="One method, with its settings.")] = None,
    settings: Annotated[bool, typer.Option("--settings", help="The settings of each method.")] = False,
) -> None:
    """List the methods, or the settings of one.

    \b
    remodal methods
    remodal methods comm
    remodal methods --settings
    """
    import inspect

    from remodal.cli.console import results_console, table
    from remodal.methods import methods
    from remodal.streams import StreamSettings

    console = results_console()
    names = [name] if name else methods.names()
    lines = {}
    for one in names:
        module = inspect.getmodule(methods.get(one))
        lines[one] = (inspect.getdoc(module) or "").partition("\n")[0]
    if not (settings or name):
        console.print(table(["method", ""], list(lines.items()), words=2))
        return
    for one, line in lines.items():
        console.print(f"{one}: {line}")
        rows = _rows(methods.get(one).options)
        console.print(table(["setting", "default", ""], rows, words=3) if rows else "  nothing can be set")
    console.print("any method: settings of the stream")
    console.print(table(["setting", "default", ""], _rows(StreamSettings), words=3))


def _rows(settings: type[Settings]) -> list[tuple[str, str, str]]:
    """Name, default as it is written on the command line, and description of each setting."""
    import json

    return [
        (settings.prefix + name, json.dumps(field.default), field.description or "")
        for name, field in settings.model_fields.items()
    ]
