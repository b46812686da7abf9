"""One run of a table, in whichever process it falls to.

A process keeps the backbone and the tasks of one (order, seed) until a run needs others.
"""

from __future__ import annotations

import gc
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch

from remodal.backbones import Backbone, Engine, registered
from remodal.errors import RemodalError, Stopped, TrackerFailed
from remodal.learning.checkpoint import Stop
from remodal.learning.opening import open_stream_for
from remodal.learning.prepare import PreparedStream
from remodal.learning.run import run
from remodal.learning.settings import RunSettings
from remodal.settings import Settings
from remodal.streams import StreamSettings
from remodal.trackers import Tracker


class Ran(NamedTuple):
    """What became of a run. line: accuracy at the end and seconds of learning, or why it failed.

    told: of trackers that failed.
    """

    end: Literal["finished", "failed", "stopped", "not begun"]
    line: str = ""
    told: tuple[str, ...] = ()


@dataclass(frozen=True)
class Job:
    """A run to be done.

    over: whether the time is. with_tokens: names of the towers whose items' tokens a run of the table needs. trackers:
    makes those that are told of it.
    """

    settings: RunSettings
    folder: Path
    over: Stop
    engine: Engine | None
    with_tokens: frozenset[str]
    trackers: Callable[[], Sequence[Tracker]]

    def run(self, cache: Path) -> Ran:
        """Run it, with one thread; failures of trackers are kept: a pool's process has no one to say them to."""
        torch.set_num_threads(1)
        told: list[str] = []
        with warnings.catch_warnings():
            shown = warnings.showwarning

            def keep(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
                if issubclass(category, TrackerFailed):
                    told.append(str(message))
                else:
                    shown(message, category, *where, **more)

            warnings.showwarning = keep
            return self._ran(cache)._replace(told=tuple(told))

    def _ran(self, cache: Path) -> Ran:
        """Its errors come back as text: not every exception finds its way from one process to another."""
        if self.over():
            return Ran("not begun")
        try:
            opened = self._opened(cache)
            # hundreds of models would fill a disk: none is kept
            found = run(
                self.settings, self.folder, cache, resume=True, engine=self.engine, opened=opened, stop=self.over,
                trackers=self.trackers(),
            )  # fmt: skip
        except Stopped:
            return Ran("stopped")
        except RemodalError as error:
            return Ran("failed", " ".join(str(error).split()))
        except Exception as error:  # the others can do without this one
            return Ran("failed", f"{type(error).__name__}: {' '.join(str(error).split())}")
        finally:
            share_gpu()
        shares = (found["summary"][kind]["last"] for kind in ("aware", "agnostic"))
        aware, agnostic = ("–" if share is None else f"{share:.3f}" for share in shares)
        seconds = found["cost"]["seconds"]["learn"]
        return Ran("finished", f"modality given {aware}, not given {agnostic}, {seconds:.1f} s")

    def _opened(self, cache: Path) -> tuple[Backbone, PreparedStream]:
        asked = self.settings
        of_backbone = registered(asked.backbone).options.checked(asked.backbone_options)
        shared = _opened(
            asked.stream, asked.order, asked.seed, asked.stream_options, asked.backbone, of_backbone, self.engine,
            cache, self.with_tokens,
        )  # fmt: skip
        return shared[asked.features]


def share_gpu() -> None:
    """What this process holds of a GPU and no longer needs is the other processes' now."""
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        gc.collect()
        torch.cuda.empty_cache()


@lru_cache(maxsize=1)  # what a process remembers between its runs
def _opened(
    stream: str,
    order: str,
    seed: int,
    of_stream: StreamSettings,
    backbone: str,
    of_backbone: Settings,
    engine: Engine | None,
    cache: Path,
    with_tokens: frozenset[str],
) -> dict[str, tuple[Backbone, PreparedStream]]:
    """What the runs with these settings share, by kind of features."""
    _opened.cache_clear()  # or the last runs' would be held beside it
    share_gpu()
    own = of_backbone.model_dump()
    asked = RunSettings(
        stream=stream, order=order, seed=seed, backbone=backbone, stream_options=of_stream, backbone_options=own
    )
    shared, prepared = open_stream_for(
        asked, cache, engine=engine, needs_tokens=lambda tower: tower.name in with_tokens
    )
    views = {"shared": shared, "published": shared.published()}
    for view in views.values():
        # here once, and not in the seconds of whichever method comes first
        view.anchors([name for task in prepared.tasks for name in task.train.classes])
    return {name: (view, prepared) for name, view in views.items()}
