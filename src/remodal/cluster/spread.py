"""Parts of a work, spread over a cluster by Ray Data, whose workers keep what they have loaded from part to part.

A part is done at least once: where a machine dies, its parts go to the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from remodal.cluster.session import Cluster, quiet
from remodal.errors import RemodalError, in_one_line

Part = TypeVar("Part")
Done = TypeVar("Done")
Work = Callable[[Part], Done]


def spread(
    cluster: Cluster, make: Callable[[], Work[Part, Done]], parts: Sequence[Part], *, cpus: int = 1, gpus: float = 0
) -> Iterator[tuple[int, Done]]:
    """What the work gives for each part, and its position, in the order in which they are done.

    make: called once in each worker. cpus, gpus: that a worker needs.

    Raises:
        RemodalError: As the work raised it; or a worker failed otherwise.
    """
    import ray.data
    from ray import cloudpickle

    quiet()  # importing it has made it talk again

    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    rows = [{"at": at, "part": cloudpickle.dumps(part)} for at, part in enumerate(parts)]
    if not rows:
        return
    hands = ray.data.ActorPoolStrategy(min_size=1, max_size=min(len(rows), cluster.hands(cpus, gpus)))
    data = ray.data.from_items(rows, override_num_blocks=len(rows)).map(
        _Worker, fn_constructor_args=(cloudpickle.dumps(make),), compute=hands, num_cpus=cpus, num_gpus=gpus
    )
    with in_one_line("a worker of the cluster failed"):
        for row in data.iter_rows():
            if row["problem"]:
                raise RemodalError(row["problem"])
            yield int(row["at"]), cloudpickle.loads(row["done"])


class _Worker:
    """Lives in a process of the cluster. Errors of ours come back as text: Ray would wrap them in its own."""

    def __init__(self, make: bytes) -> None:
        self._make = make
        self._work: Work[Any, Any] | None = None

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        from ray import cloudpickle

        try:
            if self._work is None:
                self._work = cloudpickle.loads(self._make)()
            done, problem = cloudpickle.dumps(self._work(cloudpickle.loads(row["part"]))), ""
        except RemodalError as error:
            done, problem = b"", str(error)
        return {"at": row["at"], "done": done, "problem": problem}
