"""The part of the page that corrects a model: what it has learned, and files to forget or to know by another name."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from typing import Any

import gradio

from remodal.errors import RemodalError
from remodal.serve import drawings
from remodal.serve.jobs import Job
from remodal.serve.page_parts import client_of, dropped, followed, unit_choice
from remodal.serve.service import Service
from remodal.serve.uploads import Upload

Shown = tuple[str, Any, str]
"""The classes, the choice among them, and how a job goes on."""


def correct(service: Service, tab: Any) -> None:
    """Below what teaches. tab: in which it is; the classes are listed when it is opened."""
    gradio.Markdown("## Taught by mistake?")
    table = gradio.HTML(elem_id="class-table")
    with gradio.Row():
        with gradio.Column():
            column = gradio.Dropdown([], label="Class")
            forget_class = gradio.Button("Forget this class")
        with gradio.Column():
            files = gradio.File(label="Files that it was taught, or their copies", file_count="multiple")
            unit = unit_choice(service)
            name = gradio.Textbox(label="Their right name")
            rename = gradio.Button("Give them this name", variant="primary")
            forget_files = gradio.Button("Forget these files")
    progress = gradio.HTML(elem_id="corrected")

    def listed() -> tuple[str, Any]:
        classes = service.served.classes()
        names = [f"{one['modality']}:{one['label']}" for one in classes]
        return drawings.classes(classes), gradio.Dropdown(names, value=None)

    async def shown(asked: Awaitable[Job]) -> AsyncIterator[Shown]:
        """How what was asked goes on, and the classes when it is through."""
        try:
            job = await asked
        except RemodalError as error:
            yield gradio.skip(), gradio.skip(), drawings.problem(str(error))
            return
        async for drawn in followed(job):
            yield gradio.skip(), gradio.skip(), drawn
        yield *listed(), drawn

    async def uploads(paths: list[str] | None, depth_unit: str) -> list[Upload]:
        return [dropped(path, depth_unit) for path in paths or []]

    async def without_class(chosen: str | None, request: gradio.Request) -> AsyncIterator[Shown]:
        async for one in shown(service.forget(client_of(request), [chosen] if chosen else [], [])):
            yield one

    async def without_files(paths: list[str] | None, depth_unit: str, request: gradio.Request) -> AsyncIterator[Shown]:
        async def asked() -> Job:
            return await service.forget(client_of(request), [], await uploads(paths, depth_unit))

        async for one in shown(asked()):
            yield one

    async def renamed(
        paths: list[str] | None, depth_unit: str, label: str, request: gradio.Request
    ) -> AsyncIterator[Shown]:
        async def asked() -> Job:
            sent = await uploads(paths, depth_unit)
            return await service.teach(client_of(request), [label], sent, kind="relabel")

        async for one in shown(asked()):
            yield one

    outputs = [table, column, progress]
    tab.select(listed, None, [table, column], api_visibility="private")
    forget_class.click(without_class, column, outputs, api_visibility="private")
    forget_files.click(without_files, [files, unit], outputs, api_visibility="private")
    rename.click(renamed, [files, unit, name], outputs, api_visibility="private")
