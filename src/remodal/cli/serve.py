"""``remodal serve``: a saved model behind HTTP and on a page."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from remodal.cli.options import Device, DtypeLearned, TrustBackbone

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

PAGE = "page"
"""Folder of what is dropped on the page."""
ENDING_SECONDS = 5
"""What is being answered may take so long to finish when the server is told to end."""
OF_CLIENTS = frozenset({"all_proxy", "http_proxy", "https_proxy", "ssl_cert_file", "ssl_cert_dir"})
"""Variables that clients of the network look at, in small letters."""


def command(
    model: Annotated[str, typer.Argument(help="A saved model's folder, or a run's folder.")],
    assignments: Annotated[list[str] | None, typer.Argument(help="Settings, key=value: limits.")] = None,
    index: Annotated[str | None, typer.Option(help="What remodal index made, to search in.")] = None,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free.")] = 8000,
    token_file: Annotated[
        Path | None, typer.Option(help="A file whose first line clients have to know; needed beyond this machine.")
    ] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads to compute with.", show_default="one a core, at most 8")
    ] = None,
    depth_unit: Annotated[
        str | None,
        typer.Option(
            help="mm, cm, m or sunrgbd: of depth files where a client states none.", show_default="the model's"
        ),
    ] = None,
    modalities: Annotated[
        str | None,
        typer.Option(metavar="NAME,NAME", help="What is answered: image,audio for example.", show_default="all"),
    ] = None,
    device: Device = "cpu",
    dtype: DtypeLearned = None,
    trust_backbone: TrustBackbone = None,
) -> None:
    """Answer, search, be taught and go back a version: over HTTP, and on a page at /.

    Listens to this machine alone unless a host and a token file are given. OpenAPI documentation is at /docs.

    \b
    remodal serve my-model
    remodal serve my-model --index holiday.index --port 9000
    remodal serve my-model --modalities image,audio      (encoders that read no other aren't loaded)
    remodal serve my-model --host 0.0.0.0 --token-file token.txt serve.upload_bytes=10000000
    """
    from remodal.cli.console import say, write_line

    # before what takes seconds: the libraries, and the model
    say(f"loads {model}; the address follows as soon as it answers")

    import logging
    import os
    import signal
    import sys

    import torch

    from remodal.cache import cache_folder
    from remodal.cli.asked import assigned
    from remodal.cli.machine import default_threads
    from remodal.errors import UnknownName, installed_with
    from remodal.modalities import MODALITIES, get_modality
    from remodal.saved import located
    from remodal.serve.own_folders import UPLOADS, OwnFolders

    uploads = OwnFolders(cache_folder() / UPLOADS)
    # Gradio reads these when it is imported
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["GRADIO_TEMP_DIR"] = str(uploads.folder(PAGE))
    with installed_with("serve"):
        import uvicorn

        from remodal.serve.access import Access
        from remodal.serve.connections import Patient
        from remodal.serve.settings import ServeSettings

    given = assigned(assignments or [])
    for name in given:
        if not name.startswith(ServeSettings.prefix):
            raise UnknownName("setting", name, [ServeSettings.prefix + one for one in ServeSettings.model_fields])
    settings = ServeSettings.checked({name.removeprefix(ServeSettings.prefix): one for name, one in given.items()})
    served = [get_modality(name.strip()).name for name in modalities.split(",")] if modalities else list(MODALITIES)
    access = Access(host, _token(token_file) if token_file else None, settings.upload_bytes, settings.public_url)
    logging.basicConfig(stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s", level=logging.WARNING)
    logging.getLogger("python_multipart").setLevel(logging.ERROR)  # it warns of what clients send
    folder = located(model)
    listening = _listening(host, port)  # who comes before the model is loaded waits
    torch.set_num_threads(threads or default_threads())
    with installed_with("serve"), _without(OF_CLIENTS):
        # Gradio makes clients when it is imported, which nobody uses here: they shall not fail for a wrong variable
        from remodal.serve.app import application
        from remodal.serve.service import Service

    service = Service(str(folder), cache_folder(), index, settings, device, dtype, trust_backbone, depth_unit, served)

    def tell() -> None:
        address = f"[{host}]" if ":" in host else host
        write_line(f"{service.folder}, version {service.served.version}: http://{address}:{listening.getsockname()[1]}")

    # uvicorn ends, and then raises the signal again that told it to: its folders are still to be removed
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    with uploads:
        uploads.make(PAGE)
        config = uvicorn.Config(
            application(service, access, tell),
            http=Patient,
            ws="none",
            limit_concurrency=settings.connections,
            log_level="warning",
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=ENDING_SECONDS,
        )
        uvicorn.Server(config).run([listening])


@contextmanager
def _without(names: frozenset[str]) -> Iterator[None]:
    """A block in which the environment lacks some variables; names: in small letters."""
    import os

    taken = {name: os.environ.pop(name) for name in list(os.environ) if name.lower() in names}
    try:
        yield
    finally:
        os.environ.update(taken)


def _listening(host: str, port: int) -> socket.socket:
    """A socket that listens there; RemodalError where none can be had."""
    import errno
    import socket

    from remodal.errors import RemodalError

    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(*found[:2])
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # asyncio does it only for sockets made with a protocol's number; without, each answer waits 40 ms for an ACK
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listening.bind(found[4])
        listening.listen()
    except OSError as error:
        ways = {
            errno.EADDRINUSE: "another program listens there; valid: another --port, or --port 0 for any that is free",
            errno.EACCES: "valid: a --port from 1024 on",
        }
        way = ways.get(error.errno or 0, "valid: --host with a name or an address of this machine")
        raise RemodalError(f"can't listen on {host}, port {port} ({error.strerror}); {way}") from None
    return listening


def _token(file: Path) -> str:
    from remodal.errors import RemodalError

    lines = file.read_text(encoding="utf-8").splitlines()
    token = lines[0].strip() if lines else ""
    if len(token) < 16:
        raise RemodalError(f"{file}: found a token of {len(token)} letters; valid: 16 or more on the first line")
    return token
