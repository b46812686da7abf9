"""``remodal data``: make a stream of downloaded data sets; look at a stream, check it, count it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    help="Look at a stream's data, check and count them; make one of downloads.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)

StreamArgument = Annotated[str, typer.Argument(help="A stream's name, a folder, its URL, or an address.")]
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
    from remodal.errors import RemodalError, installed_with
    from remodal.files import replacing
    from remodal.streams import stream as open_stream

    with installed_with("experiments"):
        from remodal.cli.sheet import draw_sheet

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
def prepare(
    names: Annotated[
        list[str], typer.Argument(metavar="NAME...", help="Of data sets, or a whole stream: comm-paper or cmcl.")
    ],
    root: Annotated[Path, typer.Option(help="The folder that the data sets were unpacked into.")],
) -> None:
    """Make a stream of public data sets as they were downloaded: write a manifest beside them, and copy nothing.

    \b
    remodal data prepare esc50 --root data
    remodal data prepare ucf101 esc50 nyuv2 --root data      (one stream of three modalities)
    remodal data prepare comm-paper --root data              (imagenet-100, ucf101, esc50, sunrgbd, in 20 tasks)
    remodal data prepare cmcl --root data                    (ucf101, esc50, nyuv2, vggsound, a task each)
    remodal run --stream data

    Data sets: imagenet-100, ucf101, esc50, sunrgbd, nyuv2, vggsound. Each is looked for in the root and in a folder of
    its usual name below it. What is missing is named, with where it comes from. Counts that differ from the published
    ones are told, and the stream is made of what is there. Exit status 1 where there is no file of a data set.
    """
    from remodal.cli.console import progress_console, results_console
    from remodal.cli.progress import shown_on
    from remodal.streams.datasets import prepare as write_manifest

    with shown_on(progress_console()) as progress:
        prepared = write_manifest(names, root, progress)
    console = results_console()
    for report in prepared.reports:
        console.print(f"{report}")
    if prepared.manifest is None:
        console.print(f"{root}: no manifest is written; valid: files of each data set")
        raise typer.Exit(1)
    if prepared.says:
        console.print(f"{prepared.tasks} tasks: {prepared.says}")
    console.print(f"{prepared.manifest}: {prepared.items:,} items; next: remodal run --stream {root}")


@app.command()
def info(stream: StreamArgument) -> None:
    """Count a stream: modalities, classes, splits, sources, licences, size.

    \b
    remodal data info everyday
    remodal data info path/to/folder
    remodal data info "parquet:birds-*.parquet?image=picture&label=species"
    """
    from remodal.cli.console import results_console
    from remodal.cli.inventory import print_inventory
    from remodal.streams import stream as open_stream

    print_inventory(open_stream(stream, order="sequential"), results_console())
