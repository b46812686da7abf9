"""``remodal versions``: the versions of a saved model."""

from __future__ import annotations

from typing import Annotated

import typer


def command(
    model: Annotated[str, typer.Argument(help="A saved model's folder, or a run's folder.")],
    keep: Annotated[
        int | None, typer.Option(min=1, help="Remove all but the newest so many.", show_default="all stay")
    ] = None,
    log: Annotated[bool, typer.Option("--log", help="What was done when, also of versions that were removed.")] = False,
) -> None:
    """List a model's versions, with their accuracy on what each holds out.

    With --keep, older ones are removed first, with what no other version shares of their files. The current version
    always stays.

    \b
    remodal versions my-model
    remodal versions my-model --keep 3
    remodal versions my-model --log            (what it learned and forgot, when and from where)
    """
    from remodal.cli.console import in_counts, results_console, table
    from remodal.modalities import MODALITIES
    from remodal.saved import changing, current_version, forget, history, located, versions

    folder = located(model)
    console = results_console()
    if keep is not None:
        with changing(folder):
            removed = forget(folder, keep)
        console.print(f"removed: {', '.join(map(str, removed)) or 'none'}")
    current = current_version(folder)
    listed = versions(folder)
    if log:
        there = {one.version: "current" if one.version == current else "" for one in listed}
        done = [(one.time, one.version, there.get(one.version, "removed"), one.note) for one in history(folder)]
        console.print(table(["time (UTC)", "version", "", "what was done"], done, words=4))
        return
    known = [name for name in MODALITIES if any(name in one.about.accuracy for one in listed)]
    rows = []
    for one in listed:
        accuracy = one.about.accuracy
        of_modalities = [accuracy[name].agnostic if name in accuracy else None for name in known]
        mark = "current" if one.version == current else ""
        rows.append((one.version, mark, one.made, one.parent, len(one.about.classes), *of_modalities))
    console.print(table(["version", "", "made (UTC)", "from", "classes", *known], rows, words=3))
    for one in listed:
        if one.note:
            console.print(f"version {one.version}: {one.note}")
    (now,) = [one for one in listed if one.version == current]
    measured = {name: one for name, one in now.about.accuracy.items() if one.agnostic is not None}
    counts = [(name, *in_counts(round((one.agnostic or 0) * one.items), one.items)) for name, one in measured.items()]
    console.print(f"accuracy on held-out items, the modality not given; of version {current} as counts:")
    console.print(table(["modality", "right", "95 % interval"], counts))
