"""What goes over a pipe to a decoding process and back: JSON and bytes, never a pickle.

A frame is two lengths (8 bytes each, little-endian), a JSON object, and a payload of bytes.
"""

from __future__ import annotations

import json
import struct
from asyncio import StreamReader
from typing import Any, BinaryIO

LENGTHS = struct.Struct("<QQ")
MAX_HEAD = 1 << 16
MAX_PAYLOAD = 1 << 29


def packed(head: dict[str, Any], payload: bytes = b"") -> bytes:
    """One frame."""
    text = json.dumps(head).encode()
    return LENGTHS.pack(len(text), len(payload)) + text + payload


def read(stream: BinaryIO) -> tuple[dict[str, Any], bytes] | None:
    """The next frame; None where the stream ends."""
    lengths = stream.read(LENGTHS.size)
    if len(lengths) < LENGTHS.size:
        return None
    head, payload = LENGTHS.unpack(lengths)
    return json.loads(stream.read(head)), stream.read(payload)


async def received(stream: StreamReader) -> tuple[dict[str, Any], bytes]:
    """The next frame, from a process that is not trusted; ValueError where it is too large or no frame."""
    head, payload = LENGTHS.unpack(await stream.readexactly(LENGTHS.size))
    if head > MAX_HEAD or payload > MAX_PAYLOAD:
        raise ValueError(f"a frame of {head:,} and {payload:,} bytes")
    content = json.loads(await stream.readexactly(head))
    if not isinstance(content, dict):
        raise ValueError("a frame without a head")
    return content, await stream.readexactly(payload)
