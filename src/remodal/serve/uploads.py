"""Files that clients send: decoded as the model takes them, or as they are shown."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from remodal.errors import BadItem
from remodal.media import Decoded, Given, decoded, given
from remodal.modalities.formats import TEXT, format_of
from remodal.report.media import Shown, show
from remodal.serve.admission import Admission, Pixels
from remodal.serve.decoding import Decoders
from remodal.serve.served import Served
from remodal.serve.settings import ServeSettings
from remodal.serve.turns import Client

SHORT = 10_000
"""Bytes of a text that waits for no decoder: reading it is Python's own work, and takes less than 20 ms."""


class Upload(NamedTuple):
    """A file from a client. name: for messages alone. depth_unit: of a depth file, where it is stated."""

    name: str
    data: bytes
    depth_unit: str | None = None


class Drawn(NamedTuple):
    """What is shown of a medium, and the modality whose reader decoded it; empty where none did."""

    read_as: str
    shown: Shown


class Reader:
    """Decodes in other processes all but short texts. Of a request's files, ``pixels()`` bounds all together."""

    def __init__(self, served: Served, decoders: Decoders, admission: Admission, settings: ServeSettings) -> None:
        self._served, self._decoders, self._admission, self._settings = served, decoders, admission, settings

    def pixels(self) -> Pixels:
        """What the files of one request may have together."""
        return Pixels(self._settings.pixels)

    async def read(self, client: Client, upload: Upload, modality: str | None, pixels: Pixels) -> Decoded:
        """A medium as the model takes it. Raises BadItem where it can't be decoded, NotServed where it isn't served."""
        if _is_short_text(upload.data):
            one = given(upload.name, upload.data, modality)
            self._served.check_modality(one.read_as, upload.name)
            return await asyncio.to_thread(decoded, one, self._served.model.backbone)
        unit = self._served.unit(upload.depth_unit)
        found = await self._decoders.decode(client, upload.data, upload.name, modality, pixels, unit)
        self._served.check_modality(found.read_as, upload.name)
        return found

    def given(self, upload: Upload, read_as: str) -> Given:
        """A file as learning takes it."""
        unit = self._served.unit(upload.depth_unit) if read_as == "depth" else None
        return Given(upload.name, upload.data, read_as, unit)

    async def draw(self, client: Client, upload: Upload) -> Drawn:
        """What is shown of a file; a note says so where it can't be read. Raises Busy."""
        try:
            if _is_short_text(upload.data):
                one = given(upload.name, upload.data, None)
                return Drawn(one.read_as, show(one))
            unit = self._served.unit(upload.depth_unit)
            with self._admission.admitted(1):
                return Drawn(*await self._decoders.draw(client, upload.data, upload.name, self.pixels(), unit))
        except BadItem as bad:
            return Drawn("", Shown(note=bad.reason))


def _is_short_text(data: bytes) -> bool:
    return len(data) <= SHORT and format_of(data) is TEXT
