"""Bars where somebody watches, lines where nobody does."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from remodal.cli import progress as module
from remodal.cli.progress import Bars, Lines, shown_on


def test_a_terminal_gets_bars_and_a_file_lines() -> None:
    assert isinstance(shown_on(Console(file=io.StringIO(), force_terminal=True, force_interactive=True)), Bars)
    assert isinstance(shown_on(Console(file=io.StringIO())), Lines)


def test_lines_tell_when_work_ends_and_leave_its_stages_out() -> None:
    file = io.StringIO()
    with shown_on(Console(file=file)) as progress, progress.work("tasks", 2) as task_done:
        for number in (1, 2):
            with progress.work("adapt", 9) as step_done:
                step_done(9)
            task_done()
            progress.note(f"task {number}: image [red]")
    text = re.sub(r"\d+\.\d s", "0.0 s", file.getvalue())
    assert text == "task 1: image [red]\ntask 2: image [red]\ntasks: 2 in 0.0 s\n"


def test_long_work_speaks_now_and_then_with_the_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 1000, 3))  # three seconds a step
    monkeypatch.setattr(module.time, "monotonic", lambda: float(next(clock)))
    file = io.StringIO()
    with shown_on(Console(file=file)) as progress, progress.work("stem", 10) as count:
        for _ in range(10):
            count()
    assert file.getvalue().splitlines() == [
        "stem: 4 of 10, 18 s left",
        "stem: 8 of 10, 6 s left",
        "stem: 10 in 33.0 s",
    ]


def test_what_was_done_before_does_not_shorten_the_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 1000, 20))
    monkeypatch.setattr(module.time, "monotonic", lambda: float(next(clock)))
    file = io.StringIO()
    with shown_on(Console(file=file)) as progress, progress.work("tasks", 10) as count:
        count(7)
        count()
    assert file.getvalue().splitlines()[0] == "tasks: 8 of 10, 40 s left"


def test_bars_give_all_stages_one_line() -> None:
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, force_interactive=True, width=100, color_system=None)
    with shown_on(console) as progress:
        assert isinstance(progress, Bars)
        with progress.work("tasks", 2) as task_done:
            for _ in range(2):
                for stage in ("adapt", "re-align", "evaluate"):
                    with progress.work(stage, 3) as step_done:
                        step_done(3)
                    assert len(progress._bars.tasks) == 2
                task_done()
        with progress.work("report", 1) as count:
            count()
    names = [task.description.strip() for task in progress._bars.tasks]
    assert names == ["tasks", "report"]
    assert all(task.finished for task in progress._bars.tasks)
