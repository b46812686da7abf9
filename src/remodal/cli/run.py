"""``remodal run``: learn a stream, measure, and leave a run folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from remodal.cli.options import Cluster, Device, Dtype, Trackers


def command(
    assignments: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="KEY=VALUE",
            help="Settings of the method, of the stream as stream.KEY, of the backbone as backbone.KEY.",
        ),
    ] = None,
    stream: Annotated[str | None, typer.Option(help="A stream's name, a folder, its URL, or an address.")] = None,
    method: Annotated[str | None, typer.Option(help="What learns.", show_default="remodal")] = None,
    backbone: Annotated[
        str | None,
        typer.Option(help="The frozen model: a name, a model's folder or id, a file of towers.", show_default="lite"),
    ] = None,
    features: Annotated[
        str | None,
        typer.Option(help="shared: the backbone's own; published: its last layer alone.", show_default="shared"),
    ] = None,
    order: Annotated[
        str | None, typer.Option(help="random, sequential, mixed or blurry.", show_default="random")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of every draw.", show_default="0")] = None,
    out: Annotated[
        Path | None, typer.Option(help="The run's folder.", show_default="runs/STREAM-METHOD-ORDER-SEED")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run that the folder holds.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Stop at the first item that can't be used.")] = False,
    tracker: Trackers = None,
    config: Annotated[Path | None, typer.Option(help="A YAML file of the same names; the command line wins.")] = None,
    cluster: Cluster = None,
    device: Device = "cpu",
    dtype: Dtype = "float32",
    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads to compute with.", show_default="one a core, at most 8")
    ] = None,
) -> None:
    """Learn a stream task after task, measure after each, and leave a run folder with a report.

    \b
    remodal run --stream everyday
    remodal run --stream everyday --method ridge --order sequential --seed 1
    remodal run --stream everyday --order mixed stream.disguised=true
    remodal run --stream everyday --method comm steps=20 blend=false stream.classes_per_task=2
    remodal run --stream everyday --method comm --backbone vit backbone.prompt_from_layer=8
    remodal run --stream everyday --method comm --backbone vit --device cuda --dtype bfloat16
    remodal run --stream path/to/folder --out runs/mine --strict
    remodal run --stream "hf:beans?image=image&label=labels"      (docs/data.md: Parquet, WebDataset, S3)
    remodal run --config mine.yaml --seed 3
    remodal run --stream everyday --resume      (go on after a crash, bit for bit)

    On several machines, which read the same files and share their features (docs/machines.md):

    \b
    remodal run --stream everyday --engine ray
    REMODAL_SHARED=s3://bucket/features remodal run --stream s3://bucket/photos --engine ray:10.0.0.1:6379

    By several processes that train as one, on GPUs, cores or machines (docs/data-parallel.md):

    \b
    accelerate launch --num_processes 4 -m remodal run --stream everyday --backbone vit --device cuda
    accelerate launch --multi_gpu --num_processes 2 -m remodal run --stream everyday --method l2p      (two CPUs)

    The same numbers for a tracker, on this machine unless your environment says otherwise (docs/trackers.md):

    \b
    remodal run --stream everyday --tracker tensorboard --tracker mlflow
    WANDB_MODE=online remodal run --stream everyday --tracker wandb
    remodal run --stream everyday --resume --tracker trackio   (a finished run)

    A configuration file holds the same names, one a line:

    \b
    stream: everyday
    method: comm
    steps: 20
    stream.classes_per_task: 2
    """
    from functools import partial

    import torch

    from remodal.backbones import Engine
    from remodal.cache import cache_folder
    from remodal.cli.asked import asked_for
    from remodal.cli.console import progress_console, results_console
    from remodal.cli.machine import default_threads
    from remodal.cli.progress import shown_on
    from remodal.cli.spread import executed
    from remodal.cli.summary import print_summary
    from remodal.errors import RemodalError, installed_with
    from remodal.learning.follow import follow
    from remodal.learning.run import run
    from remodal.report import write_report
    from remodal.saved import write_run
    from remodal.trackers import open_trackers
    from remodal.training.launch import joined, own_engine

    with installed_with("experiments"):  # a run leaves its answers in Parquet: better said before it begins
        import pyarrow.parquet  # noqa: F401

    options = {
        "stream": stream,
        "method": method,
        "backbone": backbone,
        "features": features,
        "order": order,
        "seed": seed,
    }
    asked = asked_for(options, assignments or [], config)
    folder = out or default_out(asked.stream, asked.method, asked.order, asked.seed)
    engine = own_engine(Engine.of(device, dtype))
    with joined(engine) as team:
        torch.set_num_threads(threads or max(1, default_threads() // team.local_size))
        if cluster is not None and team.size > 1:
            raise RemodalError(f"found --engine {cluster} and {team.size} processes of a launcher; valid: one of them")
        if team.rank:
            follow(asked, cache_folder(), team, strict=strict, engine=engine)
            return
        told = open_trackers(tracker or [])
        with shown_on(progress_console()) as progress, executed(cluster, asked, engine, team) as execution:
            results = run(
                asked,
                folder,
                cache_folder(),
                resume=resume,
                strict=strict,
                engine=engine,
                progress=progress,
                keep=partial(write_run, folder / "model", asked),
                trackers=told,
                execution=execution,
            )
            with progress.work("report", 1) as count:
                report = write_report(folder)
                count()
    console = results_console()
    print_summary(results, console)
    console.print(f"report: {report}")


def default_out(stream: str, method: str, order: str, seed: int) -> Path:
    """Folder of a run that names none; of a stream that is a folder, the folder's own name counts.

    >>> default_out("everyday", "ridge", "random", 0).as_posix()
    'runs/everyday-ridge-random-0'
    """
    from remodal.streams.outside import name_of

    return Path("runs") / f"{name_of(stream)}-{method}-{order}-{seed}"
