"""``remodal compare``: many runs of one stream, and one table of them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from remodal.cli.options import Cluster, Device, Dtype, Trackers

if TYPE_CHECKING:
    from rich.table import Table

    from remodal.comparison.collect import Finished
    from remodal.comparison.tables import Row

SHOWN = ("agnostic_last", "aware_last", "forgetting", "seconds")
SOME_FAILED = 1
STOPPED = 75
"""``EX_TEMPFAIL`` of sysexits.h: nothing is wrong, and the same command goes on."""
ON_A_GPU = 4
"""Runs side by side, by default: each takes a part of its memory."""


def command(
    stream: Annotated[str, typer.Option(help="A stream's name, a folder, its URL, or an address.")],
    methods: Annotated[str, typer.Option(help="Names separated by commas, or all.")] = "all",
    orders: Annotated[str, typer.Option(help="Some of random, sequential, mixed, blurry.")] = "random,sequential",
    seeds: Annotated[str, typer.Option(help="Whole numbers separated by commas.")] = "0,1,2,3,4",
    features: Annotated[str, typer.Option(help="shared, published, or both.")] = "shared",
    backbone: Annotated[
        str, typer.Option(help="The frozen model: a name, a model's folder or id, a file of towers.")
    ] = "lite",
    variant: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=METHOD", help="A method once more, under a name that --set can say; repeatable."),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="METHOD.KEY=VALUE",
            help="A setting of one method, or stream.KEY, backbone.KEY; repeatable.",
        ),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(
            metavar="METHOD[/FEATURES]", help="Whom to compare with.", show_default="remodal, else the first method"
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The table's folder.", show_default="runs/STREAM-table")] = None,
    extend: Annotated[
        list[Path] | None,
        typer.Option(metavar="TABLE", help="A finished table's folder: its runs aren't made again; repeatable."),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(min=1, help="Runs side by side, one thread each.", show_default="one a core; on a GPU at most 4"),
    ] = None,
    minutes: Annotated[
        float | None,
        typer.Option(min=0, help="End within so many; the same command goes on.", show_default="no end"),
    ] = None,
    tracker: Trackers = None,
    cluster: Cluster = None,
    device: Device = "cpu",
    dtype: Dtype = "float32",
) -> None:
    """Run every method on every order and seed, and leave one table with intervals, tests and figures.

    \b
    remodal compare --stream everyday
    remodal compare --stream everyday --methods all --orders random,sequential --seeds 0,1,2,3,4 --out runs/table
    remodal compare --stream everyday --methods comm,ridge --features shared,published --against ridge/shared
    remodal compare --stream path/to/folder --methods comm,ridge --set comm.steps=20 --set stream.classes_per_task=2
    remodal compare --stream everyday --backbone vit --set backbone.size=224 --device cuda --dtype bfloat16

    What a part of a method brings, beside the whole:

    \b
    remodal compare --stream everyday --methods comm --variant alone=comm --set alone.blend=false

    A method of one's own beside those of a finished table, whose runs are taken from it; settings must be the same:

    \b
    remodal compare --stream everyday --methods all --seeds 2 --extend benchmarks/results/everyday

    With --tracker mlflow, or another tracker, each run is one of its runs too; the table's folder names their group.

    Each run lies in its own folder, OUT/runs/ORDER-SEED-METHOD-FEATURES. The same command goes on where it was
    stopped, and with more methods, orders or seeds it runs what isn't there yet. A run that fails is named, the
    others go on, and the exit status is 1.

    With --engine ray each run is a task of a cluster, done again where a machine dies (docs/machines.md):

    \b
    REMODAL_SHARED=/net/features remodal compare --stream everyday --out /net/table --engine ray:10.0.0.1:6379

    On a machine that is lent for ten minutes at a time:

    \b
    until remodal compare --stream everyday --minutes 10; do [ $? -eq 75 ] || break; done

    When the time is over the runs that are going on stop, and the exit status is 75: the next command takes them up.
    The table is written when all runs are finished.
    """
    begun = time.time()
    from functools import partial

    import torch

    from remodal.backbones import Engine
    from remodal.cache import cache_folder
    from remodal.cli.console import progress_console, results_console, say
    from remodal.cli.machine import default_threads, physical_cores
    from remodal.cli.progress import shown_on
    from remodal.cli.spread import executed
    from remodal.errors import installed_with
    from remodal.streams.outside import name_of
    from remodal.trackers import open_trackers
    from remodal.training.parallel import ALONE

    with installed_with("experiments"):
        from remodal.comparison.page import write_table
        from remodal.comparison.plan import Plan, listed, methods_listed, run_folder, seeds_listed, variants_listed
        from remodal.comparison.processes import Pool, Processes
        from remodal.comparison.time_limit import time_limit
        from remodal.comparison.work import run_side_by_side
        from remodal.report.words import plural

    own, of_stream, of_backbone = _assigned(settings or [])
    variants = variants_listed(variant or [])
    plan = Plan(
        stream=stream,
        methods=(*methods_listed(methods), *variants),
        variants=variants,
        orders=tuple(listed(orders, "orders")),
        seeds=seeds_listed(seeds),
        features=tuple(listed(features, "features")),
        backbone=backbone,
        options=own,
        stream_options=of_stream,
        backbone_options=of_backbone,
    )
    engine = Engine.of(device, dtype)
    reference = plan.reference(against)
    folder = out or Path("runs") / f"{name_of(stream)}-table"
    others: list[Finished] = []
    if extend:
        from remodal.comparison.extended import taken

        others = taken(plan, folder, extend)
        say(f"{len(others):,} of {plural(len(plan.cells), 'run')} are taken from {', '.join(map(str, extend))}")
    told = partial(open_trackers, tuple(tracker or ()), folder.resolve().name)
    told()  # what isn't installed is better said before the first run
    torch.set_num_threads(default_threads())
    side_by_side = jobs or (physical_cores() if engine.device.type == "cpu" else min(ON_A_GPU, physical_cores()))
    asked = plan.settings(plan.cells[0])
    with shown_on(progress_console()) as progress, executed(cluster, asked, engine, ALONE) as execution:
        over = time_limit(minutes, begun)
        pool: Pool = Processes(side_by_side, cache_folder())
        if cluster is not None:
            from remodal.cluster.jobs import ClusterJobs

            pool = ClusterJobs(0 if engine.device.type == "cpu" else 1 / ON_A_GPU, jobs)
        runs = plan.runs(folder)
        for one in others:
            del runs[run_folder(folder, one.cell)]
        failed, left = run_side_by_side(runs, cache_folder(), pool, progress, over, engine, told, execution.stem_pass)
        if left:
            done = f"{len(plan.cells) - left - len(failed):,} of {plural(len(plan.cells), 'run')} are done"
            ill = f", {len(failed):,} failed" if failed else ""
            say(f"stopped: {done}{ill}; the same command goes on from here, and writes the table when all are")
            raise typer.Exit(SOME_FAILED if failed else STOPPED)
        if len(failed) == len(plan.cells):
            raise typer.Exit(SOME_FAILED)
        with progress.work("table", 1) as count:
            rows = write_table(plan, folder, reference, others)
            count()
    console = results_console()
    console.print(_summary(rows))
    console.print("aware: an item's modality is given; agnostic: it is not. Means over the seeds, with 95 % intervals")
    console.print(f"table: {folder / 'table.html'}")
    if failed:
        raise typer.Exit(SOME_FAILED)


def _assigned(assignments: list[str]) -> tuple[dict[str, dict[str, Any]], Any, dict[str, Any]]:
    """Settings of methods by their name, those of the stream, and those of the backbone."""
    from remodal.backbones.settings import BackboneSettings
    from remodal.cli.asked import assigned
    from remodal.errors import RemodalError
    from remodal.streams import StreamSettings

    own: dict[str, dict[str, Any]] = {}
    for name, value in assigned(assignments).items():
        method, dot, key = name.partition(".")
        if not dot:
            raise RemodalError(f"--set: found {name!r}; valid: METHOD.KEY=VALUE, such as comm.steps=20")
        own.setdefault(method, {})[key] = value
    of_stream, of_backbone = (own.pop(kind.prefix.rstrip("."), {}) for kind in (StreamSettings, BackboneSettings))
    return own, StreamSettings.checked(of_stream), of_backbone


def _summary(rows: list[Row]) -> Table:
    """The table in short."""
    from remodal.cli.console import table
    from remodal.comparison.tables import MEASURES, shown

    measures = [measure for measure in MEASURES if measure.name in SHOWN]
    return table(
        ["order", "method", "features", *(measure.title for measure in measures)],
        [[row.order, *row.contestant, *(shown(row.figures[m.name], m) for m in measures)] for row in rows],
        words=3,
    )
