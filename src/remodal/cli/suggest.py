"""``remodal suggest``: what to label next."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from remodal.cli.options import DepthUnit, Device, DtypeLearned, TrustBackbone

if TYPE_CHECKING:
    from remodal.suggesting import Suggestion

NAMED = 3
"""Guesses that are told of each file."""
SHEET = ("path", "modality", "label", "unit", "note")


def command(
    model: Annotated[str, typer.Argument(help="A saved model's folder, a run's folder, or owner/name on a hub.")],
    folder: Annotated[Path, typer.Argument(help="Its files, of any modality, have no labels yet.")],
    count: Annotated[int, typer.Option("--n", min=1, help="Files to label first.")] = 20,
    out: Annotated[
        Path | None, typer.Option(help="A sheet to fill in, .csv, or all that is known of the files, .json.")
    ] = None,
    modality: Annotated[
        str | None, typer.Option(help="Of all of them.", show_default="the model finds it for each")
    ] = None,
    depth_unit: DepthUnit = None,
    device: Device = "cpu",
    dtype: DtypeLearned = None,
    trust_backbone: TrustBackbone = None,
) -> None:
    """Say which files of a folder to label first: those whose labels would teach the model most.

    A file is chosen where the model is in doubt of it and of many files like it. Files that the model has learned, or
    holds out, are left out, under whatever name they come. A file that can't be read is skipped with its reason, and
    the exit status is 1.

    The sheet has a row a file. Write the class of each into the column label, and have it learned with remodal update;
    rows without a label are skipped. The sheet has to lie in FOLDER, or in a folder above it.

    \b
    remodal suggest my-model photos/ --n 20
    remodal suggest my-model photos/ --n 20 --out photos/next.csv
    remodal update my-model --data photos/next.csv       (after the labels are written into it)
    """
    from remodal.cli.console import print_others, print_refused, progress_console, results_console
    from remodal.cli.predict import SOME_FAILED
    from remodal.cli.progress import shown_on
    from remodal.errors import RemodalError
    from remodal.files import write_csv, write_json
    from remodal.media import SUFFIXES, media_below
    from remodal.model import Model
    from remodal.suggesting import suggest

    if out is not None and out.suffix.lower() not in (".csv", ".json"):
        raise RemodalError(f"--out: found {str(out)!r}; valid: a name that ends with .csv or .json")
    if not folder.is_dir():
        raise RemodalError(f"{folder}: found {'a file' if folder.exists() else 'no such folder'}; valid: a folder")
    from_sheet = Path() if out is None else _below(out, folder)
    below = media_below(folder)
    if not below.media:
        raise RemodalError(f"{folder}: found no file named as media are; valid: {', '.join(sorted(SUFFIXES))}")
    loaded = Model.load(model, device=device, dtype=dtype, trust_backbone=trust_backbone)
    with shown_on(progress_console()) as progress:
        found = suggest(loaded, below.media, count, modality, depth_unit=depth_unit, progress=progress)
    console = results_console()
    for rank, one in enumerate(found.chosen, start=1):
        console.print(f"{rank}. {one.answer.medium}: {told(one)}")
    told_of = progress_console()
    print_refused(told_of, "skipped", found.set_aside)
    print_others(told_of, "skipped", below.others)
    if found.learned or found.copies:
        told_of.print(f"left out: {found.learned:,} that the model knows already, {found.copies:,} copies of others")
    if not found.chosen:
        told_of.print("nothing is left to label")
    if out is not None:
        paths = [_cell(from_sheet / Path(one.answer.medium).relative_to(folder)) for one in found.chosen]
        if out.suffix.lower() == ".json":
            content = [_as_json(one, path) for one, path in zip(found.chosen, paths, strict=True)]
            write_json(out, {"suggested": content})
        else:
            units = {"depth": loaded.unit(depth_unit)}
            rows = [
                (path, one.read_as, "", units.get(one.read_as), f"guess: {told(one)}")
                for one, path in zip(found.chosen, paths, strict=True)
            ]
            write_csv(out, SHEET, rows)
            update = shlex.join(["remodal", "update", model, "--data", str(out)])
            told_of.print(f"{out}: write the class of each into the column label, then: {update}")
    if found.set_aside:
        raise typer.Exit(SOME_FAILED)


def told(one: Suggestion) -> str:
    """The guess, and why the file was chosen, in one line."""
    return f"{guesses(one.answer.best[:NAMED])} ({reason(one)})"


def guesses(best: Sequence[Any]) -> str:
    """Classes with their probabilities; each with its modality where it isn't the same for all."""
    same = len({one.modality for one in best}) == 1
    named = [one.label if same else f"{one.label} ({one.modality})" for one in best]
    return ", ".join(f"{name} {one.probability:.2f}" for name, one in zip(named, best, strict=True))


def reason(one: Suggestion) -> str:
    """Why a file was chosen, in words."""
    why = {"unfamiliar": "unlike anything it has learned", "doubtful": "doubtful", "like others": ""}[one.why]
    others = f"{one.like} {'other is' if one.like == 1 else 'others are'} like it" if one.like else ""
    return ", ".join(part for part in (why, others) if part) or "unlike the others"


def _below(out: Path, folder: Path) -> Path:
    """The path of a folder from that of a sheet. RemodalError where it leaves the sheet's folder."""
    from remodal.errors import RemodalError

    try:
        return folder.resolve().relative_to(out.parent.resolve())
    except ValueError:
        valid = f"valid: a file in {folder}, or in a folder above it"
        raise RemodalError(f"--out: found {str(out)!r}; {valid}") from None


def _cell(path: Path) -> str:
    """A path as a sheet has it: valid UTF-8 that no spreadsheet computes."""
    from remodal.cli.answers import FORMULA

    posix = path.as_posix().encode("utf-8", "backslashreplace").decode()
    return f"./{posix}" if posix.startswith(FORMULA) else posix


def _as_json(one: Suggestion, path: str) -> dict[str, Any]:
    return {
        "path": path,
        "modality": one.read_as,
        "guesses": [guess._asdict() for guess in one.answer.best],
        "doubt": one.doubt,
        "familiarity": one.answer.familiarity,
        "why": one.why,
        "like": one.like,
    }
