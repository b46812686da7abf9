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
    from remodal.errors import BadItem
    from remodal.media import Medium
    from remodal.timeline import Moment

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
    windows: Annotated[bool, typer.Option("--windows", help="Of long sounds and clips: what is in them when.")] = False,
    picture: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw what is in them when: .png, .pdf or .svg.")
    ] = None,
    depth_unit: DepthUnit = None,
    cluster: Cluster = None,
    device: Device = "cpu",
    dtype: DtypeLearned = None,
    trust_backbone: TrustBackbone = None,
) -> None:
    """Say what is in files of any modality.

    Of a folder, the files that are named as media are; others are counted. A file that can't be read, or a link that
    leaves the folder, gets its line with the reason; the others are answered, and the exit status is 1.

    --windows answers a sound of more than a minute every 2.5 seconds, for 5 seconds each time, and a clip of more than
    30 seconds every 2, for 4 seconds each time; it may last a day. start and end, in --json and --csv, are in seconds.
    Shorter media are answered once, without them.

    familiarity, in --json and --csv, is the share of the model's held-out items that look at least as strange to it as
    this medium does: at .05 or less it is unlike anything learned, or of a new class. In CSV a text that a spreadsheet
    would compute, such as =1+2, has a ' before it.

    \b
    remodal predict runs/demo photo.jpg recording.ogg
    remodal predict my-model 'holiday/*.jpg' --top 1 --csv > answers.csv
    remodal predict my-model sounds/ --modality audio --json
    remodal predict my-model night.mp3 --windows --top 1 --csv > night.csv
    remodal predict my-model night.mp3 --windows --picture night.png
    remodal predict /net/my-model /net/photos --engine ray:10.0.0.1:6379 --json > answers.jsonl    (docs/machines.md)
    echo "a domesticated animal that barks" | remodal predict my-model -
    """
    from functools import partial

    from remodal.answering import refused
    from remodal.cli.answers import UNCUT, WHOLE, as_csv, as_json, as_text, csv_head, csv_row
    from remodal.cli.console import progress_console, say, write_line
    from remodal.cli.progress import shown_on
    from remodal.cli.spread import answering
    from remodal.errors import BadItem, RemodalError, installed_with
    from remodal.features.source import Window
    from remodal.modalities import get_modality
    from remodal.model import Model

    if json and csv:
        raise RemodalError("found --json and --csv; valid: one of them")
    if picture is not None:
        if not windows:
            raise RemodalError("found --picture without --windows; valid: both")
        with installed_with("experiments"):
            from remodal import timeline
        timeline.check(picture)
    if modality is not None:
        get_modality(modality)
    media = [
        (name, part) for name, medium in _media(files) for part in (_parts(medium, modality) if windows else [medium])
    ]
    where = Path(model).resolve() if Path(model).exists() else model  # a worker has another working folder
    load = partial(Model.load, where, device=device, dtype=dtype, trust_backbone=trust_backbone)
    loaded = load()
    written = as_json if json else as_csv if csv else as_text
    if csv:
        write_line(csv_row(csv_head(UNCUT if windows else WHOLE)))
    failed: dict[str, bool] = {}
    moments: dict[str, list[Moment]] = {}
    with shown_on(progress_console()) as progress, answering(cluster, loaded, load) as answers_of:
        readable = [medium for _, medium in media if not isinstance(medium, BadItem)]
        answers = answers_of(readable, modality, top, progress, depth_unit=depth_unit)
        for name, medium in media:
            answer = refused(name, medium.reason) if isinstance(medium, BadItem) else next(answers)
            span = medium.span if isinstance(medium, Window) else None
            when = span._asdict() if span else UNCUT if windows else WHOLE
            for line in written(name, answer, when):
                write_line(line)
            failed[name] = failed.get(name, True) and answer.problem is not None
            if span and picture is not None and answer.problem is None:
                moments.setdefault(name, []).append(timeline.Moment.of(span, answer))
    if picture is not None:
        say(f"{timeline.draw(moments, picture)}: what is in them when")
    if any(failed.values()):
        say(f"{sum(failed.values()):,} of {len(failed):,} could not be answered")
        raise typer.Exit(SOME_FAILED)


def _parts(medium: Medium, modality: str | None) -> Sequence[Medium | BadItem]:
    """The windows of a file that is long, or the medium; or why it can't be looked at."""
    from remodal.cutting import cut, look, named_file
    from remodal.errors import BadItem

    try:
        found = named_file(medium)
        return (found and cut(found, look(found), modality)) or [medium]
    except BadItem as bad:
        return [bad]


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
