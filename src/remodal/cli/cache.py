"""``remodal cache``: the frozen features and exported graphs that later runs take up again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="What is kept between runs.", no_args_is_help=True, rich_markup_mode="rich")

FEATURES = "features"


@app.command()
def info() -> None:
    """Where the cache is, and what it holds.

    \b
    remodal cache info
    REMODAL_CACHE=/big/disk remodal cache info
    """
    from remodal.cache import cache_folder
    from remodal.cli.console import megabytes, results_console, table
    from remodal.features.store import FeatureStore

    folder = cache_folder()
    parts = cached_files(folder)
    console = results_console()
    console.print(f"{folder}")
    console.print(
        table(["part", "files", "size"], [(name, len(some), megabytes(size(some))) for name, some in parts.items()])
    )
    if parts[FEATURES]:
        with FeatureStore(folder / FEATURES) as store:
            held = store.info()
        levels = {"tokens": held.tokens, "frozen features": held.features}
        rows = [(name, level.entries, megabytes(level.bytes)) for name, level in levels.items()]
        console.print(table([f"of {FEATURES}", "items", "size"], rows))


@app.command()
def trim(
    to: Annotated[str, typer.Option(metavar="SIZE", help="At most so much: 20GB, 500MB.")],
) -> None:
    """Make the features take at most so much room: of what can go, what was used longest ago goes first.

    Tokens go before the frozen features of the same items, which are smaller and serve every method. What is missing
    later is computed again. Runs that are going on lose nothing. Meanwhile the disk must have room for a copy of what
    stays.

    \b
    remodal cache trim --to 20GB
    """
    from remodal.cache import cache_folder
    from remodal.cli.console import megabytes, results_console
    from remodal.features.trimming import bytes_of, trimmed
    from remodal.report.words import plural

    limit, console = bytes_of(to), results_console()
    before, after = trimmed(cache_folder() / FEATURES, limit)
    tokens = plural(before.tokens.entries - after.tokens.entries, "item")
    features = plural(before.features.entries - after.features.entries, "item")
    console.print(
        f"removed tokens of {tokens} and frozen features of {features}: "
        f"{megabytes(before.bytes)} are now {megabytes(after.bytes)}"
    )


@app.command()
def clear() -> None:
    """Forget all that is cached; the next run computes it again.

    \b
    remodal cache clear
    """
    from remodal.cache import cache_folder
    from remodal.cli.console import megabytes, results_console

    files = [file for some in cached_files(cache_folder()).values() for file in some]
    freed = size(files)
    for file in files:
        file.unlink()
    results_console().print(f"removed {len(files):,} files, {megabytes(freed)}")


def cached_files(folder: Path) -> dict[str, list[Path]]:
    """The files of each part of the cache. Only what remodal writes: the folder may hold a person's own files too."""
    from remodal.backbones import backbones
    from remodal.features.trimming import PARTS

    stored = ["*.mdb", f"{PARTS}*/*.mdb"]  # with what a trim that was killed has left
    patterns = {FEATURES: stored, **{name: ["**/*.onnx", "**/*.safetensors"] for name in backbones.names()}}
    return {
        part: sorted(file for pattern in some for file in (folder / part).glob(pattern))
        for part, some in patterns.items()
    }


def size(files: list[Path]) -> int:
    """Bytes of ``files`` together."""
    return sum(file.stat().st_size for file in files)
