"""Records in the shapes in which others keep them."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from PIL import Image

Record = Mapping[str, bytes]
WriteTar = Callable[..., Path]


def picture(colour: tuple[int, int, int]) -> bytes:
    """A small PNG of one colour."""
    file = io.BytesIO()
    Image.new("RGB", (8, 8), colour).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def write_tar(tmp_path: Path) -> WriteTar:
    """``write_tar("a.tar", {"0.png": b"...", "0.cls": b"1"})`` makes that tar; it gives its path."""

    def write_tar(name: str, files: Record, mode: str = "w") -> Path:
        with tarfile.open(tmp_path / name, mode) as tar:  # type: ignore[call-overload]
            for path, data in files.items():
                member = tarfile.TarInfo(path)
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
        return tmp_path / name

    return write_tar


def samples(labels: Mapping[str, int]) -> dict[str, bytes]:
    """A picture, a caption and its class, as a number and in JSON, of each sample; by the sample's name."""
    files = {}
    for at, (name, label) in enumerate(labels.items()):
        files[f"{name}.png"] = picture((at, 0, 0))
        files[f"{name}.txt"] = f"picture {name}".encode()
        files[f"{name}.cls"] = str(label).encode()
        files[f"{name}.json"] = json.dumps({"label": f"class_{label}", "by": f"painter {at // 2}"}).encode()
    return files
