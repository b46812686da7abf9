"""``remodal methods``: what can learn, what can be set, and a method of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup


class ListsByDefault(TyperGroup):
    """A group of commands whose ``list`` is meant where none is named."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put ``list`` before what names no command and asks for no help."""
        if not args or args[0] not in (*self.commands, *ctx.help_option_names):
            args = ["list", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(cls=ListsByDefault, rich_markup_mode="rich")


@app.callback()
def _methods() -> None:
    """List the methods, show the settings of one, or start one of your own.

    \b
    remodal methods
    remodal methods comm
    remodal methods --settings
    remodal methods new my-method --into my-method
    """


@app.command("list")
def listed(
    name: Annotated[str | None, typer.Argument(help="One method, with its settings.")] = None,
    settings: Annotated[bool, typer.Option("--settings", help="The settings of each method.")] = False,
) -> None:
    """List the methods, or the settings of one; what is meant where no command is named.

    \b
    remodal methods list
    remodal methods comm
    """
    import inspect

    from remodal.cli.console import results_console, settings_table, table
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
        console.print("joint-NAME: any of them, fitted again to all items seen so far after each task: its upper bound")
        return
    for one, line in lines.items():
        console.print(f"{one}: {line}")
        console.print(settings_table(methods.get(one).options))
    console.print("any method: settings of the stream; those of a backbone: remodal backbones NAME")
    console.print(settings_table(StreamSettings))


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="What it will be called; letters a-z, digits, dashes.")],
    into: Annotated[Path, typer.Option(help="A new folder.")],
) -> None:
    """Write a package with a small method that passes all checks, to be changed into your own.

    \b
    remodal methods new my-method --into my-method
    """
    from shlex import quote

    from remodal.cli.console import results_console
    from remodal.methods.new import write_package

    console = results_console()
    for file in write_package(name, into):
        console.print(f"{file}")
    console.print("\nnext:")
    folder = quote(str(into))
    run = f"remodal run --stream everyday --method {name} --out runs/{name}"
    for line in (f"pip install -e {folder}", f"pytest {folder}", f"remodal methods {name}", run):
        console.print(f"  {line}")
