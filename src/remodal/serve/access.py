"""Who may ask, and for what: checks before every route and the page, and headers that go out with every answer."""

from __future__ import annotations

import hmac
import logging
import re
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from ipaddress import ip_address
from typing import NamedTuple
from urllib.parse import urlsplit

from python_multipart.multipart import parse_options_header
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from remodal.errors import RemodalError
from remodal.serve import surface
from remodal.serve.guesses import Guesses

COOKIE = "remodal_token"
OPEN = frozenset({"/health", "/ready", "/login"})
"""Answered without a token."""
CHANGING = frozenset({"POST", "PUT", "PATCH", "DELETE"})
HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+\]|[\w.-]*)(?::\d{1,5})?", re.ASCII)
"""A host's name or address, and a port."""
ORIGIN = re.compile(rf"null|https?://(?P<host>{HOST.pattern})", re.ASCII)
PUBLIC = re.compile(r"https?://(\[[0-9A-Fa-f:.]+\]|[\w.-]+)(:\d{1,5})?/?", re.ASCII)
ENCODINGS = frozenset({b"utf-8", b"utf8"})
HEADERS = {
    "content-security-policy": "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; media-src 'self' data: blob:; "
    "font-src 'self' data:; connect-src 'self' blob:; worker-src 'self' blob:; object-src 'none'; base-uri 'self'; "
    "form-action 'self'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "microphone=(self), camera=(self), geolocation=()",
}

log = logging.getLogger(__name__)


class Refusal(NamedTuple):
    """Why a request isn't let in. guessed: it showed a wrong token."""

    status: int
    reason: str
    guessed: bool = False
    headers: dict[str, str] | None = None


@dataclass(frozen=True)
class Access:
    """host: that the server listens on. token: that clients have to show; None where none is asked for. public_url:
    under which others reach the server, such as a proxy's; None where there is none.
    """

    host: str
    token: str | None
    upload_bytes: int
    public_url: str | None = None

    def __post_init__(self) -> None:
        """Raises RemodalError where others would be let in without a token, or ``public_url`` is no address."""
        if self.public_url is not None and not PUBLIC.fullmatch(self.public_url):
            raise RemodalError(
                f"serve.public_url: found {self.public_url!r}; valid: such as https://models.example.org"
            )
        if self.token is None and not (self.loopback and (self.public_url is None or is_loopback(self._public))):
            found = f"--host {self.host}" if not self.loopback else f"serve.public_url={self.public_url}"
            raise RemodalError(f"{found} lets other machines in; that needs --token-file with a token of 16 letters")

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the server, but for a proxy."""
        return is_loopback(self.host)

    @property
    def encrypted(self) -> bool:
        """Whether browsers reach the server over TLS alone, so that they may keep the token for TLS."""
        return self.public_url is not None and self.public_url.startswith("https:")

    @property
    def _public(self) -> str:
        """The name in ``public_url``."""
        return urlsplit(self.public_url or "").hostname or ""

    def refusal(self, scope: Scope) -> Refusal | None:
        """Why a request isn't let in; None where it is."""
        headers = Headers(scope=scope)
        if malformed := _malformed(headers):
            return Refusal(400, malformed)
        if not self._named(headers):
            # a page elsewhere whose name was made to point at this machine (DNS rebinding)
            found = headers.get("host", "")[:80]
            return Refusal(421, f"found host {found!r}; valid: this machine's own names, such as 127.0.0.1")
        if scope["method"] in CHANGING and not self._same_site(headers):
            reason = "found a request from another site; valid: from this server's own pages, or without a browser"
            return Refusal(403, reason)
        if self.token is not None and scope["path"] not in OPEN and not self.fits(shown := _shown(headers)):
            reason = "a token is needed: Authorization: Bearer TOKEN, or log in at /login"
            return Refusal(401, reason, guessed=bool(shown))
        if not (answered := surface.methods(scope["path"])):
            return Refusal(404, f"found no {scope['path'][:80]!r}; valid: the routes in /docs")
        if scope["method"] not in answered:
            allowed = ", ".join(sorted(answered))
            return Refusal(405, f"found {scope['method'][:20]}; valid: {allowed}", headers={"allow": allowed})
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length[:20]) > self.upload_bytes:
            return Refusal(413, f"found a request of {length[:20]} bytes; valid: at most {self.upload_bytes:,}")
        return None

    def _named(self, headers: Headers) -> bool:
        """Whether the request names this server as it may be named."""
        if self.public_url is None and not self.loopback:
            return True
        name = _host_name(headers)
        return is_loopback(name) or (name != "" and name == self._public)

    def _same_site(self, headers: Headers) -> bool:
        """Whether a browser says that a page of this very server asks; other clients say nothing."""
        if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return False
        origin = headers.get("origin")
        if origin is None:
            return True
        found = ORIGIN.fullmatch(origin)
        host = found["host"] if found else None
        return host is not None and host in (headers.get("host"), urlsplit(self.public_url or "").netloc)

    def fits(self, shown: str) -> bool:
        """Whether it is the token; takes as long for a wrong one as for a nearly right one."""
        return self.token is not None and hmac.compare_digest(_bytes(shown), self.token.encode())


class Guard:
    """ASGI middleware: refuses what :class:`Access` refuses, counts bytes as they come, and sets the headers."""

    def __init__(self, app: ASGIApp, access: Access, guesses: Guesses) -> None:
        self._app, self._access, self._guesses = app, access, guesses

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it with what is wrong."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return

        begun = False

        async def with_headers(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        async def refuse(refusal: Refusal) -> None:
            answer = JSONResponse({"detail": refusal.reason}, refusal.status, refusal.headers)
            await answer(scope, receive, with_headers)

        if (refusal := self._access.refusal(scope)) is not None:
            if refusal.guessed and not await self._guesses.answered():
                refusal = TOO_MANY_GUESSES
            await refuse(refusal)
            return
        limit, came, told = self._access.upload_bytes, 0, False
        too_large = Refusal(413, f"found a request of more than {limit:,} bytes; valid: at most so many", headers=CLOSE)

        async def counted() -> Message:
            nonlocal came
            message = await receive()
            came += len(message.get("body", b""))
            if came > limit:
                raise TooLarge
            return message

        async def answered(message: Message) -> None:
            nonlocal told
            if came <= limit:
                await with_headers(message)
            elif not told:  # whatever the application made of it
                told = True
                await refuse(too_large)

        try:
            await self._app(scope, counted, answered)
        except TooLarge:
            await answered({})
        except Exception:
            log.exception("%s %s failed", scope["method"], scope["path"])
            if not begun:
                await refuse(Refusal(500, "the server failed at this; its log says how"))


TOO_MANY_GUESSES = Refusal(429, "too many wrong tokens; try again later", headers={"retry-after": "10"})
CLOSE = {"connection": "close"}


class TooLarge(Exception):
    """More bytes came than a request may have."""


def is_loopback(host: str) -> bool:
    """Whether a host name or address means this machine alone.

    >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("localhost"), is_loopback("0.0.0.0")
    (True, True, True, False)
    """
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _malformed(headers: Headers) -> str | None:
    """What no client sends, and a library would stumble over."""
    hosts, origin = headers.getlist("host"), headers.get("origin")
    if len(hosts) != 1 or not HOST.fullmatch(hosts[0]):
        return f"found host {', '.join(hosts)[:80]!r}; valid: one name or address, such as 127.0.0.1:8000"
    if origin is not None and not ORIGIN.fullmatch(origin):
        return f"found origin {origin[:80]!r}; valid: such as http://127.0.0.1:8000"
    encoding = parse_options_header(headers.get("content-type"))[1].get(b"charset", b"utf-8")
    if encoding.lower() not in ENCODINGS:
        return f"found charset {encoding[:40].decode('latin-1')!r}; valid: utf-8"
    return None


def _host_name(headers: Headers) -> str:
    found = HOST.fullmatch(headers["host"])
    assert found is not None, "malformed ones are refused before"
    return found["name"].strip("[]").lower()


def _shown(headers: Headers) -> str:
    """The token that a client shows, right or wrong."""
    scheme, _, bearer = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return bearer
    try:
        cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return cookie.value if cookie else ""


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogatepass")
