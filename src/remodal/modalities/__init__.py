"""From a file's bytes to a decoded medium, and from a medium to pictures: one file a modality.

>>> list(MODALITIES)
['image', 'video', 'audio', 'depth', 'text']
>>> get_modality("text").decode("grün ".encode(), where="a.txt")
'grün'

To add a modality, write a subclass of :class:`Modality` or :class:`Visual` in a file of its own, and list it
here.
"""

from __future__ import annotations

from remodal.errors import BadItem, UnknownName
from remodal.modalities.audio import Audio
from remodal.modalities.base import Medium, Modality, Visual
from remodal.modalities.depth import Depth, is_measured
from remodal.modalities.formats import format_of
from remodal.modalities.image import Image
from remodal.modalities.packets import has_clip
from remodal.modalities.text import Text
from remodal.modalities.video import Video
from remodal.modalities.windows import Timed

__all__ = [
    "MODALITIES",
    "Medium",
    "Modality",
    "Timed",
    "Visual",
    "get_modality",
    "get_timed",
    "get_visual",
    "reader_of",
]

MODALITIES: dict[str, Modality] = {one.name: one for one in (Image(), Video(), Audio(), Depth(), Text())}


def get_modality(name: str) -> Modality:
    """The modality called ``name``.

    Raises:
        UnknownName: There is none.
    """
    if name not in MODALITIES:
        raise UnknownName("modality", name, MODALITIES)
    return MODALITIES[name]


def get_visual(name: str) -> Visual:
    """The modality called ``name``, which a vision network sees. Raises UnknownName where there is none such."""
    found = get_modality(name)
    if not isinstance(found, Visual):
        raise UnknownName(
            "visual modality", name, [each for each, one in MODALITIES.items() if isinstance(one, Visual)]
        )
    return found


def get_timed(name: str) -> Timed:
    """The modality called ``name``, whose medium lasts. Raises UnknownName where there is none such."""
    found = get_modality(name)
    if not isinstance(found, Timed):
        raise UnknownName(
            "lasting modality", name, [each for each, one in MODALITIES.items() if isinstance(one, Timed)]
        )
    return found


def reader_of(data: bytes, where: str) -> Modality:
    r"""The modality whose *decoder* reads these bytes.

    That a file is a 16-bit PNG says only how its values are stored. What the item *is* isn't decided here but
    by a model's router, from the content.

    >>> reader_of(b"OggS\0\2", "a.ogg").name, reader_of(b"a line", "b").name
    ('audio', 'text')

    Raises:
        BadItem: No decoder reads them.
    """
    found = format_of(data)
    if not data or not found.readers:
        valid = "; ".join(f"{one.name}: {one.valid}" for one in MODALITIES.values())
        raise BadItem(where, f"found {found.name if data else 'an empty file'}; valid: {valid}")
    image, depth = MODALITIES["image"], MODALITIES["depth"]
    if depth.name in found.readers and image.checked(is_measured, data, where):
        return depth
    video, audio = MODALITIES["video"], MODALITIES["audio"]
    if {video.name, audio.name} <= set(found.readers) and not video.checked(has_clip, data, where):
        return audio
    return MODALITIES[found.readers[0]]
