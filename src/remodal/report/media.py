"""What is shown of an item: a thumbnail, some frames, a coloured depth map, a sound's picture, or the text itself."""

from __future__ import annotations

from base64 import b64encode
from io import BytesIO
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field

from remodal.errors import BadItem
from remodal.features.source import Encoded
from remodal.modalities import get_modality, get_visual
from remodal.modalities.audio import RATE
from remodal.report.charts import WAVE_WIDTH, extent
from remodal.report.colours import VIRIDIS

SIDE = 224  # px, the longer one of a picture that stands alone
PART = 112  # px, the longer one of a frame among others
FRAMES = 4  # at most, of a video or a sequence of depth maps
LETTERS = 280  # at most, of a text


class Shown(BaseModel):
    """What a page shows of one medium, as plain data.

    pictures: data URIs, in order. wave: of a sound, see :func:`~remodal.report.charts.extent`. ends: of a depth scale,
    in metres.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    pictures: tuple[Annotated[str, Field(pattern=r"^data:image/webp;base64,[A-Za-z0-9+/]*={0,2}$")], ...] = ()
    wave: Annotated[tuple[tuple[float, float], ...], Field(max_length=WAVE_WIDTH)] = ()
    text: str = ""
    ends: tuple[float, float] | None = None
    note: str = ""


def show(item: Encoded) -> Shown:
    """Decode an item and draw it; a note says so where it can't be read any more."""
    try:
        medium = get_modality(item.read_as).decode(item.read(), where=item.id, unit=item.unit)
    except BadItem as error:
        return Shown(note=f"can't be read any more: {error.reason}")
    if isinstance(medium, str):
        return Shown(text=medium if len(medium) <= LETTERS else medium[:LETTERS].rstrip() + " …")
    if item.read_as == "audio":
        return _show_audio(item.read_as, medium)
    if item.read_as == "depth":
        return _show_depth(medium)
    return Shown(pictures=_pictures(_some(medium if medium.ndim == 4 else medium[None])))


def _show_audio(modality: str, wave: NDArray[np.float32]) -> Shown:
    reader = get_visual(modality)
    note = f"{len(wave) / RATE:.1f} s: waveform, log-mel"
    return Shown(pictures=_pictures(_some(reader.pictures(wave, PART))), wave=extent(wave), note=note)


def _show_depth(medium: NDArray[np.float32]) -> Shown:
    """Near is bright; where there is no reading, nothing is drawn."""
    near, far = (float(end) for end in np.percentile(medium[medium > 0], (1, 99)))
    metres = _some(medium)
    read = metres > 0
    nearness = np.clip((far - metres) / max(far - near, 1e-6), 0, 1) * (len(VIRIDIS) - 1)
    channels = np.array([list(bytes.fromhex(colour[1:])) for colour in VIRIDIS]).T
    rgba = [np.interp(nearness, range(len(VIRIDIS)), channel) for channel in channels] + [255.0 * read]
    return Shown(pictures=_pictures(np.stack(rgba, axis=-1).astype(np.uint8)), ends=(near, far))


def _some(frames: NDArray[Any]) -> NDArray[Any]:
    """At most :data:`FRAMES` of the frames, the first and the last among them."""
    chosen: NDArray[Any] = frames[np.unique(np.linspace(0, len(frames) - 1, FRAMES).round().astype(int))]
    return chosen


def _pictures(frames: NDArray[np.uint8]) -> tuple[str, ...]:
    """Data URIs of frames ``[T, H, W, 3 or 4]``."""
    return tuple(_data_uri(frame, SIDE if len(frames) == 1 else PART) for frame in frames)


def _data_uri(frame: NDArray[np.uint8], side: int) -> str:
    picture = Image.fromarray(frame)
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    file = BytesIO()
    picture.save(file, "WEBP", quality=80, method=2)
    return f"data:image/webp;base64,{b64encode(file.getvalue()).decode('ascii')}"
