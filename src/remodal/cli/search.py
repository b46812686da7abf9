"""``remodal search``: find stored media by words or by another medium."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from remodal.cli.options import TrustBackbone


def command(
    index: Annotated[str, typer.Argument(help="What remodal index made.")],
    words: Annotated[str | None, typer.Argument(help="What to look for, in words.")] = None,
    file: Annotated[Path | None, typer.Option(help="What to look for, as a file of any modality.")] = None,
    modality: Annotated[
        str | None, typer.Option(help="Of what is found: image,audio for example.", show_default="any")
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="How many.")] = 10,
    windows: Annotated[bool, typer.Option("--windows", help="Each window of a long file by itself.")] = False,
    only_sure: Annotated[bool, typer.Option("--only-sure", help="None that is no nearer than chance.")] = False,
    model: Annotated[str | None, typer.Option(help="The model.", show_default="the one it was made with")] = None,
    depth_unit: Annotated[
        str | None, typer.Option(help="mm, cm, m or sunrgbd: of --file.", show_default="what the model learned from")
    ] = None,
    trust_backbone: TrustBackbone = None,
    json: Annotated[bool, typer.Option("--json", help="Write one JSON object a line.")] = False,
) -> None:
    """Find stored media of any modality by words, or by another medium.

    Of a sound of more than a minute, or a clip of more than 30 seconds, the moment is found: it stands behind the
    file's name, from when to when. Such a file comes once, with its best moment; --windows shows the others too.

    Something is always nearest. What is no nearer than files of other classes come by chance is marked with a ?.

    \b
    remodal search holiday.index "a barking dog"
    remodal search holiday.index --file bark.wav --modality image,video --top 5
    remodal search holiday.index "a submarine" --only-sure
    remodal search talks.index "applause" --windows --top 30    (every moment, not one a file)
    """
    import json as to_json
    import shlex

    from remodal.cli.console import results_console, say, table, write_line
    from remodal.errors import RemodalError
    from remodal.modalities import get_modality
    from remodal.model import Model
    from remodal.search import Chance, Index, Query

    if (words is None) == (file is None):
        raise RemodalError("give either words or --file, not both and not neither")
    wanted = [get_modality(name.strip()).name for name in modality.split(",")] if modality else []
    opened = Index.open(index)
    loaded = Model.load(model or opened.about.model, trust_backbone=trust_backbone)
    opened = opened.of(loaded.backbone.fingerprint)
    if file is not None:
        (answer,) = loaded.answers([file], depth_unit=depth_unit)
        query = Query.of_medium(answer)
    else:
        query = Query.of_words(words or "", loaded)
    nearest = opened.search(query.place.tolist(), wanted, top, windows=windows)
    found = Chance.within(opened, loaded, wanted).marked(query, nearest)
    sure = [hit for hit in found if hit.sure is not False]
    hits = sure if only_sure else found
    if json:
        for hit in hits:
            write_line(to_json.dumps(hit._asdict(), ensure_ascii=False))
    else:
        files = [hit.path if hit.span is None else f"{hit.path}  {hit.span}" for hit in hits]
        rows = [
            (hit.modality, hit.label, file, hit.nearness, "?" if hit.sure is False else "")
            for hit, file in zip(hits, files, strict=True)
        ]
        results_console().print(table(["modality", "likeliest class", "file", "nearness", ""], rows, words=3))
    if found and not sure:
        say("nothing fits: what is nearest is no nearer than what is found by chance")
    if stale := sum(opened.stale(loaded.lineage).values()):
        again = shlex.join(["remodal", "index", model or opened.about.model, "--into", index, "--refresh"])
        say(
            f"{stale:,} of {len(opened):,} stored {opened.count().kinds} were embedded by an earlier version of the "
            f"model, and may be found less well; embed them again: {again}"
        )
