"""What the tests of all trackers share: a small run, and the same run broken off on the way."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from remodal.learning.evaluate import Accuracy, accuracy
from remodal.learning.run import run
from remodal.learning.settings import RunSettings
from remodal.streams import StreamSettings
from remodal.trackers import Tracker

Told = Callable[..., dict[str, Any]]
TEXTS = {"tea": "hot tea", "ship": "a ship at sea", "rain": "rain and wind", "chess": "a game of chess"}
STEPS = [0, 1, 2, 3, 4]
"""Of the run: before learning, and after each of four tasks."""


@pytest.fixture(scope="session")
def sentences(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four classes of eight sentences."""
    root = tmp_path_factory.mktemp("tracked") / "sentences"
    for label, text in TEXTS.items():
        (root / "text" / label).mkdir(parents=True)
        for number in range(8):
            (root / "text" / label / f"{number}.txt").write_text(f"{text}, {number}")
    return root


@pytest.fixture
def out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a run; the working directory is the one above it, and the environment says nothing."""
    monkeypatch.chdir(tmp_path)
    for name in ("WANDB_MODE", "WANDB_API_KEY", "WANDB_PROJECT", "WANDB_DIR", "MLFLOW_TRACKING_URI",
                 "MLFLOW_EXPERIMENT_NAME", "TRACKIO_PROJECT", "TRACKIO_SPACE_ID", "TRACKIO_SERVER_URL"):  # fmt: skip
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("REMODAL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "run"


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whoever looks for another machine is found out, also where a library hides that it failed."""
    sought: list[object] = []

    def seek(host: object, *_: object, **__: object) -> None:
        sought.append(host)
        raise OSError("there is no network")

    connect = socket.socket.connect

    def connected(self: socket.socket, address: Any) -> None:
        if self.family != socket.AF_UNIX:
            seek(address)
        connect(self, address)

    monkeypatch.setattr("socket.getaddrinfo", seek)
    monkeypatch.setattr("socket.socket.connect", connected)
    yield
    assert sought == []


@pytest.fixture
def told(sentences: Path, out: Path, lite_cache: Path) -> Told:
    """``told(tracker)``: the run's results, after the tracker was told of it, or told the rest."""
    of_stream = StreamSettings(classes_per_task=1)
    settings = RunSettings(stream=str(sentences), method="nearest-mean", stream_options=of_stream)

    def tell(tracker: Tracker, **options: Any) -> dict[str, Any]:
        return run(settings, out, lite_cache, trackers=[tracker], resume=True, **options)

    return tell


@pytest.fixture
def broken_off(told: Told, monkeypatch: pytest.MonkeyPatch) -> Callable[[Tracker], None]:
    """``broken_off(tracker)``: Ctrl-C while the third task is measured; the checkpoint is of the second one."""

    def tell(tracker: Tracker) -> None:
        scored = 0

        def interrupted(*arguments: Any) -> Accuracy:
            nonlocal scored
            scored += 1
            if scored > 3 * len(TEXTS) + 1:
                raise KeyboardInterrupt
            return accuracy(*arguments)

        monkeypatch.setattr("remodal.learning.run.CHECKPOINT_SECONDS", 0.0)
        monkeypatch.setattr("remodal.learning.run.accuracy", interrupted)
        with pytest.raises(KeyboardInterrupt):
            told(tracker)
        monkeypatch.setattr("remodal.learning.run.accuracy", accuracy)

    return tell
