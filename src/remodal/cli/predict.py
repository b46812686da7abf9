"""``remodal predict``: what a saved model says of files."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from glob import glob
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from remodal.cli.options import Cluster, DepthUnit, Device, DtypeLearned, TrustBackbone

if TYPE_CHECKING:
    from remodal.media import Medium

SOME_FAILED = 1
STANDARD_INPUT = "-"


def command(
    model: Annotated[str, typer.Argument(help="A saved model's folder, a run's folder, or owner/name on a hub.")],
    files: Annotated[list[str], typer.Argument(help="Files, folders, patterns; - for one medium on standard input.")],
    modality: Annotated[
        str | None, typer.Option(help="Of all of them.", show_default="the model finds it for each")
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="Classes of each.")] = 5,
    json: Annotated[bool, typer.Option("--json", help="Write one JSON object a line.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="Write one row a class, below a header.")] = False,
    depth_unit: DepthUnit = None,
    cluster: Cluster = None,
    device: Device = "cpu",
    dtype: DtypeLearned = None,
    trust_backbone: TrustBackbone = None,
) -> None:
    """Say what is in files of any modality.

    Of a folder, the files that are named as media are; others are counted. A file that can't be read, or a link that
    leaves the folder, gets its line with the reason; the others are answered, and the exit status is 1.

    familiarity, in --json and --csv, is the share of the model's held-out items that look at least as strange to it as
    this medium does: at .05 or less it is unlike anything learned, or of a new class. In CSV a text that a spreadsheet
    would compute, such as =1+2, has a ' before it.

    \b
    remodal predict runs/demo photo.jpg recording.ogg
    remodal predict my-model 'holiday/*.jpg' --top 1 --csv > answers.csv
    remodal predict my-model sounds/ --modality audio --json
    remodal predict /net/my-model /net/photos --engine ray:10.0.0.1:6379 --json > answers.jsonl    (docs/machines.md)
    echo "a domesticated animal that barks" | remodal predict my-model -
    """
    from functools import partial

    from remodal.cli.answers import CSV_HEAD, as_csv, as_json, as_text, csv_row
    from remodal.cli.console import progress_console, say, write_line
    from remodal.cli.progress import shown_on
    from remodal.cli.spread import answering
    from remodal.errors import RemodalError
    from remodal.modalities import get_modality
    from remodal.model import Model

    if json and csv:
        raise RemodalError("found --json and --csv; valid: one of them")
    if modality is not None:
        get_modality(modality)
    media = list(_media(files))
    where = Path(model).resolve() if Path(model).exists() else model  # a worker has another working folder
    load = partial(Model.load, where, device=device, dtype=dtype, trust_backbone=trust_backbone)
    loaded = load()
    written = as_json if json else as_csv if csv else as_text
    if csv:
        write_line(csv_row(CSV_HEAD))
    failed = 0
    with shown_on(progress_console()) as progress, answering(cluster, loaded, load) as answers_of:
        answers = answers_of([medium for _, medium in media], modality, top, progress, depth_unit=depth_unit)
        for (name, _), answer in zip(media, answers, strict=True):
            for line in written(name, answer):
                write_line(line)
            failed += answer.problem is not None
    if failed:
        say(f"{failed:,} of {len(media):,} could not be answered")
        raise typer.Exit(SOME_FAILED)


def _media(files: Sequence[str]) -> Iterator[tuple[str, Medium]]:
    """What the arguments stand for, with its name; a name that stands for nothing is kept, and told of in its turn."""
    from remodal.cli.console import print_others, progress_console
    from remodal.errors import RemodalError
    from remodal.media import SUFFIXES, media_below

    for name in files:
        path = Path(name)
        if name == STANDARD_INPUT:
            yield "standard input", _standard_input()
        elif path.is_dir():
            found = media_below(path)
            print_others(progress_console(), f"{name}: not answered", found.others)
            if not found.media:
                raise RemodalError(f"{name}: found no file named as media are; valid: {', '.join(sorted(SUFFIXES))}")
            yield from ((str(one.path), one) for one in found.media)
        elif not path.exists() and (matched := sorted(glob(name, recursive=True))):  # noqa: PTH207  # absolute too
            yield from ((file, Path(file)) for file in matched if Path(file).is_file())
        else:
            yield name, path


def _standard_input() -> bytes:
    from remodal.modalities.base import MAX_FILE_BYTES

    return sys.stdin.buffer.read(MAX_FILE_BYTES + 1)
