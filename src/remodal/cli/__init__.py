"""The command line: one subcommand a file.

Nothing heavy is imported until a command runs, so that help comes at once.
"""

from __future__ import annotations

from typing import Annotated

import typer

from remodal import __version__
from remodal.cli import (
    backbones,
    cache,
    compare,
    data,
    doctor,
    export,
    forget,
    index,
    merge,
    methods,
    migrate,
    predict,
    relabel,
    report,
    rollback,
    run,
    search,
    serve,
    suggest,
    update,
    versions,
    watch,
)
from remodal.cli.guard import Guarded

app = typer.Typer(
    name="remodal",
    cls=Guarded,
    rich_markup_mode="rich",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("run")(run.command)
app.command("compare")(compare.command)
app.command("predict")(predict.command)
app.command("index")(index.command)
app.command("search")(search.command)
app.command("serve")(serve.command)
app.command("suggest")(suggest.command)
app.command("update")(update.command)
app.command("watch")(watch.command)
app.command("merge")(merge.command)
app.command("forget")(forget.command)
app.command("relabel")(relabel.command)
app.command("migrate")(migrate.command)
app.command("export")(export.command)
app.command("versions")(versions.command)
app.command("rollback")(rollback.command)
app.add_typer(methods.app, name="methods")
app.command("backbones")(backbones.command)
app.add_typer(data.app, name="data")
app.command("report")(report.command)
app.add_typer(cache.app, name="cache")
app.command("doctor")(doctor.command)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"remodal {__version__}")
        raise typer.Exit


@app.callback()
def _remodal(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """One frozen model learns image, video, audio, depth and text, task after task.

    \b
    remodal run --stream everyday           learn the stream inside the package
    remodal run --stream path/to/folder     learn your own data
    remodal compare --stream everyday       every method, every order, five seeds: one table
    remodal predict runs/demo photo.jpg     what a model says of files
    remodal index my-model folder --into i  make stored media searchable
    remodal search i "a barking dog"        find them by words, or by another medium
    remodal serve my-model                  all of it over HTTP, and on a page
    remodal suggest my-model folder         which of its files to label next
    remodal update my-model --data folder   learn what is new in a folder; the old version stays
    remodal watch folder --model my-model   learn what arrives in a folder as it arrives
    remodal merge north south --into all    models that learned apart become one
    remodal forget my-model --item a.png    as if it had never seen it
    remodal relabel my-model a.png --as cat as if it had been taught it under that name
    remodal migrate my-model --backbone vit --data folder   the same on another frozen model
    remodal export my-model --into phone    ONNX files that answer without remodal
    remodal methods                         what can learn, and its settings
    remodal methods new mine --into folder  a method of your own, to start from
    remodal backbones                       the frozen models, and their settings
    remodal data show everyday              look at the data
    remodal doctor                          is all that is needed there?
    """


def main() -> None:
    """The command ``remodal``."""
    from remodal.training.threads import bound_spinning

    # Before torch is imported: its threads then sleep soon when they wait. Spinning on, they made every step of
    # learning thirty times slower wherever another process took one of the cores.
    bound_spinning()
    app(prog_name="remodal")
