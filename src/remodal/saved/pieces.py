"""A state in pieces: files that are named by their content, so that versions share what didn't change.

A large tensor is cut along its first dimension into blocks of ``BLOCK`` bytes, each a file: where rows were added, the
blocks before them are files that are there already. All small tensors go into one file, with the state's values.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from math import prod
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from remodal.errors import RemodalError
from remodal.files import replacing
from remodal.methods.base import State
from remodal.saved.description import File
from remodal.saved.inside import contents

PIECES = "tensors"
"""The folder of the files."""
BLOCK = 2**19
SMALL = 2**16
"""Bytes of a tensor that has no file of its own."""
MAX_HEADER = 16 * 2**20
"""Bytes of what a file of tensors says of them."""
MAX_ROW = 2**26
"""Numbers in a row of an empty tensor."""


def stored(folder: Path, state: State) -> tuple[File, ...]:
    """The files in ``folder`` that hold ``state``; those that aren't there yet are written.

    Raises:
        RemodalError: One can't be written.
    """
    return tuple(_stored(folder, data) for data in _pieces(state))


def gathered(folder: Path, files: Sequence[File]) -> State:
    """The state that these files hold.

    Raises:
        RemodalError: One is missing, cut short or altered, or together they are no state.
    """
    blocks: dict[str, list[Tensor]] = {}
    values = None
    for file in files:
        path, data = folder / file.name, _checked(folder, file)
        try:
            tensors, metadata = _parsed(data)
            values = json.loads(metadata["values"]) if "values" in metadata else values
            for name, tensor in tensors.items():
                _append(blocks.setdefault(name, []), tensor, int(metadata.get("start", 0)))
        except (ValueError, RecursionError) as error:
            raise RemodalError(f"{path}: not a state of remodal's, or a damaged one ({error})") from None
    if not isinstance(values, dict):
        raise RemodalError(f"{folder}: damaged: its files of tensors hold no state's values")
    return State({name: _joined(one) for name, one in blocks.items()}, values)


def _pieces(state: State) -> Iterator[bytes]:
    small = {}
    for name, tensor in state.tensors.items():
        if tensor.nbytes < SMALL:
            small[name] = tensor
            continue
        rows = max(1, BLOCK * len(tensor) // tensor.nbytes)
        for start in range(0, len(tensor), rows):
            yield _in_bytes({name: tensor[start : start + rows]}, {"start": str(start)})
    yield _in_bytes(small, {"values": json.dumps(state.values)})


def _in_bytes(tensors: dict[str, Tensor], metadata: dict[str, str]) -> bytes:
    """A safetensors file; of one key of ``metadata`` alone, since several have no order."""
    return save({name: tensor.detach().clone().contiguous() for name, tensor in tensors.items()}, metadata)


def _parsed(data: bytes) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors and the metadata of a safetensors file; ValueError where ``data`` isn't one.

    Tensors take no more memory than ``data``: safetensors holds their shapes against it. An empty one may have any
    shape there, from which the first row that is added would be made; here it has a limit.
    """
    try:
        length = int.from_bytes(data[:8], "little")
        if not 0 < length <= min(MAX_HEADER, len(data) - 8):
            raise ValueError(f"found a header of {length:,} bytes; valid: at most {MAX_HEADER:,}")
        metadata = json.loads(data[8 : 8 + length]).get("__metadata__", {})
        tensors = load(data)
    except (SafetensorError, AttributeError, KeyError, RecursionError, RuntimeError, TypeError) as error:
        raise ValueError(" ".join(str(error).split())[:200]) from None
    for name, tensor in tensors.items():
        if not tensor.numel() and prod(max(1, size) for size in tensor.shape) > MAX_ROW:
            raise ValueError(f"the tensor {name[:80]!r} is empty, but its rows have more than {MAX_ROW:,} numbers")
    return tensors, metadata


def _stored(folder: Path, data: bytes) -> File:
    digest = hashlib.sha256(data).hexdigest()
    file = File(name=f"{PIECES}/{digest}.safetensors", bytes=len(data), sha256=digest)
    path = folder / file.name
    if not (path.is_file() and not path.is_symlink() and path.read_bytes() == data):
        try:
            with replacing(path) as part:
                part.write_bytes(data)
        except OSError as error:
            raise RemodalError(f"{path}: can't be written ({error.strerror})") from None
    return file


def _checked(folder: Path, file: File) -> bytes:
    """The bytes of ``file``, if they are those that were written."""
    path = folder / file.name
    data = contents(folder, file.name, file.bytes)
    if len(data) < file.bytes:
        raise RemodalError(f"{path}: cut short: found {len(data):,} bytes; valid: {file.bytes:,}")
    if hashlib.sha256(data).hexdigest() != file.sha256:
        raise RemodalError(f"{path}: altered since it was saved: its SHA-256 isn't the one in the description")
    return data


def _append(blocks: list[Tensor], block: Tensor, start: int) -> None:
    """Add the block of a tensor that begins at row ``start``; ValueError where it doesn't fit those before it."""
    rows = sum(one.shape[0] if one.dim() else 1 for one in blocks)
    fits = not blocks or (block.dim() and block.shape[1:] == blocks[0].shape[1:] and block.dtype == blocks[0].dtype)
    if start != rows or not fits:
        raise ValueError(f"a tensor's block at row {start} doesn't fit the {rows} before it")
    blocks.append(block)


def _joined(blocks: list[Tensor]) -> Tensor:
    return blocks[0] if len(blocks) == 1 else torch.cat(blocks)
