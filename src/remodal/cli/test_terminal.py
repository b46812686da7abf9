"""Nothing that comes from files, models or servers steers the terminal that a command writes to."""

from __future__ import annotations

import csv
import json
import os
import shutil
from io import StringIO
from pathlib import Path

import pytest
from typer.testing import CliRunner

from remodal.cli import app
from remodal.cli.answers import csv_row
from remodal.cli.conftest import Cli

CLEAR, COLOUR, TITLE, TURN = "\x1b[2J", "\x9b31m", "\x1b]0;yours\x07", "\u202e"
ATTACKS = (CLEAR, COLOUR, "\x1b]0;", "\x07", TURN, "\udce9", "\u009b")


@pytest.fixture
def hostile(own_data: Path, folder: Path) -> Path:
    """Files, classes and a manifest's rows that are named to steer a terminal."""
    for modality, name in (("image", f"{CLEAR}.png"), ("image", f"{TURN}gnp.png"), ("image", f"a\n{TITLE}.png")):
        shutil.copy(own_data / modality / "red/0.png", own_data / modality / "red" / name)
    (own_data / "image/red" / f"cut{COLOUR}.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
    (own_data / "text" / f"{CLEAR}class").mkdir()
    (own_data / "text" / f"{CLEAR}class" / "a.txt").write_text("a class with a bad name")
    (own_data / f"{TITLE}modality").mkdir()
    shutil.copy(own_data / "image/red/0.png", os.fsdecode(os.fsencode(own_data / "image/red") + b"/caf\xe9.png"))
    return own_data


@pytest.fixture(params=["pipe", "terminal"])
def screen(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where the commands write to: rich draws for a terminal where it is told so."""
    if request.param == "terminal":
        monkeypatch.setenv("FORCE_COLOR", "1")
    return str(request.param)


def told(result: object) -> str:
    """All that a command has written; none of it an attack."""
    said = result.stdout + result.stderr
    assert "Traceback" not in said
    for attack in ATTACKS:
        assert attack not in said, (attack, said)
    return said


@pytest.mark.usefixtures("screen")
def test_a_hostile_folder_steers_nothing(cli: Cli, hostile: Path, saved: Path) -> None:
    run = cli("run", "--stream", hostile, "--method", "nearest-mean", "--threads", 1, "--out", f"x{CLEAR}")
    assert run.exit_code == 0, run.output
    assert r"\u001b[2Jclass" in told(run)
    told(cli("report", f"x{CLEAR}"))
    told(cli("run", "--stream", hostile, "--method", "nearest-mean", "--out", f"x{CLEAR}"))
    told(cli("run", "--stream", hostile, "--method", "nearest-mean", "--out", "y", "--strict"))
    for command in (("data", "verify", hostile), ("data", "info", hostile), ("data", "verify", f"{hostile}{CLEAR}")):
        told(cli(*command))
    assert r"\u202egnp.png" in told(cli("predict", saved, hostile / "image"))
    assert "caf\\udce9.png: found a file name that isn't UTF-8" in told(cli("index", saved, hostile, "--into", "i"))
    assert r"\u001b[2J.png" in told(cli("search", "i", "red", "--top", 20))
    told(cli("search", f"i{CLEAR}", "red"))
    told(cli("update", saved, "--data", hostile))
    told(cli("predict", saved, f"{CLEAR}.png"))
    told(cli("predict", f"{CLEAR}model", "x"))
    told(cli("run", f"--{TITLE}", "x"))
    told(cli("run", "--stream", f"{CLEAR}everyday"))
    told(cli("run", "--stream", "everyday", f"{CLEAR}=3"))


@pytest.mark.usefixtures("screen")
def test_a_hostile_models_description_steers_nothing(cli: Cli, saved: Path) -> None:
    config = saved / "config.json"
    description = json.loads(config.read_text())
    config.write_text(json.dumps({**description, "made": f"{CLEAR}{TITLE}now"}))
    told(cli("versions", saved))
    for broken in ({"method": f"{CLEAR}ridge"}, {"features": COLOUR}, {"classes": [["image", CLEAR]]}):
        config.write_text(json.dumps({**description, "about": {**description["about"], **broken}}))
        told(cli("predict", saved, "x.png"))
        told(cli("versions", saved))


def test_json_says_what_the_name_is(cli: Cli, hostile: Path, saved: Path) -> None:
    done = cli("predict", saved, hostile / "image", "--json")
    told(done)
    names = {Path(json.loads(line)["medium"]).name for line in done.stdout.splitlines()}
    assert {f"{CLEAR}.png", f"{TURN}gnp.png", f"a\n{TITLE}.png", "caf\udce9.png"} <= names


def test_csv_is_rows_of_printable_cells_that_no_spreadsheet_computes(cli: Cli, hostile: Path, saved: Path) -> None:
    shutil.copy(hostile / "image/red/0.png", "=cmd|' \u0007C calc'!A0.png")
    done = cli("predict", saved, hostile / "image", "=cmd|' \u0007C calc'!A0.png", "--csv", "--top", 1)
    told(done)
    rows = list(csv.DictReader(StringIO(done.stdout)))
    assert rows[-1]["medium"] == r"'=cmd|' \u0007C calc'!A0.png"
    assert all(row["medium"] for row in rows)
    assert csv_row(["-1+1", "@SUM(1)", "+1", 0.5, "fine"]) == "'-1+1,'@SUM(1),'+1,0.5,fine"


EMOJI, WORD = "cat \U0001f431", "\u732b"


@pytest.fixture
def abroad(own_data: Path) -> Path:
    """A class and a file whose names most terminals' encodings lack."""
    (own_data / "image/red").rename(own_data / "image" / EMOJI)
    (own_data / "image" / EMOJI / "0.png").rename(own_data / "image" / EMOJI / f"{WORD}.png")
    return own_data


@pytest.mark.usefixtures("cli")
@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_a_terminal_that_lacks_a_letter_gets_its_escape(abroad: Path, encoding: str, tmp_path: Path) -> None:
    def narrow(*arguments: object) -> str:
        done = CliRunner(charset=encoding).invoke(app, [str(one) for one in arguments])
        assert done.exit_code == 0, done.output
        said = done.stdout_bytes + done.stderr_bytes
        assert said.isascii() or encoding != "ascii"
        return said.decode(encoding)

    said = narrow("run", "--stream", abroad, "--method", "nearest-mean", "--threads", 1, "--out", "x")
    assert r"cat \ud83d\udc31" in said
    for command in (("data", "info", abroad), ("data", "verify", abroad), ("versions", "x"), ("report", "x")):
        narrow(*command)
    file = abroad / "image" / EMOJI / f"{WORD}.png"
    assert r"cat \ud83d\udc31 " in narrow("predict", "x", file)
    assert json.loads(narrow("predict", "x", file, "--json").splitlines()[0])["medium"] == str(file)
    assert r"\u732b.png,1,cat \ud83d\udc31,image" in narrow("predict", "x", file, "--csv", "--top", 1)
    narrow("index", "x", abroad, "--into", "i")
    assert r"\u732b.png" in narrow("search", "i", "red", "--modality", "image", "--top", 20)
