"""What the tabs of the page have in common."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import gradio

from remodal.errors import RemodalError
from remodal.modalities.depth import METRES
from remodal.serve import drawings
from remodal.serve.jobs import Job
from remodal.serve.service import Service
from remodal.serve.turns import Client
from remodal.serve.uploads import Upload

ASKED_SECONDS = 0.3
"""Between two looks at a job."""
ANY = "found from the file"
LEARNED = "as the model learned it"


async def followed(job: Job) -> AsyncIterator[str]:
    """How a job goes on, until it is through."""
    while job.state in ("waiting", "running"):
        yield drawings.job(job)
        await asyncio.sleep(ASKED_SECONDS)
    yield drawings.job(job)


def client_of(request: gradio.Request) -> Client:
    """A page that is open: its calls share a turn."""
    return Client(request.client.host if request.client else "", f"page {request.session_hash}")


def unit_choice(service: Service) -> Any:
    """A choice of the unit of depth files, where they are served."""
    with gradio.Accordion("Depth files", open=False, visible="depth" in service.served.modalities):
        return gradio.Dropdown([LEARNED, *METRES], value=LEARNED, label="What one step of a depth value means")


def dropped(path: str, depth_unit: str) -> Upload:
    """A file that was dropped on the page. RemodalError where it can't be read."""
    file = Path(path)
    try:
        return Upload(file.name, file.read_bytes(), None if depth_unit == LEARNED else depth_unit)
    except OSError as error:
        raise RemodalError(f"{file.name}: can't be read ({error.strerror}); drop it on the page again") from None
