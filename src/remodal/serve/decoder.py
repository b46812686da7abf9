"""A process that decodes what clients send: ``python -m remodal.serve.decoder BACKBONE SETTINGS CACHE``.

A file that crashes a codec, fills the memory or takes forever costs this process, which is replaced. SETTINGS are the
backbone's, as JSON. Frames in on standard input (see :mod:`remodal.serve.frames`): ``where``, ``modality`` (null where
it isn't known), ``unit`` of depth, ``draw``, ``pixels`` that it may have, and the file. Frames out: ``read_as``,
``pixels`` that it has and, to be drawn, what is shown of it as JSON; or else ``tower``, ``dtype``, ``shape`` and what
the tower has prepared; or ``problem``.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import warnings
from pathlib import Path

from remodal.backbones import WEIGHTLESS, Backbone, load_backbone
from remodal.errors import BadItem
from remodal.media import decoded, given
from remodal.modalities import get_modality
from remodal.report.media import show
from remodal.serve import frames

MAX_MEMORY = 3 << 30
"""Bytes that the process may allocate."""


def main(backbone: str, settings: str, cache: str) -> None:
    """Decode until standard input ends."""
    # what a library prints must not come between the frames
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    warnings.filterwarnings("ignore", module="PIL")
    resource.setrlimit(resource.RLIMIT_DATA, (MAX_MEMORY, MAX_MEMORY))
    loaded = load_backbone(backbone, Path(cache), WEIGHTLESS, json.loads(settings))
    out.write(frames.packed({"ready": True}))
    out.flush()
    while frame := frames.read(sys.stdin.buffer):
        head, data = frame
        out.write(_answer(loaded, data, **head))
        out.flush()


def _answer(
    backbone: Backbone, data: bytes, *, where: str, modality: str | None, unit: str | None, draw: bool, pixels: int
) -> bytes:
    try:
        one = given(where, data, modality, unit)
        has = get_modality(one.read_as).pixels(data, where=where)
        if has > pixels:
            return frames.packed({"problem": f"found {has:,} pixels; valid: at most {pixels:,} more in this request"})
        if draw:
            return frames.packed({"read_as": one.read_as, "pixels": has}, show(one).model_dump_json().encode())
        found = decoded(one, backbone)
    except BadItem as bad:
        return frames.packed({"problem": bad.reason})
    except MemoryError:
        return frames.packed({"problem": "takes more memory to decode than a file may"})
    kind = {"read_as": found.read_as, "tower": found.tower, "pixels": has}
    array = {"dtype": str(found.prepared.dtype), "shape": list(found.prepared.shape)}
    return frames.packed({**kind, **array}, found.prepared.tobytes())


if __name__ == "__main__":
    main(*sys.argv[1:])
