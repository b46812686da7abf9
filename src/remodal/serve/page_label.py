"""The part of the page that asks for labels: of files without any, those that teach most, one key each."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

import gradio

from remodal.errors import RemodalError
from remodal.serve import drawings
from remodal.serve.labelling import Card, Sheet
from remodal.serve.page_parts import client_of, dropped, followed, unit_choice
from remodal.serve.service import Service
from remodal.suggesting import GUESSES

FIRST = 10
"""Files that are asked about where nothing else is said."""


def label_next(service: Service) -> None:
    """Files are dropped, those to label first come one after the other, and all labels are taught as one update."""
    files = gradio.File(label="Files without labels", file_count="multiple", height=200)
    unit = unit_choice(service)
    count = gradio.Number(FIRST, label="How many to label", precision=0, minimum=1, maximum=service.settings.files)
    begin = gradio.Button("What to label first?", variant="primary")
    said = gradio.HTML(elem_id="label-said")
    sheet = gradio.State(None)
    with gradio.Column(visible=False, elem_id="labelling") as labelling:
        card = gradio.HTML(elem_id="label-card")
        with gradio.Row():
            keys = [gradio.Button(elem_id=f"label-{key}", min_width=140) for key in range(1, GUESSES + 1)]
        with gradio.Row():
            name = gradio.Textbox(label="N: another class, then Enter", elem_id="label-name", max_lines=1)
            skip = gradio.Button("0: skip it", elem_id="label-skip")
            back = gradio.Button("⌫: one back", elem_id="label-back")
    teach = gradio.Button("Teach", variant="primary", visible=False, elem_id="label-teach")
    progress = gradio.HTML(elem_id="label-progress")
    shown = [sheet, said, labelling, card, *keys, name, back, teach]

    async def show(request: gradio.Request, now: Sheet, problem: str = "") -> list[Any]:
        """The card that is to be labelled."""
        buttons = [
            gradio.Button(
                f"{key}: {now.offered[key - 1]}" if key <= len(now.offered) else "", visible=key <= len(now.offered)
            )
            for key in range(1, GUESSES + 1)
        ]
        drawn = drawings.labelled(len(now.labelled), len(now.cards))
        if now.card is not None:
            upload = dropped(now.card.path, now.depth_unit)
            medium = await service.reader.draw(client_of(request), upload)
            drawn = drawings.card(now.card, upload.name, len(now.labels), len(now.cards), medium)
        taught = gradio.Button(f"Teach {len(now.labelled)}", visible=bool(now.labelled))
        return [
            now, problem and drawings.problem(problem), gradio.Column(visible=True), drawn, *buttons,
            "", gradio.Button(interactive=bool(now.labels)), taught,
        ]  # fmt: skip

    def refused(now: Sheet | None, problem: str) -> list[Any]:
        """Everything as it is, and what went wrong."""
        return [now, drawings.problem(problem), *[gradio.skip()] * (len(shown) - 2)]

    async def first(paths: list[str] | None, depth_unit: str, most: int | None, request: gradio.Request) -> list[Any]:
        try:
            uploads = [dropped(path, depth_unit) for path in paths or []]
            found = await service.asking.suggest(client_of(request), uploads, int(most or 0))
            if not found.chosen:
                problems = "; ".join(f"{one.path}: {one.reason}" for one in found.set_aside)
                raise RemodalError(problems or "nothing is left to label: the model knows these files already")
            chosen = tuple(Card.of((paths or [])[one.place], one) for one in found.chosen)
            answer = await show(request, Sheet(chosen, depth_unit))
        except RemodalError as error:
            return refused(None, str(error))
        answer[1] = drawings.left_out(found)
        return answer

    async def step(change: Callable[[Sheet], Sheet], now: Sheet | None, request: gradio.Request) -> list[Any]:
        if now is None:
            return refused(None, "nothing is being labelled; drop files first")
        try:
            now.keep()
            return await show(request, change(now))
        except RemodalError as error:
            return refused(now, str(error))

    def asked(change: Callable[[Sheet], Sheet]) -> Callable[..., Any]:
        """What a button does."""

        async def pressed(now: Sheet | None, request: gradio.Request) -> list[Any]:
            return await step(change, now, request)

        return pressed

    async def named(typed: str, now: Sheet | None, request: gradio.Request) -> list[Any]:
        return await step(lambda one: one.with_name(typed), now, request)

    async def taught(now: Sheet | None, request: gradio.Request) -> AsyncIterator[list[Any]]:
        try:
            if now is None or not now.labelled:
                raise RemodalError("nothing has a label yet")
            uploads = [dropped(path, now.depth_unit) for path, _ in now.labelled]
            job = await service.teach(client_of(request), [label for _, label in now.labelled], uploads)
        except RemodalError as error:
            yield [now, gradio.skip(), gradio.skip(), drawings.problem(str(error))]
            return
        async for drawn in followed(job):
            yield [now, gradio.skip(), gradio.skip(), drawn]
        if job.state == "done":
            yield [None, gradio.Column(visible=False), gradio.Button(visible=False), drawn]

    gradio.on([begin.click], first, [files, unit, count], shown, api_visibility="private")
    for key, button in enumerate(keys):
        button.click(asked(partial(Sheet.with_offered, key=key)), sheet, shown, api_visibility="private")
    name.submit(named, [name, sheet], shown, api_visibility="private")
    skip.click(asked(Sheet.skipped), sheet, shown, api_visibility="private")
    back.click(asked(Sheet.back), sheet, shown, api_visibility="private")
    teach.click(taught, sheet, [sheet, labelling, teach, progress], api_visibility="private")
