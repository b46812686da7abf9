"""``remodal data``: look at a stream, check it, count it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Look at a stream's data, check and count them.", no_args_is_help=True, rich_markup_mode="rich")

StreamArgument = Annotated[str, typer.Argument(help="A stream's name, or a folder of your own data.")]
UnitOption = Annotated[str | None, typer.Option(help="mm, cm, m or sunrgbd: of depth files that state no unit.")]


@app.command()
def show(
    stream: StreamArgument,
    out: Annotated[Path | None, typer.Option(help="A PNG file.", show_default="STREAM.png")] = None,
    depth_unit: UnitOption = None,
) -> None:
    """Draw a contact sheet: an example of each class, as it is decoded.

    \b
    remodal data show everyday
    remodal data show path/to/folder --out sheet.png --depth-unit m
    """
    from remodal.cli.console import results_console
    from remodal.cli.sheet import draw_sheet
    from remodal.errors import RemodalError
    from remodal.files import replacing
    from remodal.streams import stream as open_stream

    opened = open_stream(stream, order="sequential", depth_unit=depth_unit)
    path = out or Path(f"{opened.name}.png")
    if path.suffix.lower() != ".png":
        raise RemodalError(f"{path}: found suffix {path.suffix!r}; valid: .png")
    sheet = draw_sheet(opened)
    with replacing(path) as part:
        sheet.save(part, format="PNG", optimize=True)
    results_console().print(f"{path}")


@app.command()
def export(
    stream: StreamArgument,
    into: Annotated[Path, typer.Option(help="A new folder.")],
    split: Annotated[str | None, typer.Option(help="train or test.", show_default="both")] = None,
    items: Annotated[int | None, typer.Option(min=1, help="Of each class, at most.", show_default="all")] = None,
    depth_unit: UnitOption = None,
) -> None:
    """Write a stream's items as files, with a manifest that says what each one is: to look at, or to try a model on.

    \b
    remodal data export everyday --into media --split test --items 5
    """
    from remodal.cli.console import progress_console, results_console
    from remodal.cli.progress import shown_on
    from remodal.errors import UnknownName
    from remodal.streams import export as write

    if split not in (None, "train", "test"):
        raise UnknownName("split", split or "", ["train", "test"])
    with shown_on(progress_console()) as progress:
        written = write(stream, into, split=split, items=items, depth_unit=depth_unit, progress=progress)
    results_console().print(f"{into}: {written:,} files")


@app.command()
def verify(stream: StreamArgument, depth_unit: UnitOption = None) -> None:
    """Check hashes, and that each item decodes; exit status 1 where something is wrong.

    \b
    remodal data verify everyday
    remodal data verify path/to/folder
    """
    from remodal.cli.console import progress_console, results_console
    from remodal.cli.progress import shown_on
    from remodal.streams import verify as find_problems

    with shown_on(progress_console()) as progress:
        problems = find_problems(stream, depth_unit=depth_unit, progress=progress)
    console = results_console()
    for problem in problems:
        console.print(f"{problem.path}: {problem.reason}")
    console.print(f"{stream}: {f'{len(problems):,} problems' if problems else 'all items are as they should be'}")
    if problems:
        raise typer.Exit(1)


@app.command()
def info(stream: StreamArgument) -> None:
    """Count a stream: modalities, classes, splits, sources, licences, size.

    \b
    remodal data info everyday
    remodal data info path/to/folder
    """
    from remodal.cli.console import results_console
    from remodal.cli.inventory import print_inventory
    from remodal.streams import stream as open_stream

    print_inventory(open_stream(stream, order="sequential"), results_console())
