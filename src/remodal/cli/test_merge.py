"""``remodal merge``: what two places have learned, in one model."""

from __future__ import annotations

from pathlib import Path

from remodal.cli.conftest import Cli


def write_sentences(label: str, text: str) -> Path:
    """A folder of twelve sentences of one class."""
    folder = Path(f"on {label}") / "text" / label
    folder.mkdir(parents=True)
    for number in range(12):
        (folder / f"{number}.txt").write_text(f"{text}, {number}")
    return folder.parents[1]


def test_two_places_and_the_model_that_they_began_from(cli: Cli) -> None:
    cli("run", "--stream", write_sentences("tea", "hot tea"), "--threads", "1", "--out", "start")
    for label, text in (("ship", "a ship at sea"), ("rain", "rain and wind")):
        assert cli("update", "start", "--data", write_sentences(label, text), "--as", label).exit_code == 0
    done = cli("merge", "ship", "rain", "--base", "start", "--into", "all")
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[-1] == "all: 3 classes of 2 models"
    rows = [line.split() for line in done.stdout.splitlines() if " text " in line]
    assert [(row[0], row[-1]) for row in rows] == [("ship", "1.000"), ("rain", "1.000"), ("all", "1.000")]
    failed = cli("merge", "ship", "rain", "--into", "other")
    assert (failed.exit_code, failed.stderr.count("\n")) == (2, 1)
    assert failed.stderr.startswith("remodal: ship and rain: text was begun in one model, ")
