"""Hundreds of hostile or mutated files, and those that are built to be too much: refused in bounded memory and time."""

from __future__ import annotations

import json
import random
import struct
import time
import zlib
from collections.abc import Callable, Iterator
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile
from PIL import Image
from serving import Server

import remodal
from remodal.errors import RemodalError
from remodal.saved.description import Description, described

TOGETHER = 50
MEMORY_BACK = 200 * 2**20
"""Bytes that the server and its decoders may hold more afterwards than before."""


def png() -> bytes:
    file = BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(file, "PNG")
    return file.getvalue()


def tiff() -> bytes:
    file = BytesIO()
    pages = [Image.fromarray(np.full((32, 32), 500 + page, np.uint16)) for page in range(3)]
    pages[0].save(file, "TIFF", save_all=True, append_images=pages[1:])
    return file.getvalue()


def ogg() -> bytes:
    file = BytesIO()
    soundfile.write(file, np.sin(np.arange(8000) / 10), 16_000, format="OGG", subtype="VORBIS")
    return file.getvalue()


def mp4() -> bytes:
    file = BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.time_base = 64, 64, Fraction(1, 10)
        for number in range(10):
            frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 20 * number, np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return file.getvalue()


def seeds(saved: Path) -> dict[str, bytes]:
    """Whole files, by kind."""
    return {
        "png": png(),
        "tiff": tiff(),
        "ogg": ogg(),
        "mp4": mp4(),
        "safetensors": max((saved / "tensors").iterdir(), key=lambda file: file.stat().st_size).read_bytes()[:20_000],
        "json": (saved / "config.json").read_bytes(),
    }


def mutated(data: bytes, draws: random.Random) -> bytes:
    """Bits flipped, pieces cut out, doubled, or filled with one byte."""
    out = bytearray(data)
    for _ in range(draws.randint(1, 8)):
        at, length = draws.randrange(len(out)), draws.randint(1, 64)
        kind = draws.randrange(5)
        if kind == 0:
            out[at] ^= 1 << draws.randrange(8)
        elif kind == 1 and len(out) > 2 * length:
            del out[at : at + length]
        elif kind == 2:
            out[at:at] = out[at : at + length]
        elif kind == 3:
            out[at : at + length] = bytes([draws.choice((0, 255, draws.randrange(256)))]) * length
        elif len(out) > 16:
            del out[draws.randrange(8, len(out)) :]
    return bytes(out)


def hostile(saved: Path, count: int) -> Iterator[bytes]:
    """So many, always the same."""
    draws, whole = random.Random(20), list(seeds(saved).values())  # noqa: S311
    for number in range(count):
        yield mutated(whole[number % len(whole)], draws)


@pytest.mark.parametrize("count", [100, pytest.param(1000, marks=pytest.mark.long)])
def test_mutated_files_harm_nobody(server: Server, saved_once: Path, count: int) -> None:
    files = list(hostile(saved_once, count))
    warmed = [told(answer) for answer in answered(server, files[:TOGETHER])]
    before = server.memory()
    counts = {"problem": 0, "answer": 0}
    for start in range(0, count, TOGETHER):
        for answer in answered(server, files[start : start + TOGETHER]):
            counts["answer" if answer["problem"] is None else "problem"] += 1
            assert (answer["problem"] is None) == bool(answer["best"])
    assert sum(counts.values()) == count
    assert counts["problem"] > count // 4
    assert server.process.poll() is None
    assert [told(answer) for answer in answered(server, files[:TOGETHER])] == warmed
    assert server.memory() - before < MEMORY_BACK
    assert [one["version"] for one in server.get("/versions")] == [1]


def told(answer: dict[str, Any]) -> tuple[object, ...]:
    """The problem, or the class and its modality."""
    return answer["problem"], *(answer["best"][0][name] for name in ("label", "modality") if answer["best"])


def answered(server: Server, files: list[bytes]) -> list[dict[str, Any]]:
    """What the server says of them."""
    uploads = [("files", (f"{number}", data)) for number, data in enumerate(files)]
    response = server.post("/predict", files=uploads)
    assert response.status_code == 200, response.text
    found: list[dict[str, Any]] = response.json()
    return found


@pytest.mark.parametrize("count", [50, pytest.param(500, marks=pytest.mark.long)])
def test_mutated_files_are_not_suggested(server: Server, saved_once: Path, count: int) -> None:
    files = list(hostile(saved_once, count))
    before = server.memory()
    for start in range(0, count, TOGETHER):
        some = files[start : start + TOGETHER]
        uploads = [("files", (f"{number}", data)) for number, data in enumerate(some)]
        response = server.post("/suggest", files=uploads, data={"n": str(TOGETHER)})
        assert response.status_code == 200, response.text
        found = response.json()
        problems, chosen = {int(one["medium"]) for one in found["problems"]}, {one["place"] for one in found["chosen"]}
        assert problems.isdisjoint(chosen)
        assert len(problems) + len(chosen) + found["copies"] + found["learned"] == len(some)
        assert problems == {at for at, one in enumerate(answered(server, some)) if one["problem"]}
    assert server.memory() - before < MEMORY_BACK


CHANGES = [("/update", "label"), ("/arrivals", "label"), ("/relabel", "label"), ("/forget", "classes")]


@pytest.mark.parametrize(("route", "field"), CHANGES)
def test_mutated_files_change_nothing(server: Server, saved_once: Path, folder: Path, route: str, field: str) -> None:
    files = list(hostile(saved_once, TOGETHER))
    broken = [data for data, told in zip(files, answered(server, files), strict=True) if told["problem"]]
    assert len(broken) > TOGETHER // 4
    whole = ("files", ("whole.png", (folder / "image/warm/0.png").read_bytes()))
    for data in broken:
        refused = server.post(route, files=[whole, ("files", ("broken", data))], data={field: "image:warm"})
        assert refused.status_code == 400, refused.text
        assert "broken" in refused.json()["detail"]
        assert "\n" not in refused.json()["detail"]
    assert server.process.poll() is None
    assert [one["version"] for one in server.get("/versions")] == [1]


@pytest.mark.parametrize("count", [30, pytest.param(90, marks=pytest.mark.long)])
def test_mutated_model_folders_are_refused_or_right(saved: Path, lite_cache: Path, count: int) -> None:
    draws = random.Random(21)  # noqa: S311
    description = described(saved, "config.json")
    names = ("config.json", description.weights[-1].name, description.held_out[-1].name)
    whole = {name: (saved / name).read_bytes() for name in names}
    refused = 0
    for number in range(count):
        name = names[number % 3]
        (saved / name).write_bytes(mutated(whole[name], draws))
        if name != "config.json":
            _sign(saved)
        try:
            remodal.load(saved, cache=lite_cache).predict([remodal.Text("x")])
        except RemodalError as error:
            refused += 1
            assert "\n" not in str(error)
        for restored, data in whole.items():
            (saved / restored).write_bytes(data)
    assert refused > count * 2 // 3


def _sign(folder: Path) -> None:
    """Make the hashes fit, as someone who means harm would."""
    import hashlib

    config = json.loads((folder / "config.json").read_text())
    for file in (*config["weights"], *config["held_out"]):
        data = (folder / file["name"]).read_bytes()
        file.update(bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
    Description.model_validate_json(json.dumps(config))
    (folder / "config.json").write_text(json.dumps(config))


def chunk(kind: bytes, data: bytes) -> bytes:
    """One chunk of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def huge_png(side: int, *, data: bool) -> bytes:
    """A PNG that says it is ``side`` pixels wide and high; with its pixels, all zero, or without."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    packer = zlib.compressobj(9)
    row = bytes(1 + 3 * side)
    pixels = b"".join(packer.compress(row) for _ in range(side)) + packer.flush() if data else b""
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def long_ogg(minutes: int) -> bytes:
    """Silence, in 4 kB a minute."""
    file, minute = BytesIO(), np.zeros(60 * 8000, np.float32)
    with soundfile.SoundFile(file, "w", 8000, 1, format="OGG", subtype="VORBIS") as sound:
        for _ in range(minutes):
            sound.write(minute)
    return file.getvalue()


def long_mp3(hours: int) -> bytes:
    """Silence, whose length no header tells: one frame again and again."""
    file = BytesIO()
    soundfile.write(file, np.zeros(8000, np.float32), 8000, format="MP3", subtype="MPEG_LAYER_III")
    file.seek(0)
    with av.open(file) as container:
        frames = [packet for packet in container.demux(audio=0) if packet.size]
    middle = frames[len(frames) // 2]
    assert middle.duration is not None
    assert middle.time_base is not None
    return bytes(middle) * int(hours * 3600 / (middle.duration * middle.time_base))


def long_mp4() -> bytes:
    """Thousands of equal frames, more than may be, each of a few bytes."""
    file = BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("mpeg4", rate=1000)
        stream.width, stream.height = 16, 16
        frame = av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), format="rgb24")
        for number in range(40_000):
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return file.getvalue()


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: huge_png(100_000, data=False), "pixels"),
        (lambda: huge_png(9_000, data=True), "pixels"),
        (lambda: long_ogg(minutes=11), "valid: at most 600 s"),
        pytest.param(lambda: long_ogg(minutes=600), "valid: at most 600 s", marks=pytest.mark.long),
        (lambda: long_mp3(hours=5), "valid: at most 600 s"),
        (long_mp4, "frames"),
        (lambda: b"a" * (2 * 2**20), "a text of"),
    ],
    ids=[
        "a 100000x100000 PNG", "a decompression bomb", "a silent Ogg of eleven minutes", "a silent Ogg of ten hours",
        "a silent MP3 of five hours", "a zip-like video", "a long text",
    ],
)  # fmt: skip
def test_too_much_is_refused_in_bounded_memory_and_time(server: Server, make: Callable[[], bytes], said: str) -> None:
    data = make()
    answered(server, [png()])
    before = server.memory()
    started = time.monotonic()
    (answer,) = answered(server, [data])
    assert said in str(answer["problem"])
    assert time.monotonic() - started < 25
    assert server.memory() - before < MEMORY_BACK
