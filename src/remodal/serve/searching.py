"""Search in an index by words or files, and what is shown of what it holds."""

from __future__ import annotations

import asyncio
import mimetypes
from collections.abc import Sequence
from functools import partial
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from remodal.errors import BadItem, RemodalError
from remodal.modalities import MODALITIES
from remodal.report.media import Shown
from remodal.search import Chance, Hit, Index, Query
from remodal.serve.admission import Admission
from remodal.serve.asking import Asking
from remodal.serve.served import Served
from remodal.serve.turns import Client
from remodal.serve.uploads import Drawn, Reader, Upload

MAX_WORDS = 10_000
"""Letters of words to search for."""


class Searching:
    """index: None where the server was started without one; then all but :attr:`index` raises RemodalError."""

    def __init__(
        self, index: Index | None, served: Served, asking: Asking, reader: Reader, admission: Admission
    ) -> None:
        self.index = index
        self._served, self._asking, self._reader, self._admission = served, asking, reader, admission
        self._found_by_chance: tuple[tuple[int, int], dict[frozenset[str], Chance]] = (0, 0), {}
        self._making_chance = asyncio.Lock()

    def _indexed(self) -> Index:
        if self.index is None:
            raise RemodalError("this server has no index to search in; start it with --index")
        return self.index

    async def search(
        self,
        client: Client,
        wanted: str | Upload,
        modalities: Sequence[str] = (),
        top: int = 10,
        *,
        windows: bool = False,
    ) -> list[Hit]:
        """Stored files near some words or a file, each with whether it is sure. windows: see :meth:`Index.search`.

        Raises:
            RemodalError: There is no index, a modality isn't known, the file can't be read, or the server is too busy.
        """
        self._indexed()
        for modality in modalities:
            self._served.check_modality(modality)
        if isinstance(wanted, str):
            if len(wanted) > MAX_WORDS:
                raise RemodalError(f"found {len(wanted):,} letters to search for; valid: at most {MAX_WORDS:,}")
            with self._admission.admitted(1):
                query = await asyncio.to_thread(Query.of_words, wanted, self._served.model)
        else:
            ((answer, _),) = await self._asking.answers(client, [wanted])
            query = Query.of_medium(answer)
        found = await self.near(query.place, modalities, top, windows=windows)
        among = frozenset(self._searched(modalities))
        async with self._making_chance:  # once, however many ask
            return await asyncio.to_thread(lambda: self._chance(among).marked(query, found))

    def _searched(self, modalities: Sequence[str]) -> Sequence[str]:
        """In what is searched where these are asked for: as far as is served; none where that is all."""
        return modalities or (() if len(self._served.modalities) == len(MODALITIES) else self._served.modalities)

    def _chance(self, among: frozenset[str]) -> Chance:
        """What chance finds in the index, as it and the model are now; made when it is first asked for."""
        index = self._indexed()
        now = index.state, self._served.version
        if self._found_by_chance[0] != now:
            self._found_by_chance = now, {}
        kept = self._found_by_chance[1]
        if among not in kept:
            kept[among] = Chance.within(index, self._served.model, among)
        return kept[among]

    async def near(
        self, place: NDArray[np.float32], modalities: Sequence[str] = (), top: int = 10, *, windows: bool = False
    ) -> list[Hit]:
        """Stored files near a place ``[d]`` in the text space, of modalities that are served.

        Raises:
            RemodalError: There is no index.
        """
        search = partial(self._indexed().search, windows=windows)
        return await asyncio.to_thread(search, place.tolist(), self._searched(modalities), top)

    async def count(self) -> int:
        """How many files the index holds. Raises RemodalError where there is none."""
        return (await asyncio.to_thread(self._indexed().count)).files

    async def stale(self) -> dict[str, int]:
        """How many stored files and windows of each modality were embedded before the model learned what it knows now.

        Raises:
            RemodalError: There is no index.
        """
        return await asyncio.to_thread(self._indexed().stale, self._served.model.lineage)

    async def draw(self, client: Client, hit: Hit) -> Drawn:
        """What is shown of a stored file; a long one isn't read for that, its player is enough. Raises Busy."""
        if hit.span is not None:
            kind = mimetypes.guess_type(hit.path)[0] or ""
            return Drawn("video" if kind.startswith("video/") else "audio", Shown())
        try:
            found = await asyncio.to_thread(self._indexed().file, hit.id)
            if found is None:
                raise BadItem(hit.path, "is not there any more")
            return await self._reader.draw(client, Upload(found.path.name, await asyncio.to_thread(found.read)))
        except BadItem as bad:
            return Drawn("", Shown(note=bad.reason))

    async def open(self, identity: str) -> tuple[str, BinaryIO]:
        """A stored file by its id in the index: its name, and the file itself, opened where it was found.

        Raises:
            BadItem: There is none such any more, or it is a link out of its folder, a pipe or a device by now.
        """
        found = await asyncio.to_thread(self.index.file, identity) if self.index is not None else None
        if found is None:
            raise BadItem(identity[:80], "found no such stored file")
        return found.path.name, await asyncio.to_thread(found.open)
