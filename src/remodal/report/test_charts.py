"""Charts: what is drawn where, on figures that one can check by eye."""

from __future__ import annotations

import re

import numpy as np

from remodal.report.charts import accuracy_over_tasks, confusion, drop_bar, extent, heat_map, waveform
from remodal.report.colours import COLOURS, colour


def paths(svg: str, kind: str) -> list[str]:
    return re.findall(rf'<path d="([^"]*)" class="[^"]*\b{kind}\b', svg)


def test_modalities_have_colours_of_their_own() -> None:
    assert len(set(COLOURS.values())) == len(COLOURS) == 5


def test_a_line_stops_where_the_method_cannot_say() -> None:
    matrix = [[None] * 3, [0.5, None, None], [None, None, None], [0.5, 0.5, 0.5]]
    (line,) = paths(accuracy_over_tasks(matrix, matrix, ["image"] * 3), "main")
    assert line.count("M") == 2
    assert "L" not in line


def test_points_carry_the_colour_of_the_task_just_learned() -> None:
    matrix = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]]
    svg = accuracy_over_tasks(matrix, matrix, ["depth", "text"])
    assert re.findall(r'<circle[^>]* fill="([^"]*)"', svg) == [colour("depth"), colour("text")]


def test_a_share_of_zero_is_drawn_and_none_is_not() -> None:
    svg = heat_map([[None, 0.0], [1.0, None], [1.0, 1.0]], ["image", "text"], ["cat", "dog"], "x")
    assert svg.count("h1v1h-1z") == 4
    assert 'fill-opacity="0.05"' in svg


def test_numbers_are_left_out_where_they_do_not_fit() -> None:
    count = 100
    svg = heat_map([[0.5] * count] * (count + 1), ["image"] * count, ["cat"] * count, "x")
    assert 'class="cell' not in svg
    assert svg.count("h1v1h-1z") == count * (count + 1)
    assert len(svg) < 250_000


def test_titles_are_escaped() -> None:
    assert "task 1, image: &lt;b&gt;" in heat_map([[0.1], [0.9]], ["image"], ["<b>"], "x")


def test_confusion_keeps_the_modalities_that_occur() -> None:
    svg = confusion(["image", "video", "text"], [[3, 0, 1], [0, 0, 0], [0, 0, 2]])
    assert re.findall(r">(\w+)</text>", svg) == ["image", "image", "3", "1", "text", "text", "0", "2"]
    assert "75.0 %" in svg


def test_nothing_forgotten_is_no_bar() -> None:
    assert "rect" not in drop_bar(0.0, 0.5, "image")
    assert "rect" not in drop_bar(None, 0.5, "image")
    assert 'width="69"' in drop_bar(0.25, 0.5, "image")


def test_silence_is_a_flat_line() -> None:
    (outline,) = re.findall(r'd="M([^"]*)z"', waveform(extent(np.zeros(5, np.float32)), "audio"))
    assert {point.split()[1] for point in outline.split("L")} == {"22.0"}
