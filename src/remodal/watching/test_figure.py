"""Accuracy over time is drawn from the log."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from remodal.errors import RemodalError
from remodal.saved import current_description
from remodal.watching import entries
from remodal.watching.conftest import Once
from remodal.watching.figure import draw, over_time


def test_a_line_a_modality_and_a_picture_of_it(
    once: Once, arrive: Callable[..., Path], saved: Path, tmp_path: Path
) -> None:
    for number in range(5):
        arrive(f"text/warm/{number}.txt")
        arrive(f"image/cold/{number}.png", as_=f"image/blue/{number}.png")
        once(saved)
    logged = list(entries(saved, current_description(saved).about.arrived))
    above, below = over_time(logged).axes
    assert below.lines[0].get_ydata()[-1] == sum(len(one.learned) for one in logged)
    drawn = {line.get_ydata()[-1] for line in above.lines if line.get_linestyle() == "-"}
    assert drawn == {one.agnostic for one in logged[-1].accuracy.values()}
    with Image.open(draw(saved, tmp_path / "accuracy.png")) as picture:
        assert picture.format == "PNG"


def test_what_cannot_be_drawn_is_one_line(saved: Path, tmp_path: Path) -> None:
    with pytest.raises(RemodalError, match="found nothing that was learned as it arrived"):
        draw(saved, tmp_path / "accuracy.png")
    with pytest.raises(RemodalError, match=r"found the ending '.gif'; valid: .pdf, .png, .svg"):
        draw(saved, tmp_path / "accuracy.gif")
