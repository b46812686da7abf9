"""Each file in ``configs/`` is read, and opens with its command, and the time and memory that are expected."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from remodal.cli.asked import asked_for
from remodal.streams.datasets import combinations

CONFIGS = sorted((Path(__file__).parents[1] / "configs").glob("*.yaml"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_it_is_read_and_opens_with_its_command(path: Path) -> None:
    asked = asked_for({}, [], path)
    assert asked.stream == "data"
    opening = path.read_text(encoding="utf-8").partition("\nstream:")[0]
    assert all(line.startswith("#") for line in opening.splitlines())
    assert f"remodal run --config configs/{path.name}" in opening
    (prepared,) = re.findall(r"remodal data prepare (\S+) --root data", opening)
    assert prepared in combinations
    for told in ("ESTIMATE, not measured", "Time:", "Disk:" if "lite" not in path.name else "disk:", "Memory"):
        assert told in opening


def test_there_is_one_for_each_setting() -> None:
    assert {path.stem for path in CONFIGS} >= set(combinations.names())
