"""Calls that are Ray tasks: each once, on whichever machine is free, and again where that one died."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any, TypeVar

Done = TypeVar("Done")

RETRIES = 3
"""Of a task whose process died: it may be the task that kills it."""


def tasks(
    call: Callable[..., Done], arguments: Sequence[tuple[Any, ...]], *, gpus: float = 0, at_once: int | None = None
) -> Generator[tuple[int, Done | None], None, None]:
    """What ``call`` gives for each of the arguments, and their position, in the order in which they are done.

    None where its process died again and again. A CPU, and of GPUs so much, is one call's. at_once: calls at a time;
    None: as many as there are CPUs for. Closed before its end, it ends the calls.
    """
    import ray
    from ray.exceptions import RayError

    remote = ray.remote(call).options(num_cpus=1, num_gpus=gpus, max_retries=RETRIES)
    waiting = list(enumerate(arguments))[::-1]
    running: dict[Any, int] = {}
    try:
        while waiting or running:
            while waiting and (at_once is None or len(running) < at_once):
                at, those = waiting.pop()
                running[remote.remote(*those)] = at
            (ready,), _ = ray.wait(list(running))
            at = running.pop(ready)
            try:
                done: Done | None = ray.get(ready)
            except RayError as error:
                if (cause := getattr(error, "cause", None)) is not None:  # what the call itself raised
                    raise cause from error
                done = None
            yield at, done
    finally:
        for one in running:
            ray.cancel(one, force=True)
