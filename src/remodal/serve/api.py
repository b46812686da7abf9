"""The routes."""

from __future__ import annotations

import asyncio
import mimetypes
import os
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Annotated, Any, BinaryIO, TypeVar

from fastapi import APIRouter, Form, HTTPException, Query, Request, Response, UploadFile
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse
from starlette.types import Receive, Scope, Send

from remodal import __version__
from remodal.characters import printable
from remodal.errors import BadItem, RemodalError
from remodal.modalities.depth import DepthUnit
from remodal.saved import InUse
from remodal.serve.admission import Busy, TooMany
from remodal.serve.current import Damaged
from remodal.serve.jobs import Job
from remodal.serve.schemas import (
    AnswerOut,
    ClassOut,
    HitOut,
    IndexOut,
    Problem,
    ProblemOut,
    Rollback,
    SuggestedOut,
    SuggestionOut,
)
from remodal.serve.searching import MAX_WORDS
from remodal.serve.served import NotServed
from remodal.serve.service import Service
from remodal.serve.staging import Kind
from remodal.serve.turns import Client
from remodal.serve.uploads import Upload

LEFT = 499
"""Status of a request whose client didn't wait for the answer; it is seen in the figures alone."""
MAX_ENTRIES = 10_000
A_FILE = "valid: a file with a name (filename=... in its part), which may be any"
Unit = Annotated[DepthUnit | None, Form(description="of depth files; by default the model's")]
ClassName = Annotated[str, Form(description="the class's name", examples=["fox"])]
Stated = Annotated[str | None, Form(description="where a file's content doesn't tell")]
Given = TypeVar("Given")


def accepted(kind: Kind, label: str, files: int) -> dict[int | str, dict[str, Any]]:
    """What a job looks like that has just been asked for, for the documentation."""
    job = Job("5b0e7a86fd3c49a1", kind, label, files).as_json()
    return {202: {"content": {"application/json": {"example": job}}}}


class _Opened(FileResponse):
    """A file that is open already, so that nothing else can have come to its name since it was looked at."""

    def __init__(self, name: str, file: BinaryIO) -> None:
        self._file = file
        kind = mimetypes.guess_type(name)[0]
        super().__init__(f"/dev/fd/{file.fileno()}", media_type=kind, stat_result=os.fstat(file.fileno()))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._file:
            await super().__call__(scope, receive, send)


def routes(service: Service) -> APIRouter:
    """All of them, over one service."""
    router = APIRouter(responses={"4XX": {"model": Problem}, "5XX": {"model": Problem}})

    @router.post("/predict")
    async def predict(
        request: Request,
        files: Annotated[list[UploadFile] | None, "media of any modality"] = None,
        texts: Annotated[list[str] | None, Form(description="sentences")] = None,
        modality: Annotated[str | None, Form(description="of all of them, where it is known")] = None,
        top: Annotated[int, Form(ge=1, le=1000)] = 5,
        depth_unit: Unit = None,
    ) -> list[AnswerOut]:
        """Say what is in files of any modality; one that can't be read has a ``problem``, the others an answer."""
        uploads = await _uploads(files, depth_unit)
        uploads += [Upload(text[:40], text.encode()) for text in texts or []]
        if not uploads:
            raise HTTPException(400, "found nothing to answer; valid: files, texts")
        said = await _while_there(request, service.asking.answers(_client(request), uploads, modality, top))
        return [AnswerOut.of(one) for one in said]

    @router.post("/search")
    async def search(
        request: Request,
        words: Annotated[str | None, Form(max_length=MAX_WORDS)] = None,
        file: UploadFile | None = None,
        modality: Annotated[list[str] | None, Form(description="of what is found; any by default")] = None,
        top: Annotated[int, Form(ge=1, le=1000)] = 10,
        depth_unit: Unit = None,
        only_sure: Annotated[bool, Form(description="none that is no nearer than chance")] = False,
        windows: Annotated[bool, Form(description="each window of a long file by itself, not the best alone")] = False,
    ) -> list[HitOut]:
        """Find stored media of any modality by words, or by another medium."""
        if (words is None) == (file is None):
            raise HTTPException(400, "give either words or a file, not both and not neither")
        wanted = words if file is None else (await _uploads([file], depth_unit))[0]
        found = service.searching.search(_client(request), wanted or "", modality or (), top, windows=windows)
        hits = await _while_there(request, found)
        return [HitOut(**hit._asdict()) for hit in hits if hit.sure is not False or not only_sure]

    @router.get("/index")
    async def index() -> IndexOut:
        """How many files can be found, and how many were embedded before the model learned what it knows now."""
        return IndexOut(files=await service.searching.count(), stale=await service.searching.stale())

    @router.get("/media/{identity}")
    async def medium(identity: str) -> FileResponse:
        """A stored file, by its id in the index."""
        try:
            name, file = await service.searching.open(identity)
        except BadItem as bad:
            raise HTTPException(404, bad.reason) from None
        return _Opened(name, file)

    @router.post("/suggest")
    async def suggest(
        request: Request,
        files: Annotated[list[UploadFile], "media without labels"],
        n: Annotated[int, Form(ge=1, le=MAX_ENTRIES, description="files to label first")] = 20,
        modality: Annotated[str | None, Form(description="of all of them, where it is known")] = None,
        depth_unit: Unit = None,
    ) -> SuggestedOut:
        """Say which files to label first: those whose labels would teach the model most."""
        uploads = await _uploads(files, depth_unit)
        found = await _while_there(request, service.asking.suggest(_client(request), uploads, n, modality))
        return SuggestedOut(
            chosen=[SuggestionOut.of(one, uploads[one.place].name) for one in found.chosen],
            learned=found.learned,
            copies=found.copies,
            problems=[ProblemOut(medium=one.path, problem=one.reason) for one in found.set_aside],
        )

    @router.post("/update", status_code=202)
    async def update(
        request: Request,
        label: Annotated[list[str], Form(description="the class's name; or one for each file", examples=[["fox"]])],
        files: list[UploadFile],
        modality: Stated = None,
        depth_unit: Unit = None,
    ) -> dict[str, Any]:
        """Teach the model classes from files; the old version answers until the new one is there."""
        uploads = await _uploads(files, depth_unit)
        job = await _while_there(request, service.teach(_client(request), label, uploads, modality))
        return job.as_json()

    @router.post("/forget", status_code=202, responses=accepted("forget", "image:fox", 1))
    async def forget(
        request: Request,
        classes: Annotated[
            list[str] | None, Form(description="classes, modality:name each", examples=[["image:fox"]])
        ] = None,
        files: Annotated[list[UploadFile] | None, "what was learned or is held out, found by content"] = None,
        modality: Stated = None,
        depth_unit: Unit = None,
    ) -> dict[str, Any]:
        """Have the model be as if it had never seen some classes and files; the earlier versions stay as they are.

        All else is learned again, to the bit.
        """
        uploads = await _uploads(files, depth_unit)
        job = await _while_there(request, service.forget(_client(request), classes or (), uploads, modality))
        return job.as_json()

    @router.post("/relabel", status_code=202, responses=accepted("relabel", "fox", 2))
    async def relabel(
        request: Request,
        label: ClassName,
        files: list[UploadFile],
        modality: Stated = None,
        depth_unit: Unit = None,
    ) -> dict[str, Any]:
        """Have the model be as if it had been taught files, found by content, under this name; it may be a new one."""
        uploads = await _uploads(files, depth_unit)
        job = await _while_there(request, service.teach(_client(request), [label], uploads, modality, "relabel"))
        return job.as_json()

    @router.get("/classes")
    async def classes() -> list[ClassOut]:
        """What the version that answers has learned."""
        return [ClassOut(**one) for one in service.served.classes()]

    @router.post("/arrivals", status_code=202)
    async def arrive(
        request: Request,
        label: ClassName,
        files: list[UploadFile],
        modality: Stated = None,
        depth_unit: Unit = None,
    ) -> dict[str, Any]:
        """Have the model learn files of a class as they arrive: each content once, every fourth of a class held out."""
        uploads = await _uploads(files, depth_unit)
        job = await _while_there(request, service.teach(_client(request), [label], uploads, modality, "arrival"))
        return job.as_json()

    @router.get("/arrivals")
    async def arrivals(last: Annotated[int, Query(ge=1, le=MAX_ENTRIES)] = 100) -> list[dict[str, Any]]:
        """What arrived, over HTTP or in a folder that is watched: when, how much was learned, accuracy from then on."""
        return await service.arrivals(last)

    @router.get("/jobs/{identity}")
    async def job(identity: str) -> dict[str, Any]:
        """How a job goes on."""
        if identity not in service.jobs.all:
            raise HTTPException(404, f"found no job {identity[:80]!r}")
        return service.jobs.all[identity].as_json()

    @router.get("/versions")
    async def versions() -> list[dict[str, Any]]:
        """All versions of the model, with their accuracy on what each holds out.

        current: what the model's folder says. answers: what is in memory; it follows the folder within seconds.
        """
        return await service.versions()

    @router.post("/rollback")
    async def rollback(wanted: Rollback) -> dict[str, int]:
        """Go back to an earlier version; the one that is left stays."""
        return {"version": await service.roll_back(wanted.version)}

    @router.head("/health", include_in_schema=False)
    @router.get("/health")
    async def health() -> dict[str, str]:
        """The process lives, and so do its parts; 503 with what doesn't do its work, where one doesn't."""
        if service.problems:
            raise HTTPException(503, "; ".join(f"{part}: {problem}" for part, problem in service.problems.items()))
        return {"status": "ok", "remodal": __version__}

    @router.head("/ready", include_in_schema=False)
    @router.get("/ready")
    async def ready() -> dict[str, int]:
        """The model answers; 503 where it doesn't yet."""
        if not service.ready:
            raise HTTPException(503, "the model is not loaded yet")
        return {"version": service.served.version}

    @router.get("/metrics", response_class=PlainTextResponse)
    async def metrics() -> PlainTextResponse:
        """For Prometheus."""
        return PlainTextResponse(service.metrics.written(), media_type="text/plain; version=0.0.4")

    return router


STATUS: dict[type[RemodalError], int] = {Busy: 503, InUse: 409, TooMany: 413, Damaged: 500, NotServed: 415}
"""Of what is no mistake in the request itself; every other RemodalError is 400."""
LATER = frozenset({409, 503})
"""May be asked again later."""


async def refused(_: Request, error: Exception) -> JSONResponse:
    """The answer to what can't be done: one line."""
    status = next((status for kind, status in STATUS.items() if isinstance(error, kind)), 400)
    return JSONResponse({"detail": str(error)}, status, {"retry-after": "1"} if status in LATER else {})


async def _while_there(request: Request, work: Coroutine[Any, Any, Given]) -> Given:
    """What ``work`` gives; it is cancelled when the client leaves. The request's body has been read before."""
    working, leaving = asyncio.create_task(work), asyncio.create_task(_left(request))
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise HTTPException(LEFT, "the client has left")
        return working.result()
    finally:
        for task in (working, leaving):
            task.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def _left(request: Request) -> None:
    """Wait until the client leaves."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _client(request: Request) -> Client:
    """A connection: all that tells apart those who ask from one machine."""
    return Client(request.client.host, str(request.client.port)) if request.client else Client("", "")


async def malformed(_: Request, error: Exception) -> JSONResponse:
    """The answer to what is not what a route takes: one line, whatever was found."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] == "missing":
        said = f"{where}: found nothing; valid: what /docs says of this route"
    elif first["type"] == "json_invalid":
        said = "body: found no JSON; valid: what /docs says of this route"
    else:
        found = " ".join(repr(first.get("input")).split())[:80]
        valid = A_FILE if "Expected UploadFile" in first["msg"] else first["msg"][:1].lower() + first["msg"][1:]
        said = f"{where}: found {found}; {valid}"
    return JSONResponse({"detail": printable(said)}, 400)


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


async def _uploads(files: Sequence[UploadFile] | None, depth_unit: str | None) -> list[Upload]:
    return [Upload(file.filename or "file", await file.read(), depth_unit) for file in files or ()]
