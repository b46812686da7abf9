"""What reaches Gradio of a page's call: a call as the page makes it, on files that were dropped on the page.

Gradio reads whatever file, and fetches whatever address, stands where a dropped file's path belongs, before a function
of the page sees it. So a call is read here first and handed on as it was understood. The path of a dropped file holds a
hash of its content: who doesn't have the file can't name it.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Literal

from gradio import Blocks
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from starlette.datastructures import Headers, QueryParams
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

JOIN = "/gradio_api/queue/join"
FILE = "/gradio_api/file="
ANSWERS = "/gradio_api/queue/data"
STREAMS = frozenset({ANSWERS, "/gradio_api/upload_progress"})
"""Answers that go on as long as the page is open."""
MAX_BYTES = 1 << 20
"""Of a call: files are uploaded before it."""
MAX_TEXT = 100_000
"""Letters of one text in a call."""
MAX_PARTS = 100
"""Values of a call, and entries of each."""

Line = Annotated[str, StringConstraints(max_length=MAX_TEXT)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)


class _Meta(_Part):
    kind: Literal["gradio.FileData"] = Field(alias="_type")


class _Dropped(_Part):
    """A file that was dropped on the page; its address, type and size are the client's word and aren't handed on."""

    path: Line
    orig_name: Annotated[str, StringConstraints(max_length=1000)] | None = None
    meta: _Meta


Value = None | bool | int | Line | _Dropped


class _Call(_Part):
    """One call of a function of the page."""

    data: Annotated[list[Value | Annotated[list[Line | _Dropped], Field(max_length=MAX_PARTS)]], Field(max_length=20)]
    fn_index: int
    session_hash: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]{1,64}$")]
    trigger_id: int | None = None


class PageCalls:
    """ASGI middleware around Gradio's application, over HTTP. streams: that may go on; a page has up to two."""

    def __init__(self, app: ASGIApp, blocks: Blocks, streams: int) -> None:
        self._app, self._blocks, self._streams, self._open = app, blocks, streams, 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a call on as it was understood, or refuse it in one line; everything else as it is."""
        if scope["path"] == JOIN:
            await self._called(scope, receive, send)
        elif scope["path"] in STREAMS:
            await self._streamed(scope, receive, send)
        elif self._known(scope["path"]):
            await self._app(scope, receive, send)
        else:
            await JSONResponse({"detail": "found no such file"}, 404)(scope, receive, send)

    async def _called(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await _body(receive)
        problem, call = ("found no call of the page", None) if body is None else self._understood(body)
        if call is None:
            await JSONResponse({"detail": f"{problem}; valid: what this page sends"}, 400)(scope, receive, send)
        else:
            await self._app(_of_length(scope, len(call)), _replayed(call, receive), send)

    async def _streamed(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._open >= self._streams:
            detail = f"too many pages are open ({self._open:,} streams); close one"
            await JSONResponse({"detail": detail}, 503, {"retry-after": "10"})(scope, receive, send)
            return
        if scope["path"] == ANSWERS and not self._called_before(scope):
            # Gradio would begin to answer, and then fail
            await JSONResponse({"detail": "found no call of this session; valid: after a call"}, 404)(
                scope, receive, send
            )
            return
        self._open += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._open -= 1

    def _called_before(self, scope: Scope) -> bool:
        """Whether Gradio knows the session that asks for its answers."""
        session = QueryParams(scope["query_string"]).get("session_hash")
        return session in self._blocks._queue.pending_messages_per_session

    def _understood(self, body: bytes) -> tuple[str, bytes | None]:
        """What is wrong with a call, or the call."""
        try:
            call = _Call.model_validate_json(body)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            return f"{'.'.join(map(str, first['loc']))}: {first['msg'].lower()}", None
        if call.fn_index not in self._blocks.fns:
            return f"found fn_index {call.fn_index}", None
        if len(call.data) != (taken := len(self._blocks.fns[call.fn_index].inputs)):
            return f"found {len(call.data)} values where {taken} are taken", None
        for path in _paths(call):
            if path not in self._uploaded:
                return f"found {path[:80]!r}, which was not dropped on this page", None
        return "", call.model_dump_json(by_alias=True).encode()

    def _known(self, path: str) -> bool:
        """Whether a path isn't a file's, or is that of one that was dropped on the page."""
        return not path.startswith(FILE) or path.removeprefix(FILE) in self._uploaded

    @property
    def _uploaded(self) -> Collection[str]:
        uploaded: set[str] = self._blocks.upload_file_set
        return uploaded


def _paths(call: _Call) -> list[str]:
    every = [entry for value in call.data for entry in (value if isinstance(value, list) else [value])]
    return [entry.path for entry in every if isinstance(entry, _Dropped)]


async def _body(receive: Receive) -> bytes | None:
    """The body of a request, None where it is too large or its client has left."""
    body = b""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += bytes(message.get("body", b""))
        if len(body) > MAX_BYTES:
            return None
        if not message.get("more_body", False):
            return body


def _of_length(scope: Scope, length: int) -> Scope:
    headers = [(name, value) for name, value in Headers(scope=scope).raw if name.lower() != b"content-length"]
    return {**scope, "headers": [*headers, (b"content-length", str(length).encode())]}


def _replayed(body: bytes, receive: Receive) -> Receive:
    """What receives ``body``, and then what comes after it."""
    told = False

    async def replayed() -> Message:
        nonlocal told
        if told:
            return await receive()
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replayed
