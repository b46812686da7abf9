"""A model's life on the command line: predict, update, versions, rollback, index, search."""

from __future__ import annotations

import csv
import json
import os
import shlex
import shutil
import socket
import subprocess
import sys
from io import BytesIO, StringIO
from pathlib import Path

import numpy as np
import pytest
import soundfile

from remodal.cli.conftest import Cli


def test_files_are_answered_a_line_each(cli: Cli, saved: Path, folder: Path) -> None:
    done = cli("predict", saved, folder / "image/warm/0.png", folder / "audio/cold/1.wav", "--top", 1)
    assert done.exit_code == 0
    first, second = done.stdout.splitlines()
    assert first.startswith(f"{folder / 'image/warm/0.png'}: image ")
    assert "warm" in first
    assert "cold" in second


def test_folders_patterns_and_files_may_be_mixed(cli: Cli, saved: Path, folder: Path) -> None:
    done = cli("predict", saved, folder / "text", str(folder / "image/*/0.png"), folder / "audio/cold/1.wav", "--csv")
    rows = list(csv.DictReader(StringIO(done.stdout)))
    media = dict.fromkeys(row["medium"] for row in rows)
    assert len(media) == 16 + 2 + 1
    assert {row["label"] for row in rows if row["rank"] == "1" and "/cold/" in row["medium"]} == {"cold"}


def test_a_bad_file_gets_its_line_and_the_others_their_answers(cli: Cli, saved: Path, folder: Path) -> None:
    (folder.parent / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing more")
    done = cli("predict", saved, folder.parent / "bad.png", "absent.wav", folder / "image/warm/0.png", "--json")
    assert done.exit_code == 1
    bad, absent, good = (json.loads(line) for line in done.stdout.splitlines())
    assert "can't be decoded" in bad["problem"]
    assert absent["problem"].startswith("can't be read (No such file")
    assert (good["problem"], good["best"][0]["label"]) == (None, "warm")
    assert "2 of 3 could not be answered" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_file_of_which_a_good_part_is_missing_is_answered_with_a_note(cli: Cli, saved: Path, tmp_path: Path) -> None:
    sound = BytesIO()
    soundfile.write(sound, np.sin(np.arange(96_000) / 6), 16_000, format="MP3")
    data = bytearray(sound.getvalue())
    for start in range(2000, len(data) // 3, 1000):
        data[start : start + 900] = bytes(900)
    (tmp_path / "song.mp3").write_bytes(data)
    result = cli("predict", saved, tmp_path / "song.mp3")
    assert result.exit_code == 0
    assert "song.mp3" in result.stdout
    (note,) = (line for line in result.stderr.splitlines() if line.startswith("remodal: "))
    assert "song.mp3: found" in note
    assert note.endswith("bytes that can't be decoded; the rest is used")


def test_a_medium_comes_on_standard_input(saved: Path, lite_cache: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "remodal", "predict", saved, "-", "--json"],
        input=b"a ship on the sea", capture_output=True, check=True, env={"REMODAL_CACHE": str(lite_cache), "PATH": ""},
    )  # fmt: skip
    answer = json.loads(done.stdout)
    assert (answer["medium"], answer["best"][0]["label"]) == ("standard input", "cold")


def test_a_told_modality_is_kept_to_and_a_wrong_one_named(cli: Cli, saved: Path, folder: Path) -> None:
    done = cli("predict", saved, folder / "image/warm/0.png", "--modality", "image", "--json", "--top", 9)
    assert {one["modality"] for one in json.loads(done.stdout)["best"]} == {"image"}
    failed = cli("predict", saved, folder / "image/warm/0.png", "--modality", "imagee")
    assert failed.exit_code == 2
    assert "did you mean 'image'?" in failed.stderr
    unknown = cli("predict", saved, folder / "image/warm/0.png", "--modality", "video")
    assert "has learned no class of video; it knows: " in unknown.stderr


def test_one_format_is_asked_for(cli: Cli, saved: Path) -> None:
    assert "valid: one of them" in cli("predict", saved, "x", "--json", "--csv").stderr


def test_links_found_in_a_folder_stay_in_it_and_those_that_are_named_are_followed(
    cli: Cli, saved: Path, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "mine/below").mkdir(parents=True)
    (tmp_path / "mine/below/out.png").symlink_to(folder / "image/warm/0.png")
    (tmp_path / "mine/zero.png").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / "mine/pipe.png")
    done = cli("predict", saved, "mine", "--json")
    assert done.exit_code == 1
    problems = {one["medium"]: one["problem"] for one in map(json.loads, done.stdout.splitlines())}
    assert problems == {
        "mine/below/out.png": "found a link that leaves the folder; valid: files below it",
        "mine/pipe.png": "isn't a file; valid: regular files",
        "mine/zero.png": "found a link that leaves the folder; valid: files below it",
    }
    named = cli("predict", saved, "mine/below/out.png", "--json")
    assert json.loads(named.stdout)["best"][0]["label"] == "warm"


@pytest.mark.parametrize("command", ["predict", "update", "versions", "rollback", "serve"])
def test_a_model_that_is_not_there_is_one_line(cli: Cli, command: str, tmp_path: Path) -> None:
    rest = {"predict": ["x"], "update": ["--data", tmp_path]}.get(command, [])
    failed = cli(command, tmp_path / "no model", *rest)
    assert failed.exit_code == 2
    *before, last = failed.stderr.splitlines()
    assert "no such folder; valid: the folder of a saved model or of a finished run" in last
    assert len(before) == (command == "serve")  # which says first what it loads


def test_a_model_learns_and_goes_back(cli: Cli, saved: Path, own_data: Path) -> None:
    taught = cli("update", saved, "--data", own_data)
    assert taught.exit_code == 0, taught.stderr
    assert "new: image: blue, red; text: ships, tea" in taught.stdout
    assert "accuracy on what was held out of the classes known before" in taught.stdout
    assert taught.stdout.splitlines()[-1] == f"{saved}: version 2"
    first, second = cli("versions", saved).stdout.splitlines()[3:5]
    assert (first.split()[0], "current" in first) == ("1", False)
    assert (second.split()[0], "current" in second) == ("2", True)
    assert cli("rollback", saved).stdout.startswith(f"{saved}: version 1, 6 classes")
    assert cli("rollback", saved, "--to", 2).stdout.startswith(f"{saved}: version 2, 10 classes")
    assert cli("rollback", saved, 1).stdout.startswith(f"{saved}: version 1, 6 classes")
    assert "found no version 9; valid: 1, 2" in cli("rollback", saved, 9).stderr
    assert "found two versions, 1 and 2" in cli("rollback", saved, 1, "--to", 2).stderr


def test_accuracies_of_few_items_come_with_their_counts(cli: Cli, saved: Path, own_data: Path) -> None:
    taught = cli("update", saved, "--data", own_data).stdout
    assert "4 of 4" in taught
    assert "0.51 to 1.00" in taught
    told = cli("versions", saved).stdout
    assert "of version 2 as counts:" in told
    assert "0.51 to 1.00" in told


def test_older_versions_are_removed_when_asked(cli: Cli, saved: Path, own_data: Path) -> None:
    for _ in range(3):
        cli("update", saved, "--data", own_data)
    cli("rollback", saved, "--to", 2)
    done = cli("versions", saved, "--keep", 1)
    assert done.exit_code == 0
    assert done.stdout.splitlines()[0] == "removed: 1, 3"
    listed = [line.split()[0] for line in done.stdout.splitlines() if line.split()[:1] and line.split()[0].isdigit()]
    assert listed == ["2", "4"]
    assert "removed: none" in cli("versions", saved, "--keep", 2).stdout
    assert cli("versions", saved, "--keep", 0).exit_code == 2


@pytest.mark.parametrize("command", ["predict", "index", "update", "search", "serve"])
def test_a_folder_that_a_model_names_is_opened_where_it_is_trusted(
    cli: Cli, saved: Path, own_data: Path, tmp_path: Path, command: str
) -> None:
    index = tmp_path / "index"
    cli("index", saved, own_data, "--into", index)
    told = json.loads((saved / "config.json").read_text())
    told["about"]["backbone"] = str(tmp_path / "clip")
    (tmp_path / "clip").mkdir()
    (saved / "config.json").write_text(json.dumps(told))
    asked = {
        "predict": [saved, "x.png"],
        "index": [saved, own_data, "--into", index],
        "update": [saved, "--data", own_data],
        "search": [index, "a word"],
        "serve": [saved, "--port", "0"],
    }[command]
    assert "--trust-backbone PATH" in cli(command, *asked).stderr
    trusting = cli(command, *asked, "--trust-backbone", tmp_path / "clip")
    assert trusting.exit_code == 2
    assert f"{tmp_path / 'clip'}" in trusting.stderr
    assert "--trust-backbone PATH" not in trusting.stderr


def test_a_finished_run_is_a_model(cli: Cli, own_data: Path) -> None:
    assert cli("run", "--stream", own_data, "--method", "nearest-mean", "--out", "run").exit_code == 0
    done = cli("predict", "run", own_data / "image/red/0.png", "--json")
    assert json.loads(done.stdout)["best"][0]["label"] == "red"
    assert "stream" in Path("run/model/README.md").read_text()


def test_stored_media_are_found_again(cli: Cli, saved: Path, folder: Path) -> None:
    made = cli("index", saved, folder / "image", "--into", "my.index")
    assert made.stdout.splitlines() == [
        f"{folder / 'image'}: 16 embedded, 0 unchanged, 0 removed",
        "my.index: 16 files",
    ]
    assert cli("index", saved, folder / "audio", "--into", "my.index").exit_code == 0
    hits = [json.loads(line) for line in cli("search", "my.index", "cold", "--top", 4, "--json").stdout.splitlines()]
    assert {hit["label"] for hit in hits} == {"cold"}
    by_sound = cli("search", "my.index", "--file", folder / "audio/warm/0.wav", "--modality", "image", "--top", 1)
    assert "warm" in by_sound.stdout
    assert "image" in by_sound.stdout


def test_search_says_where_nothing_fits(cli: Cli, named_index: str) -> None:
    found = cli("search", named_index, "a photo of a violin", "--top", 6)
    assert found.stderr == ""
    assert "?" not in found.stdout
    nothing = cli("search", named_index, "quarterly tax return", "--top", 2)
    assert nothing.stderr.startswith("remodal: nothing fits: what is nearest is no nearer than what is found by chance")
    assert [line.rstrip().endswith("?") for line in nothing.stdout.splitlines() if "/photos" in line] == [True, True]
    both = cli("search", named_index, "violin", "--top", 60, "--only-sure", "--json")
    hits = [json.loads(line) for line in both.stdout.splitlines()]
    assert {(hit["label"], hit["sure"]) for hit in hits} == {("violin", True)}
    assert cli("search", named_index, "quarterly tax return", "--only-sure", "--json").stdout == ""


def test_search_says_what_it_needs(cli: Cli, saved: Path, folder: Path) -> None:
    assert "found no index" in cli("search", "absent.index", "words").stderr
    cli("index", saved, folder / "image", "--into", "my.index")
    assert "give either words or --file" in cli("search", "my.index").stderr
    assert "did you mean 'image'?" in cli("search", "my.index", "x", "--modality", "imag").stderr
    assert "found no folder, no --refresh and no --forget" in cli("index", saved, "--into", "my.index").stderr
    assert "no index is given" in cli("index", saved, folder).stderr


def test_after_an_update_search_says_how_to_refresh(cli: Cli, saved: Path, folder: Path, own_data: Path) -> None:
    cli("index", saved, folder / "image", "--into", "my.index")
    assert cli("search", "my.index", "cold").stderr == ""
    shutil.rmtree(own_data / "text")
    taught = cli("update", saved, "--data", own_data)
    assert f"remodal index {saved} --into INDEX --refresh" in taught.stdout
    told = cli("search", "my.index", "cold").stderr.strip()
    assert told.startswith("remodal: 16 of 16 stored files were embedded by an earlier version of the model")
    _, _, command = told.partition("embed them again: remodal ")
    assert cli(*shlex.split(command)).exit_code == 0
    assert cli("search", "my.index", "cold").stderr == ""


def test_a_port_in_use_is_one_line(cli: Cli, saved: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        failed = cli("serve", saved, "--port", port)
    assert failed.exit_code == 2
    loads, problem = failed.stderr.splitlines()
    assert loads == f"remodal: loads {saved}; the address follows as soon as it answers"
    assert problem == (
        f"remodal: can't listen on 127.0.0.1, port {port} (Address already in use); another program listens there; "
        "valid: another --port, or --port 0 for any that is free"
    )


def test_serving_others_needs_a_token(cli: Cli, saved: Path, tmp_path: Path) -> None:
    assert "needs --token-file" in cli("serve", saved, "--host", "0.0.0.0").stderr  # noqa: S104
    (tmp_path / "token.txt").write_text("short\n")
    failed = cli("serve", saved, "--host", "0.0.0.0", "--token-file", tmp_path / "token.txt")  # noqa: S104
    assert "found a token of 5 letters; valid: 16 or more" in failed.stderr
    assert "did you mean 'serve.files'?" in cli("serve", saved, "serve.file=3").stderr
    assert "did you mean 'cpu'?" in cli("serve", saved, "--device", "cpuu").stderr
    assert "unknown modality 'imag'; did you mean 'image'?" in cli("serve", saved, "--modalities", "imag,text").stderr


@pytest.mark.parametrize(
    ("command", "module", "extra"), [("serve", "uvicorn", "serve"), ("index", "lancedb", "search")]
)
def test_what_is_not_installed_is_named(
    cli: Cli, saved: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, command: str, module: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)  # as if it weren't there
    rest = [folder, "--into", "my.index"] if command == "index" else []
    said = cli(command, saved, *rest).stderr.splitlines()[-1]
    assert said == f"remodal: found no module '{module}'; install it: pip install 'remodal[{extra}]'"


def test_a_file_gets_its_right_name_and_a_class_is_forgotten(cli: Cli, saved: Path, folder: Path) -> None:
    wrong = [folder / "image" / "cold" / f"{number}.png" for number in range(8)]
    done = cli("relabel", saved, *wrong, "--as", "ice")
    assert done.exit_code == 0, done.stderr
    assert "relabelled: 6 learned, 2 held out; items that it knows now: 36" in done.stdout
    assert "new: image:ice" in done.stdout
    assert "classes that are gone: image:cold" in done.stdout
    assert done.stdout.splitlines()[-1] == f"{saved}: version 2"
    assert json.loads(cli("predict", saved, wrong[0], "--json").stdout)["best"][0]["label"] == "ice"
    assert "did you mean 'image:ice'?" in cli("forget", saved, "--class", "image:icy").stderr
    elsewhere = cli("forget", saved, "--class", "image:ice", "--as", "without")
    assert "classes that are gone: image:ice" in elsewhere.stdout
    assert elsewhere.stdout.splitlines()[-1] == "without: version 1"
    assert json.loads(cli("predict", "without", wrong[0], "--json").stdout)["best"][0]["label"] == "warm"


def test_after_something_was_forgotten_search_says_how_to_refresh(cli: Cli, saved: Path, folder: Path) -> None:
    cli("index", saved, folder / "text", "--into", "my.index")
    assert f"remodal index {saved} --into INDEX --refresh" in cli("forget", saved, "--class", "text:warm").stdout
    told = cli("search", "my.index", "tea").stderr.strip()
    assert told.startswith("remodal: 16 of 16 stored files were embedded by an earlier version of the model")
    assert cli("index", saved, "--into", "my.index", "--refresh").exit_code == 0
    found = cli("search", "my.index", "tea", "--top", 16, "--json")
    assert {json.loads(line)["label"] for line in found.stdout.splitlines()} == {"cold"}
    assert (len(found.stdout.splitlines()), found.stderr) == (16, "")


def test_the_log_outlives_the_versions(cli: Cli, saved: Path, folder: Path) -> None:
    cli("forget", saved, "--item", folder / "text/warm/0.txt")
    assert "removed: 1" in cli("versions", saved, "--keep", 1).stdout
    first, second = cli("versions", saved, "--log").stdout.splitlines()[3:5]
    assert "removed" in first
    assert "learned 12 " in first
    assert "current" in second
    assert "forgot 1 file: " in second
    assert "0.txt" not in second
