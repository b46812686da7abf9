"""``remodal rollback``: back to an earlier version of a saved model."""

from __future__ import annotations

from typing import Annotated

import typer


def command(
    model: Annotated[str, typer.Argument(help="A saved model's folder, or a run's folder.")],
    version: Annotated[
        int | None, typer.Argument(help="The version.", show_default="the one that the current one learned on from")
    ] = None,
    to: Annotated[int | None, typer.Option(help="The same.", show_default=False)] = None,
) -> None:
    """Make an earlier version the current one again; the one that is left stays, and can be gone back to.

    \b
    remodal rollback my-model
    remodal rollback my-model 3
    """
    from remodal.cli.console import results_console
    from remodal.errors import RemodalError
    from remodal.report.words import plural
    from remodal.saved import changing, located, roll_back

    if version is not None and to not in (None, version):
        raise RemodalError(f"found two versions, {version} and {to}; valid: one")
    folder = located(model)
    with changing(folder):
        now = roll_back(folder, to if version is None else version)
    results_console().print(f"{folder}: version {now.version}, {plural(len(now.about.classes), 'class')}")
