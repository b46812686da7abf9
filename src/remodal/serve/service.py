"""All that the server can do, without HTTP: the routes and the page are two ways to call it.

What is asked of the model (:mod:`~remodal.serve.asking`), and of an index (:mod:`~remodal.serve.searching`), has files
of its own. Here is what changes the model: it is taught, corrected, and goes back to earlier versions.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any, Literal, Self

from remodal.correcting import known
from remodal.errors import RemodalError
from remodal.modalities import MODALITIES
from remodal.model import Model
from remodal.saved import changing, current_description, current_version, located, roll_back, versions
from remodal.saved.folder import CONFIG
from remodal.search import Index
from remodal.serve.admission import Admission, Busy
from remodal.serve.asking import Asking
from remodal.serve.background import log
from remodal.serve.current import current, folder_read
from remodal.serve.decoding import Decoders
from remodal.serve.jobs import Job, Jobs
from remodal.serve.learner import Work
from remodal.serve.metrics import Metrics
from remodal.serve.own_folders import UPLOADS
from remodal.serve.searching import Searching
from remodal.serve.served import Served
from remodal.serve.settings import ServeSettings
from remodal.serve.staging import Kind, Sent, Staging
from remodal.serve.together import together
from remodal.serve.turns import Client
from remodal.serve.uploads import Reader, Upload
from remodal.serve.watching import Watcher
from remodal.streams.labels import checked_label
from remodal.watching import entries

MAX_CLASSES = 100
"""Classes to forget in one request."""


class Service:
    """model, device, dtype, trust_backbone: see :meth:`Model.load`. index: to search in. depth_unit: of depth files
    where a client states none; None: what those had that the model learned from. modalities: that are served; encoders
    that read no other aren't loaded. Used as an asynchronous context.

    client: who asks, wherever it is taken: clients wait in turn.
    """

    def __init__(
        self,
        model: str,
        cache: Path,
        index: str | None,
        settings: ServeSettings,
        device: str = "cpu",
        dtype: str | None = None,
        trust_backbone: Path | None = None,
        depth_unit: str | None = None,
        modalities: Sequence[str] = tuple(MODALITIES),
    ) -> None:
        self.folder = located(model)
        self.settings, self.metrics = settings, Metrics()
        opened = Index.open(index) if index else None
        load = partial(
            Model.load,
            self.folder,
            cache=cache,
            device=device,
            dtype=dtype,
            trust_backbone=trust_backbone,
            modalities=modalities,
        )
        self.served = Served(self.folder, load, depth_unit)
        backbone = self.served.model.backbone
        if opened is not None:
            opened = opened.of(backbone.fingerprint)
        self._decoders = Decoders(
            self.served.model.backbone_name,
            backbone.settings.model_dump(mode="json"),
            str(cache),
            settings.decoders,
            settings.decode_seconds,
        )
        self._admission = Admission(settings.waiting, settings.files)
        self.reader = Reader(self.served, self._decoders, self._admission, settings)
        self.asking = Asking(self.served, self.reader, self._admission, self.metrics, settings.batch)
        self.searching = Searching(opened, self.served, self.asking, self.reader, self._admission)
        self._staging = Staging(cache / UPLOADS)
        trusted = None if trust_backbone is None else str(trust_backbone)
        work = Work(str(self.folder), str(cache), device, dtype, index, trusted, settings.versions)
        self.jobs = Jobs(work, self._staging, settings.jobs, self._answer_with_current)
        self._background = {
            "decoding": self._decoders,
            "answering": self.asking.batcher,
            "learning": self.jobs,
            "watching the model's folder": Watcher(self.folder / CONFIG, self._follow),
        }
        self._running = AsyncExitStack()
        self.ready = False

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as started:
            started.enter_context(self._staging)
            for part in self._background.values():
                await started.enter_async_context(part)
            self._running = started.pop_all()
        self.metrics.version.set(self.served.version)
        self.ready = True
        return self

    async def __aexit__(self, *_: object) -> None:
        self.ready = False
        await self._running.aclose()

    @property
    def problems(self) -> dict[str, str]:
        """What of the server doesn't do its work, and why; empty where all does."""
        return {name: part.problem for name, part in self._background.items() if part.problem is not None}

    async def teach(
        self,
        client: Client,
        labels: Sequence[str],
        uploads: Sequence[Upload],
        modality: str | None = None,
        kind: Literal["update", "arrival", "relabel"] = "update",
    ) -> Job:
        """Queue a job that teaches classes from files, or has files be of one that were taught as of another one.

        labels: one for all files, or one for each. kind: see :class:`~remodal.serve.jobs.Job`.

        Raises:
            Damaged: The model's folder can't be read.
            RemodalError: A label is blank, there are more or fewer than files, a file can't be read, there are too
                many, or the server is too busy.
        """
        checked = [checked_label(label, "label") for label in labels]
        if not uploads:
            raise RemodalError("found no file; valid: at least one of the class")
        if len(checked) not in (1, len(uploads)):
            found = f"found {len(checked):,} labels and {len(uploads):,} files"
            raise RemodalError(f"{found}; valid: one label for all, or one for each")
        each = checked if len(checked) == len(uploads) else checked * len(uploads)
        return await self._change(client, kind, each, uploads, modality)

    async def forget(
        self, client: Client, classes: Sequence[str], uploads: Sequence[Upload], modality: str | None = None
    ) -> Job:
        """Queue a job after which the model has never seen some classes, ``modality:name`` each, and some files.

        Raises:
            Damaged: The model's folder can't be read.
            NotServed: A class, or a file, is of a modality that isn't served.
            RemodalError: A class isn't known, a file can't be read, there are too many, or the server is too busy.
        """
        if not classes and not uploads:
            raise RemodalError("found nothing to forget; valid: classes, files")
        if len(classes) > MAX_CLASSES:
            raise RemodalError(f"found {len(classes):,} classes to forget; valid: at most {MAX_CLASSES:,} a request")
        for name in classes:
            self.served.check_modality(known(name, self.served.model.seen_).modality)
        return await self._change(client, "forget", [""] * len(uploads), uploads, modality, classes)

    async def _change(
        self,
        client: Client,
        kind: Kind,
        labels: Sequence[str],
        uploads: Sequence[Upload],
        modality: str | None,
        classes: Sequence[str] = (),
    ) -> Job:
        """Queue a job about files, each of which is decoded first. labels: one for each, "" where it is to get none."""
        if modality is not None:
            self.served.check_modality(modality)
        await asyncio.to_thread(current, self.folder)
        self.jobs.check_room()
        pixels = self.reader.pixels()
        with self._admission.admitted(len(uploads)):
            media = await together(self.reader.read(client, upload, modality, pixels) for upload in uploads)
        files = [
            Sent(upload.name, one.read_as, upload.data, self.reader.given(upload, one.read_as).unit, label)
            for one, upload, label in zip(media, uploads, labels, strict=True)
        ]
        # a client that leaves now has asked; files that are half written would be left behind
        named = [label for label in dict.fromkeys(labels) if label]
        return await asyncio.shield(self.jobs.change(kind, named, files, classes))

    async def arrivals(self, last: int) -> list[dict[str, Any]]:
        """What arrived, and was learned, until the folder's current version: the ``last`` times, oldest first.

        Raises:
            Damaged: The model's folder can't be read.
        """

        def read() -> list[dict[str, Any]]:
            arrived = current_description(self.folder).about.arrived
            kept = deque((one for one in entries(self.folder, arrived) if one.version is not None), last)
            return [
                {
                    "time": one.time,
                    "version": one.version,
                    "learned": len(one.learned),
                    "held_out": len(one.held_out),
                    "new": [list(column) for column in one.new],
                    "accuracy": {name: measured.model_dump() for name, measured in one.accuracy.items()},
                }
                for one in kept
            ]

        with folder_read():
            return await asyncio.to_thread(read)

    async def _answer_with_current(self) -> int:
        """Answer with the current version of the folder from the next batch on; its number. Raises Damaged."""
        await self._replaced()
        return self.served.version

    async def _replaced(self) -> bool:
        """Whether what answers is another model than before, for the folder says so. Raises Damaged."""
        replaced = await self.served.follow()
        self.metrics.version.set(self.served.version)
        return replaced

    async def _follow(self) -> bool:
        """Answer with the version that another process made the current one; False where a job is at it."""
        if self.jobs.running:
            return False
        if await self._replaced():
            log.warning("%s: another process changed it; version %d answers now", self.folder, self.served.version)
            self._refresh()
        return True

    def _refresh(self) -> None:
        """Have the index follow the model, if there is one."""
        if self.searching.index is not None:
            with suppress(Busy):  # each of those that wait refreshes it as well
                self.jobs.refresh()

    async def roll_back(self, version: int | None = None) -> int:
        """Go back to a version, by default to the one that the current one learned on from; its number.

        Raises:
            Damaged: The model's folder can't be read.
            RemodalError: There is none such, or an update is going on.
        """
        await self.versions()

        def change() -> None:
            with changing(self.folder):
                roll_back(self.folder, version)

        await asyncio.to_thread(change)
        now = await self._answer_with_current()
        self._refresh()
        return now

    async def versions(self) -> list[dict[str, Any]]:
        """All versions, oldest first: number, parent, when made, note, classes, accuracy by modality, whether current.

        current: whether the folder says so. answers: whether it is the one in memory, as it is within seconds.

        Raises:
            Damaged: The model's folder can't be read.
        """
        with folder_read():
            listed = await asyncio.to_thread(versions, self.folder)
            now = await asyncio.to_thread(current_version, self.folder)
        return [
            {
                "version": one.version,
                "parent": one.parent,
                "made": one.made,
                "note": one.note,
                "classes": len(one.about.classes),
                "accuracy": {name: measured.model_dump() for name, measured in one.about.accuracy.items()},
                "current": one.version == now,
                "answers": one.version == self.served.version,
            }
            for one in listed
        ]
