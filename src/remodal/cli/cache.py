"""``remodal cache``: the frozen features and exported graphs that later runs take up again."""

from __future__ import annotations

from pathlib import Path

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
            console.print(f"{store.info().entries:,} items have their features stored")


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

    patterns = {FEATURES: ["*.mdb"], **{name: ["**/*.onnx", "**/*.safetensors"] for name in backbones.names()}}
    return {
        part: sorted(file for pattern in some for file in (folder / part).glob(pattern))
        for part, some in patterns.items()
    }


def size(files: list[Path]) -> int:
    """Bytes of ``files`` together."""
    return sum(file.stat().st_size for file in files)
