"""The routes."""

from __future__ import annotations

import asyncio
import mimetypes
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any, BinaryIO

from fastapi import APIRouter, Form, HTTPException, Request, Response, UploadFile
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse
from pydantic import BaseModel
from starlette.types import Receive, Scope, Send

from remodal import __version__
from remodal.errors import BadItem
from remodal.saved import InUse
from remodal.serve.batching import Busy
from remodal.serve.service import Said, Service, Upload


class Found(BaseModel):
    """One class, with the probability of class and modality together."""

    label: str
    modality: str
    probability: float


class AnswerOut(BaseModel):
    """What the model says of one medium; ``problem`` says why it could not.

    familiarity: share of the model's held-out items that are no more like the others than the medium is; at .02 or less
    it is unlike anything learned, and its answer says little. null: too little is held out to say.
    """

    medium: str
    modalities: dict[str, float]
    best: list[Found]
    familiarity: float | None
    problem: str | None
    version: int


class HitOut(BaseModel):
    """A stored file. id: to fetch it with, at ``/media/{id}``."""

    id: str
    path: str
    modality: str
    label: str
    nearness: float


class IndexOut(BaseModel):
    """An index. stale: files by modality that will be embedded again."""

    files: int
    stale: dict[str, int]


class _Opened(FileResponse):
    """A file that is open already, so that nothing else can have come to its name since it was looked at."""

    def __init__(self, name: str, file: BinaryIO) -> None:
        self._file = file
        kind = mimetypes.guess_type(name)[0]
        super().__init__(f"/dev/fd/{file.fileno()}", media_type=kind, stat_result=os.fstat(file.fileno()))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._file:
            await super().__call__(scope, receive, send)


class Rollback(BaseModel):
    """version: to go back to; by default the one that the current one learned on from."""

    version: int | None = None


def routes(service: Service) -> APIRouter:
    """All of them, over one service."""
    router = APIRouter()
    limit = service.settings.files

    @router.post("/predict")
    async def predict(
        files: Annotated[list[UploadFile] | None, "media of any modality"] = None,
        texts: Annotated[list[str] | None, Form(description="sentences")] = None,
        modality: Annotated[str | None, Form(description="of all of them, where it is known")] = None,
        top: Annotated[int, Form(ge=1, le=1000)] = 5,
    ) -> list[AnswerOut]:
        """Say what is in files of any modality; one that can't be read has a ``problem``, the others an answer."""
        uploads = await _uploads(files, limit)
        uploads += [Upload(text[:40], text.encode()) for text in texts or []]
        if not uploads:
            raise HTTPException(400, "found nothing to answer; valid: files, texts")
        said = await asyncio.gather(*(service.answer(upload, modality, top) for upload in uploads))
        return [_answer(one) for one in said]

    @router.post("/search")
    async def search(
        words: Annotated[str | None, Form(max_length=10_000)] = None,
        file: UploadFile | None = None,
        modality: Annotated[list[str] | None, Form(description="of what is found; any by default")] = None,
        top: Annotated[int, Form(ge=1, le=1000)] = 10,
    ) -> list[HitOut]:
        """Find stored media of any modality by words, or by another medium."""
        if (words is None) == (file is None):
            raise HTTPException(400, "give either words or a file, not both and not neither")
        wanted = words if file is None else Upload(file.filename or "file", await file.read())
        hits = await service.search(wanted or "", modality or (), top)
        return [HitOut(**hit._asdict()) for hit in hits]

    @router.get("/index")
    async def index() -> IndexOut:
        """How many files can be found, and how many were embedded before the model learned what it knows now."""
        return IndexOut(files=await service.stored(), stale=await service.stale())

    @router.get("/media/{identity}")
    async def medium(identity: str) -> FileResponse:
        """A stored file, by its id in the index."""
        try:
            name, file = await service.open_stored(identity)
        except BadItem as bad:
            raise HTTPException(404, bad.reason) from None
        return _Opened(name, file)

    @router.post("/update", status_code=202)
    async def update(
        label: Annotated[str, Form(description="the class's name")],
        files: list[UploadFile],
        modality: Annotated[str | None, Form(description="where a file's content doesn't tell")] = None,
    ) -> dict[str, Any]:
        """Teach the model a class from files; the old version answers until the new one is there."""
        return (await service.teach(label, await _uploads(files, limit), modality)).as_json()

    @router.get("/jobs/{identity}")
    async def job(identity: str) -> dict[str, Any]:
        """How an update goes on."""
        if identity not in service.jobs.all:
            raise HTTPException(404, f"found no job {identity[:80]!r}")
        return service.jobs.all[identity].as_json()

    @router.get("/versions")
    async def versions() -> list[dict[str, Any]]:
        """All versions of the model, with their accuracy on what each holds out."""
        return await service.versions()

    @router.post("/rollback")
    async def rollback(wanted: Rollback) -> dict[str, int]:
        """Go back to an earlier version; the one that is left stays."""
        return {"version": await service.roll_back(wanted.version)}

    @router.get("/health")
    async def health() -> dict[str, str]:
        """The process lives."""
        return {"status": "ok", "remodal": __version__}

    @router.get("/ready")
    async def ready() -> dict[str, int]:
        """The model answers; 503 where it doesn't yet."""
        if not service.ready:
            raise HTTPException(503, "the model is not loaded yet")
        return {"version": service.version}

    @router.get("/metrics", response_class=PlainTextResponse)
    async def metrics() -> PlainTextResponse:
        """For Prometheus."""
        return PlainTextResponse(service.metrics.written(), media_type="text/plain; version=0.0.4")

    return router


async def refused(_: Request, error: Exception) -> JSONResponse:
    """The answer to a user's mistake: one line. 503 and 409 may be asked again later."""
    status = 503 if isinstance(error, Busy) else 409 if isinstance(error, InUse) else 400
    return JSONResponse({"detail": str(error)}, status, {} if status == 400 else {"retry-after": "1"})


def measured(service: Service) -> Callable[[Request, Callable[[Request], Awaitable[Response]]], Awaitable[Response]]:
    """HTTP middleware that counts and times requests to the routes."""

    async def middleware(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        started = time.perf_counter()
        response = await call_next(request)
        route = getattr(request.scope.get("route"), "path", "page")
        service.metrics.requests.labels(route, str(response.status_code)).inc()
        service.metrics.seconds.labels(route).observe(time.perf_counter() - started)
        return response

    return middleware


def _answer(said: Said) -> AnswerOut:
    answer = said.answer
    best = [Found(**one._asdict()) for one in answer.best]
    return AnswerOut(
        medium=answer.medium,
        modalities=answer.modalities,
        best=best,
        familiarity=answer.familiarity,
        problem=answer.problem,
        version=said.version,
    )


async def _uploads(files: Sequence[UploadFile] | None, limit: int) -> list[Upload]:
    if files is not None and len(files) > limit:
        raise HTTPException(413, f"found {len(files):,} files; valid: at most {limit:,} a request")
    return [Upload(file.filename or "file", await file.read()) for file in files or ()]
