"""What a store holds of an item, and under which key.

Keys are hashes of the item's bytes, of how they are read, and of the backbone. A value is a header, which says how many
frames the item has, and numbers: tokens as float16 (pictures as bytes, where a stem does nothing), or frozen features
as float16.
"""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

_FEATURES = b"/frozen"
KEY_BYTES = hashlib.sha256().digest_size
"""Of the key of an item's tokens."""
_HEADER = struct.Struct("<3I")
_KINDS: dict[int, type[np.generic]] = {1: np.uint8, 2: np.float16}
"""What is stored, by its bytes a number."""


def is_features(key: bytes) -> bool:
    """Whether frozen features are stored under ``key``, and not tokens."""
    return key.endswith(_FEATURES)


def features_key(key: bytes) -> bytes:
    """Key of the frozen model's features of the item whose tokens have, or would have, the key ``key``."""
    return key + _FEATURES


def token_key(fingerprint: str, modality: str, unit: str | None, data: bytes) -> bytes:
    """Key of the tokens of ``data`` read as ``modality`` (depth in ``unit``) by the backbone ``fingerprint``."""
    digest = hashlib.sha256(f"{fingerprint}\0{modality}\0{unit or ''}\0".encode())
    digest.update(data)
    return digest.digest()


def encoded(
    tokens: Mapping[bytes, NDArray[Any]], features: Mapping[bytes, tuple[int, NDArray[Any]]]
) -> dict[bytes, bytes]:
    """What is stored of both levels, by its key; see :meth:`FeatureStore.put`."""
    values = {}
    for key, array in tokens.items():
        values[key] = b"".join((_HEADER.pack(*array.shape), np.ascontiguousarray(array).data))
    for key, (frames, row) in features.items():
        header = _HEADER.pack(frames, 1, len(row))
        values[features_key(key)] = b"".join((header, np.ascontiguousarray(row).data))
    return values


def frames_of(value: Any) -> int:
    """Of the item of which ``value`` is stored."""
    frames: int = _HEADER.unpack_from(value)[0]
    return frames


def features_in(value: Any) -> NDArray[Any]:
    """Stored features ``[1, width]``, without a copy."""
    row: NDArray[Any] = np.frombuffer(value, np.float16, offset=_HEADER.size)
    return row[None]


def tokens_in(value: Any) -> NDArray[Any]:
    """Stored tokens, without a copy."""
    shape = _HEADER.unpack_from(value)
    kind = _KINDS[(len(value) - _HEADER.size) // math.prod(shape)]
    array: NDArray[Any] = np.frombuffer(value, kind, offset=_HEADER.size)
    return array.reshape(shape)
