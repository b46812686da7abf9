"""All that this server answers: what isn't listed here doesn't exist, whatever a library brings along.

Gradio's own application has some ninety routes, among them a proxy, a run history and an editor of the page's code; the
page needs those below. A new version of Gradio that adds one changes nothing here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

READING = frozenset({"GET", "HEAD"})
POSTING = frozenset({"POST"})

OWN: Mapping[str, frozenset[str]] = {
    "/predict": POSTING,
    "/search": POSTING,
    "/index": READING,
    "/media/{identity}": READING,
    "/suggest": POSTING,
    "/update": POSTING,
    "/forget": POSTING,
    "/relabel": POSTING,
    "/classes": READING,
    "/arrivals": READING | POSTING,
    "/jobs/{identity}": READING,
    "/versions": READING,
    "/rollback": POSTING,
    "/health": READING,
    "/ready": READING,
    "/metrics": READING,
    "/login": READING | POSTING,
}
"""remodal's routes. A name in braces stands for one part of a path."""
DOCUMENTATION: Mapping[str, frozenset[str]] = {
    "/docs": READING,
    "/openapi.json": READING,
    "/static-offline-docs/{file}": READING,
}
PAGE: Mapping[str, frozenset[str]] = {
    "/": READING,
    "/theme.css": READING,
    "/favicon.ico": READING,
    "/assets/{file:path}": READING,
    "/static/{file:path}": READING,
    "/gradio_api/upload": POSTING,
    "/gradio_api/upload_progress": READING,
    "/gradio_api/queue/join": POSTING,
    "/gradio_api/queue/data": READING,
    "/gradio_api/file={file:path}": READING,
}
"""Of Gradio's routes, what the page asks for in a browser."""
ANSWERED = {**OWN, **DOCUMENTATION, **PAGE}


def _pattern(path: str) -> re.Pattern[str]:
    parts = re.split(r"(\{\w+(?::path)?\})", path)
    kinds = {True: ".+", False: "[^/]+"}
    return re.compile("".join(kinds[":path" in part] if part.startswith("{") else re.escape(part) for part in parts))


_PATTERNS = [(_pattern(path), methods) for path, methods in ANSWERED.items()]


def methods(path: str) -> frozenset[str]:
    """The methods in which a path is answered; none where it isn't.

    >>> sorted(methods("/jobs/12")), sorted(methods("/jobs/1/2")), sorted(methods("/gradio_api/runs"))
    (['GET', 'HEAD'], [], [])
    """
    return frozenset().union(*(allowed for pattern, allowed in _PATTERNS if pattern.fullmatch(path)))
