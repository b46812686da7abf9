"""Who may ask: checks before every route and the page, and headers that go out with every answer."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from http.cookies import SimpleCookie
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "remodal_token"
OPEN = frozenset({"/health", "/ready", "/login"})
"""Answered without a token."""
CHANGING = frozenset({"POST", "PUT", "PATCH", "DELETE"})
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


@dataclass(frozen=True)
class Access:
    """host: that the server listens on. token: that clients have to show; None where none is asked for."""

    host: str
    token: str | None
    upload_bytes: int

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the server."""
        return is_loopback(self.host)

    def refusal(self, scope: Scope) -> tuple[int, str] | None:
        """Status and reason, where the request isn't let in."""
        headers = Headers(scope=scope)
        host = urlsplit(f"//{headers.get('host', '')}").hostname or ""
        if self.loopback and not is_loopback(host):
            # a page elsewhere whose name was made to point at this machine (DNS rebinding)
            return 421, f"found host {host!r}; valid: this machine's own names, such as 127.0.0.1"
        if scope["method"] in CHANGING and not _same_site(headers):
            return 403, "found a request from another site; valid: from this server's own pages, or without a browser"
        if self.token is not None and scope["path"] not in OPEN and not self._shown(headers):
            return 401, "a token is needed: Authorization: Bearer TOKEN, or log in at /login"
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > self.upload_bytes:
            return 413, f"found a request of {length[:20]} bytes; valid: at most {self.upload_bytes:,}"
        return None

    def _shown(self, headers: Headers) -> bool:
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
        shown = bearer if scheme.lower() == "bearer" else cookie.value if cookie else ""
        return self.fits(shown)

    def fits(self, shown: str) -> bool:
        """Whether it is the token; takes as long for a wrong one as for a nearly right one."""
        return self.token is not None and hmac.compare_digest(shown.encode(), self.token.encode())


class Guard:
    """ASGI middleware: refuses what :class:`Access` refuses, counts bytes as they come, and sets the headers."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app, self._access = app, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it with what is wrong."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        if (refusal := self._access.refusal(scope)) is not None:
            status, reason = refusal
            await JSONResponse({"detail": reason}, status)(scope, receive, with_headers)
            return
        limit, came, told = self._access.upload_bytes, 0, False
        detail = f"found a request of more than {limit:,} bytes; valid: at most so many"
        too_large = JSONResponse({"detail": detail}, 413, {"connection": "close"})

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
                await too_large(scope, receive, with_headers)

        try:
            await self._app(scope, counted, answered)
        except TooLarge:
            await answered({})


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


def _same_site(headers: Headers) -> bool:
    """Whether a browser says that a page of this very server asks; other clients say nothing."""
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc == headers.get("host")
