"""The page at ``/``: drop any medium and see what it is, search, teach a class, correct, label, go back.

Built of Gradio's parts; everything it loads comes from this server.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, cast

import gradio
from fastapi import FastAPI
from starlette.routing import Mount

from remodal.errors import RemodalError
from remodal.search import Hit
from remodal.serve import drawings
from remodal.serve.page_calls import PageCalls
from remodal.serve.page_correct import correct
from remodal.serve.page_label import label_next
from remodal.serve.page_parts import ANY, client_of, dropped, followed, unit_choice
from remodal.serve.service import Service
from remodal.serve.turns import Client
from remodal.serve.uploads import Upload

HERE = Path(__file__).parent
NEAREST = 6
"""Stored files shown beside an answer."""
FOUND = 24
"""Stored files that a search shows."""
TOP = 5
SAID = {
    "image": "a picture", "video": "a clip", "audio": "a recording", "depth": "a depth map", "text": "a sentence",
}  # fmt: skip
"""What a page says of a modality."""


def mounted(app: FastAPI, service: Service) -> FastAPI:
    """``app`` with the page at its root."""
    with gradio.Blocks(title="remodal", analytics_enabled=False, delete_cache=(600, 600)) as blocks:
        *first, last = (SAID[one] for one in service.served.modalities)
        gradio.Markdown(f"# remodal\nOne model: drop {' or '.join([', '.join(first), last] if first else [last])}.")
        with gradio.Tab("Ask", id="ask"):
            _ask(service)
        if service.searching.index is not None:
            with gradio.Tab("Search", id="search"):
                _search(service)
        with gradio.Tab("Teach", id="teach") as tab:
            _teach(service)
            correct(service, tab)
        with gradio.Tab("Label", id="label"):
            label_next(service)
        with gradio.Tab("Versions", id="versions") as tab:
            _versions(service, tab)
    # what waits, waits in the server's own queues, where clients take turns
    blocks.queue(max_size=service.settings.waiting, default_concurrency_limit=None, api_open=False)
    theme = gradio.themes.Default(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"])
    page = gradio.mount_gradio_app(
        app,
        blocks,
        path="/",
        footer_links=[],
        run_history=False,
        max_file_size=service.settings.upload_bytes,
        ssr_mode=False,
        theme=theme,
        css_paths=HERE / "page.css",
        head=f"<script>{(HERE / 'keys.js').read_text()}</script>",
        show_error=True,
    )
    # Gradio refuses files that nobody uploaded only where it was launched, which mounting isn't
    blocks.has_launched = True
    mount = page.routes[-1]
    assert isinstance(mount, Mount)
    mount.app = PageCalls(mount.app, blocks, service.settings.connections // 2)
    return cast(FastAPI, page)


def _ask(service: Service) -> None:
    with gradio.Row():
        with gradio.Column():
            file = gradio.File(label="A file of any modality")
            served = service.served.modalities
            sound = gradio.Audio(
                sources=["microphone"], type="filepath", label="Or record a sound", visible="audio" in served
            )
            sentence = gradio.Textbox(label="Or a sentence", lines=2, visible="text" in served)
            unit = unit_choice(service)
            ask = gradio.Button("What is it?", variant="primary")
        with gradio.Column():
            told = gradio.HTML(label="Read as", elem_id="read-as")
            modalities = gradio.Label(label="Modality", num_top_classes=TOP, elem_id="modalities")
            classes = gradio.Label(label="Class", num_top_classes=TOP, elem_id="classes")
    nearest = gradio.HTML(elem_id="nearest")

    async def answer(
        path: str | None, recorded: str | None, text: str, depth_unit: str, request: gradio.Request
    ) -> tuple[Any, ...]:
        client = client_of(request)
        chosen = path or recorded
        try:
            upload = dropped(chosen, depth_unit) if chosen else Upload(text[:40], text.encode())
            (said,) = await service.asking.answers(client, [upload], top=TOP)
            found = said.answer
            if found.place is None:
                raise RemodalError(f"{upload.name}: {found.problem}")
            hits = await service.searching.near(found.place, top=NEAREST) if service.searching.index is not None else []
            shown = drawings.medium(await service.reader.draw(client, upload), unfamiliar=found.unfamiliar)
            cards = await _cards(service, client, "Nearest stored items", hits)
        except RemodalError as error:
            return drawings.problem(str(error)), None, None, ""
        best = {f"{one.label} ({one.modality})": one.probability for one in found.best}
        return shown, found.modalities, best, cards

    inputs = [file, sound, sentence, unit]
    outputs = [told, modalities, classes, nearest]
    gradio.on([ask.click, sentence.submit], answer, inputs, outputs, api_visibility="private")
    gradio.on([file.upload, sound.stop_recording], answer, inputs, outputs, api_visibility="private")


def _search(service: Service) -> None:
    with gradio.Row():
        words = gradio.Textbox(label="What to look for, in words", scale=3)
        file = gradio.File(label="Or a file", scale=1, height=120)
    kinds = gradio.CheckboxGroup(list(service.served.modalities), label="Only these (none: all)")
    unit = unit_choice(service)
    look = gradio.Button("Search", variant="primary")
    found = gradio.HTML(elem_id="found")

    async def search(
        text: str, path: str | None, modalities: list[str], depth_unit: str, request: gradio.Request
    ) -> str:
        client = client_of(request)
        try:
            hits = await service.searching.search(
                client, dropped(path, depth_unit) if path else text, modalities, FOUND
            )
            stale = await service.searching.stale()
            sure = any(hit.sure is not False for hit in hits)
            title = f"{len(hits)} nearest" if sure else f"Nothing fits. The {len(hits)} nearest:"
            cards = await _cards(service, client, title, hits)
        except RemodalError as error:
            return drawings.problem(str(error))
        return drawings.stale(stale) + cards

    gradio.on([look.click, words.submit], search, [words, file, kinds, unit], found, api_visibility="private")


def _teach(service: Service) -> None:
    name = gradio.Textbox(label="Name of the class")
    modality = gradio.Dropdown([ANY, *service.served.modalities], value=ANY, label="Modality")
    files = gradio.File(label="Files to learn it from", file_count="multiple")
    unit = unit_choice(service)
    learn = gradio.Button("Learn", variant="primary")
    progress = gradio.HTML(elem_id="progress")

    async def teach(
        label: str, kind: str, paths: list[str] | None, depth_unit: str, request: gradio.Request
    ) -> AsyncIterator[str]:
        try:
            uploads = [dropped(path, depth_unit) for path in paths or []]
            job = await service.teach(client_of(request), [label], uploads, None if kind == ANY else kind)
        except RemodalError as error:
            yield drawings.problem(str(error))
            return
        async for drawn in followed(job):
            yield drawn

    learn.click(teach, [name, modality, files, unit], progress, api_visibility="private")


def _versions(service: Service, tab: Any) -> None:
    table = gradio.HTML(elem_id="version-table")
    chosen = gradio.Dropdown([], label="Version")
    back = gradio.Button("Go back to this version")
    said = gradio.HTML(elem_id="went-back")

    async def listed() -> tuple[str, Any]:
        versions = await service.versions()
        others = [str(one["version"]) for one in versions if not one["current"]]
        return drawings.versions(versions), gradio.Dropdown(others, value=others[-1] if others else None)

    async def go_back(version: str | None) -> tuple[str, Any, str]:
        try:
            if version is None:
                raise RemodalError("there is no other version")
            now = await service.roll_back(int(version))
            message = drawings.note(f"Version {now} answers now.")
        except RemodalError as error:
            message = drawings.problem(str(error))
        return *await listed(), message

    tab.select(listed, None, [table, chosen], api_visibility="private")
    back.click(go_back, chosen, [table, chosen, said], api_visibility="private")


async def _cards(service: Service, client: Client, title: str, hits: Sequence[Hit]) -> str:
    drawn = await asyncio.gather(*(service.searching.draw(client, hit) for hit in hits))
    return drawings.hits(title, list(zip(hits, drawn, strict=True)))
