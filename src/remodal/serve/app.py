"""The server as one ASGI application: the guard, the routes, the page."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import FastAPI, Form
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi_offline import FastAPIOffline
from starlette.responses import Response

from remodal import __version__
from remodal.errors import RemodalError
from remodal.serve.access import COOKIE, Access, Guard
from remodal.serve.api import malformed, measured, refused, routes
from remodal.serve.guesses import Guesses
from remodal.serve.page import mounted
from remodal.serve.service import Service

LOGIN = """<!doctype html><html lang="en"><meta name="viewport" content="width=device-width"><title>remodal</title>
<form method="post" action="/login"><label>Token <input name="token" type="password" autofocus></label>
<button>Log in</button></form></html>"""


def application(service: Service, access: Access, on_ready: Callable[[], object] = lambda: None) -> Guard:
    """What an ASGI server runs. The service is started and ended with it; ``on_ready`` is called in between."""

    @asynccontextmanager
    async def running(_: FastAPI) -> AsyncIterator[None]:
        async with service:
            on_ready()
            yield

    guesses = Guesses()
    served = f"One model answers in {', '.join(service.served.modalities)}."
    app = FastAPIOffline(redoc_url=None, title="remodal", version=__version__, lifespan=running, description=served)
    app.add_exception_handler(RemodalError, refused)
    app.add_exception_handler(RequestValidationError, malformed)
    app.middleware("http")(measured(service))
    app.include_router(routes(service))

    @app.get("/login", include_in_schema=False)
    async def login() -> HTMLResponse:
        return HTMLResponse(LOGIN)

    @app.post("/login", include_in_schema=False)
    async def logged_in(token: Annotated[str, Form()]) -> Response:
        if not access.fits(token):
            return HTMLResponse(LOGIN, 401 if await guesses.answered() else 429)
        answer = RedirectResponse("/", 303)
        answer.set_cookie(COOKIE, token, httponly=True, samesite="strict", secure=access.encrypted)
        return answer

    return Guard(mounted(app, service), access, guesses)
