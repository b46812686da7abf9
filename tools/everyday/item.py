"""One item of the stream: its encoded medium and where it came from; Parquet in and out; hashes."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image


@dataclass(frozen=True)
class Item:
    """A labelled, encoded medium; the fields are the columns of the Parquet file, in order, before ``hash``."""

    id: str
    label: str
    split: str  # "train" or "test"
    group: str  # what the split keeps together: a designer family, a 3-D model, a pitch, ...
    media: bytes
    format: str  # "png", "flac", "mp4" or "txt"
    licence: str
    attribution: str


def stable_order(name: str) -> str:
    """A sort key that looks random but depends on the name alone, so that a new item doesn't reshuffle the others."""
    return hashlib.sha256(name.encode()).hexdigest()


SPLIT_SEED = 20261121
"""The day the splits were drawn. Fixed before any figure was known on them; not to be drawn again."""


def split_order(name: str) -> str:
    """The sort key by which sources go to train or test."""
    return stable_order(f"{SPLIT_SEED}/{name}")


def seeded(name: str) -> np.random.Generator:
    """A random generator that depends on the name alone."""
    return np.random.default_rng(int(stable_order(name)[:16], 16))


def encode_png(pixels: np.ndarray) -> bytes:
    """PNG of ``[height, width, 3]`` uint8 (RGB) or ``[height, width]`` uint16 (greyscale)."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def encode_flac(samples: np.ndarray, rate: int) -> bytes:
    """FLAC, mono, 16 bits, of ``[samples]`` int16 at ``rate`` Hz."""
    frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
    frame.sample_rate = rate
    frame.pts = 0
    frame.time_base = Fraction(1, rate)
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="flac") as container:
        stream = container.add_stream("flac", rate=rate, layout="mono", format="s16")
        stream.options = {"compression_level": "12"}
        stream.codec_context.flags |= av.codec.context.Flags.bitexact
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return buffer.getvalue()


def encode_mp4(frames: np.ndarray, rate: int) -> bytes:
    """MP4 (H.264, yuv420p) of ``[frames, height, width, 3]`` uint8 (RGB) at ``rate`` frames a second."""
    _, height, width, _ = frames.shape
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("libx264", rate=rate)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        # with x264's vector code these small frames came out differently from run to run; without it (asm=0) not
        stream.options = {"crf": "24", "preset": "slow", "threads": "1", "x264-params": "asm=0"}
        for pixels in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))
    return buffer.getvalue()


def decoded(media: bytes, format: str) -> bytes:
    """The medium's content as the decoder gives it, independent of container and compression."""
    if format == "txt":
        return media
    if format == "png":
        image = Image.open(io.BytesIO(media))
        return f"{image.mode} {image.size}".encode() + image.tobytes()
    with av.open(io.BytesIO(media), "r") as container:
        if format == "flac":
            sound = [frame.to_ndarray().tobytes() for frame in container.decode(audio=0)]
            return f"{container.streams.audio[0].rate} ".encode() + b"".join(sound)
        frames = [frame.to_ndarray().tobytes() for frame in container.decode(video=0)]  # planes of yuv420p
        return f"{container.streams.video[0].average_rate} {len(frames)}".encode() + b"".join(frames)


def content_hash(items: Iterable[Item]) -> str:
    """sha256 over id, label, split, group and decoded content of all items, sorted by id."""
    total = hashlib.sha256()
    for item in sorted(items, key=lambda item: item.id):
        content = hashlib.sha256(decoded(item.media, item.format)).hexdigest()
        total.update("\n".join((item.id, item.label, item.split, item.group, content, "")).encode())
    return total.hexdigest()


def write(items: Iterable[Item], path: Path) -> None:
    """Writes the items, sorted by id, to one Parquet file."""
    rows = [
        {**asdict(item), "hash": hashlib.sha256(item.media).hexdigest()}
        for item in sorted(items, key=lambda item: item.id)
    ]
    columns = [
        *((field.name, pa.binary() if field.name == "media" else pa.string()) for field in fields(Item)),
        ("hash", pa.string()),
    ]
    pq.write_table(pa.Table.from_pylist(rows, schema=pa.schema(columns)), path, compression="zstd")
