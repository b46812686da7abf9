"""Files in a model's folder: regular ones that lie in it, since a folder may come from a stranger."""

from __future__ import annotations

from pathlib import Path

from remodal.errors import RemodalError


def contents(folder: Path, name: str, most: int) -> bytes:
    """The bytes of the file ``name`` in ``folder``, ``most`` at most.

    Raises:
        RemodalError: It can't be read, holds more, is no regular file (a pipe, a device), or is a link to a file
            outside the folder. The cache of a hub may keep its files beside the folder, and link to them.
    """
    path = folder / name
    try:
        real = path.resolve(strict=True)
        if not any(real.is_relative_to(root) for root in _roots(folder)):
            raise RemodalError(f"{path}: a link to a file outside the model's folder; valid: files that lie in it")
        if not real.is_file():
            raise RemodalError(f"{path}: not a regular file")
        size = real.stat().st_size
        with real.open("rb") as stream:
            data = stream.read(min(size, most) + 1)  # room for so many is made first
    except (OSError, RuntimeError) as error:
        raise RemodalError(
            f"{path}: can't be read ({getattr(error, 'strerror', None) or 'links in a circle'})"
        ) from None
    except MemoryError:
        raise RemodalError(f"{path}: {size:,} bytes are more than there is memory for") from None
    if len(data) > most:
        raise RemodalError(f"{path}: found more than {most:,} bytes; valid: at most so many")
    return data


def refuse_links(folder: Path, names: tuple[str, ...]) -> None:
    """RemodalError where one of ``names`` in ``folder`` is a link: what is written there would land elsewhere."""
    for name in names:
        if (folder / name).is_symlink():
            raise RemodalError(
                f"{folder / name}: found a link; valid: a file or folder that lies in the model's folder"
            )


def _roots(folder: Path) -> tuple[Path, ...]:
    """Where the files of ``folder`` may lie: in it, or among the blobs of the hub's cache that it is a snapshot of."""
    real = folder.resolve()
    return (real, real.parent.parent / "blobs") if real.parent.name == "snapshots" else (real,)
