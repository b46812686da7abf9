"""A saved model: the same answers after loading, every version kept, and a clear word for a folder that is none."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import remodal
from remodal.errors import RemodalError
from remodal.saved import changing, roll_back, versions
from remodal.saved.description import MIGRATIONS, described


def answers(model: remodal.Model, folder: Path) -> list[list[remodal.Prediction]]:
    """Of one medium a modality."""
    return model.predict([folder / "image/warm/0.png", folder / "audio/cold/1.wav", remodal.Text("hot tea")], top=3)


def changed(file: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Rewrite a JSON file."""
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


def test_a_loaded_model_gives_the_same_answers(saved: Path, folder: Path, lite_cache: Path) -> None:
    model = remodal.Model(method="nearest-mean", cache=lite_cache)
    for task in remodal.stream(folder):
        model.learn(task)
    loaded = remodal.load(saved, cache=lite_cache)
    assert answers(loaded, folder) == answers(model, folder)
    assert loaded.seen_ == model.seen_
    assert loaded.lineage == model.lineage


def test_it_loads_in_a_fresh_process_without_the_data_it_learned_from(
    saved: Path, folder: Path, tmp_path: Path
) -> None:
    script = "import remodal, sys; print(remodal.load(sys.argv[1]).predict([remodal.Text('hot tea')])[0][0].label)"
    environment = {**os.environ, "REMODAL_CACHE": str(tmp_path / "empty cache")}
    done = subprocess.run(
        [sys.executable, "-c", script, saved], env=environment, capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert done.stdout.strip() == "warm"


def test_a_folder_holds_tensors_json_and_a_card(saved: Path) -> None:
    names = {path.name for path in saved.iterdir()} - {".lock"}
    assert names == {"README.md", "config.json", "model.safetensors", "held_out.safetensors"}
    card = (saved / "README.md").read_text()
    assert "| image | 2 | 12 | 100.0 % | 100.0 % | 4 |" in card
    assert "warm, cold" in card or "cold, warm" in card
    assert "red, blue, high, low" in card


def test_files_can_be_read_by_whoever_may_read_the_folder(saved: Path) -> None:
    modes = {path.name: oct(path.stat().st_mode & 0o777) for path in saved.iterdir()}
    assert modes["model.safetensors"] == modes["config.json"]


def test_saving_again_keeps_every_version(saved: Path, folder: Path, lite_cache: Path) -> None:
    first = remodal.load(saved, cache=lite_cache)
    before = (saved / "model.safetensors").read_bytes()
    first.save(saved)
    assert [one.version for one in versions(saved)] == [1, 2]
    assert described(saved / "config.json").parent == 1
    assert (saved / "model.safetensors").read_bytes() == before
    assert answers(remodal.load(saved, cache=lite_cache), folder) == answers(first, folder)


def test_going_back_and_forth_loses_nothing(saved: Path, lite_cache: Path) -> None:
    model = remodal.load(saved, cache=lite_cache)
    model.save(saved)
    model.save(saved)
    assert roll_back(saved).version == 2
    assert roll_back(saved, 1).version == 1
    with pytest.raises(RemodalError, match="version 1 is the first one"):
        roll_back(saved)
    with pytest.raises(RemodalError, match="found no version 7; valid: 1, 2, 3"):
        roll_back(saved, 7)
    assert roll_back(saved, 3).version == 3
    assert [one.version for one in versions(saved)] == [1, 2, 3]
    remodal.load(saved, cache=lite_cache).save(saved)
    assert described(saved / "config.json").version == 4


def test_after_going_back_the_next_version_has_a_number_of_its_own(saved: Path, lite_cache: Path) -> None:
    remodal.load(saved, cache=lite_cache).save(saved)
    roll_back(saved, 1)
    remodal.load(saved, cache=lite_cache).save(saved)
    now = described(saved / "config.json")
    assert (now.version, now.parent) == (3, 1)


def test_two_processes_do_not_change_a_model_at_once(saved: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from remodal.saved import changing\n"
        "with changing(Path(sys.argv[1])): pass"
    )
    with changing(saved):
        done = subprocess.run([sys.executable, "-c", script, saved], capture_output=True, text=True, check=False)
    assert "another process is changing this model" in done.stderr


def with_config(**values: object) -> Callable[[Path], object]:
    """Damage: other values in ``config.json``."""
    return lambda folder: changed(folder / "config.json", lambda config: config.update(values))


def with_about(**values: object) -> Callable[[Path], object]:
    """Damage: other values in what ``config.json`` says of the model."""
    return lambda folder: changed(folder / "config.json", lambda config: config["about"].update(values))


def flip(file: Path) -> None:
    """Change one bit in the middle."""
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda folder: (folder / "config.json").unlink(), "found no config.json"),
        (lambda folder: (folder / "config.json").write_text("{"), "not JSON"),
        (lambda folder: (folder / "config.json").write_text("[" * 100_000), "not JSON"),
        (lambda folder: (folder / "config.json").write_text("[1]"), "not a model of remodal's"),
        (lambda folder: (folder / "config.json").write_text('{"format": "a cake"}'), "not a model of remodal's"),
        (lambda folder: (folder / "model.safetensors").unlink(), "can't be read"),
        (lambda folder: os.truncate(folder / "model.safetensors", 1000), "cut short"),
        (lambda folder: (folder / "held_out.safetensors").write_bytes(b"x" * 10), "cut short"),
        (lambda folder: flip(folder / "model.safetensors"), "altered since it was saved"),
        (with_config(schema=99), "upgrade it"),
        (with_config(version=0), "version: found 0"),
        (with_config(about=None), "about: found None"),
        (with_config(extra=1), "extra: found 1"),
        (with_config(weights={"name": "../../x.safetensors", "bytes": 1, "sha256": "0" * 64}), "weights.name: found"),
        (with_about(method="os.system"), "unknown method"),
        (with_about(method="ridge"), "don't fit"),
        (with_about(fingerprint="lite-0"), "backbone"),
        (with_about(settings={"x": 1}), "unknown setting"),
        (with_about(classes=[["image", "warm"], ["smell", "rose"]]), "does not read smell"),
    ],
)
def test_a_damaged_folder_is_refused_in_one_line(
    saved: Path, lite_cache: Path, damage: Callable[[Path], object], said: str
) -> None:
    damage(saved)
    with pytest.raises(RemodalError, match=re.escape(said)) as raised:
        remodal.load(saved, cache=lite_cache)
    assert "\n" not in str(raised.value)


def test_a_model_of_an_older_schema_is_brought_up_to_date(
    saved: Path, lite_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def renamed(config: dict[str, Any], schema: int, old: str, new: str) -> dict[str, Any]:
        about = {new if name == old else name: value for name, value in config["about"].items()}
        return {**config, "schema": schema, "about": about}

    config = json.loads((saved / "config.json").read_text())
    (saved / "config.json").write_text(json.dumps(renamed(config, 0, "seed", "random_seed")))
    with pytest.raises(RemodalError, match="damaged"):
        remodal.load(saved, cache=lite_cache)
    monkeypatch.setitem(MIGRATIONS, 0, lambda old: renamed(old, 1, "random_seed", "seed"))
    assert remodal.load(saved, cache=lite_cache).seed == 0


def test_a_folder_that_is_no_model_says_what_is(tmp_path: Path) -> None:
    with pytest.raises(RemodalError, match="no such folder; valid: the folder of a saved model"):
        remodal.load(tmp_path / "nothing here")
    with pytest.raises(RemodalError, match="found no config.json in it"):
        remodal.load(tmp_path)


def test_loading_imports_and_executes_nothing_of_the_folder(saved: Path, lite_cache: Path) -> None:
    script = """
import sys
from pathlib import Path
import remodal
from remodal.model import Model
from remodal.methods import methods
folder, seen = Path(sys.argv[1]).resolve(), []
Model("nearest-mean", cache=Path(sys.argv[2]))
def hook(event, arguments):
    if event in ("exec", "import", "compile", "pickle.find_class", "marshal.loads", "ctypes.dlopen", "subprocess.Popen",
                 "os.system", "os.exec", "os.posix_spawn"):
        if str(folder) in repr(arguments) or event in ("pickle.find_class", "subprocess.Popen", "os.system"):
            seen.append((event, repr(arguments)[:200]))
(folder / "sitecustomize.py").write_text("raise SystemExit('executed')")
(folder / "nearest_mean.py").write_text("raise SystemExit('executed')")
sys.addaudithook(hook)
remodal.load(folder, cache=Path(sys.argv[2]))
print(seen)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, saved, lite_cache], capture_output=True, text=True, check=True, cwd=saved.parent
    )
    assert done.stdout.strip() == "[]"
