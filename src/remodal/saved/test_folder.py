"""A saved model: the same answers after loading, every version kept, and a clear word for a folder that is none."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import remodal
import remodal.saved.folder
from remodal.errors import RemodalError
from remodal.saved import changing, forget, roll_back, tidy, versions
from remodal.saved.description import Description, described
from remodal.updating import update


def answers(model: remodal.Model, folder: Path) -> list[list[remodal.Prediction]]:
    """Of one medium a modality."""
    return model.predict([folder / "image/warm/0.png", folder / "audio/cold/1.wav", remodal.Text("hot tea")], top=3)


def current(folder: Path) -> Description:
    """What is said of the current version."""
    return described(folder, "config.json")


def tensors(folder: Path) -> dict[str, bytes]:
    """The files of tensors in the folder."""
    return {file.name: file.read_bytes() for file in (folder / "tensors").iterdir()}


def largest(folder: Path) -> Path:
    """The largest file of tensors."""
    return max((folder / "tensors").iterdir(), key=lambda file: file.stat().st_size)


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
    saved: Path, graphs_only: Path, tmp_path: Path
) -> None:
    script = "import remodal, sys; print(remodal.load(sys.argv[1]).predict([remodal.Text('hot tea')])[0][0].label)"
    environment = {**os.environ, "REMODAL_CACHE": str(graphs_only)}
    done = subprocess.run(
        [sys.executable, "-c", script, saved], env=environment, capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert done.stdout.strip() == "warm"


def test_a_folder_holds_tensors_json_and_a_card(saved: Path) -> None:
    names = {path.name for path in saved.iterdir()} - {".lock"}
    assert names == {"README.md", "config.json", "tensors"}
    assert {f"tensors/{name}" for name in tensors(saved)} == current(saved).files
    card = (saved / "README.md").read_text()
    assert "| image | 2 | 12 | 100.0 % | 100.0 % | 4 |" in card
    assert "warm, cold" in card or "cold, warm" in card
    assert "red, blue, high, low" in card


def test_files_can_be_read_by_whoever_may_read_the_folder(saved: Path) -> None:
    modes = {oct(path.stat().st_mode & 0o777) for path in (saved / "config.json", *(saved / "tensors").iterdir())}
    assert len(modes) == 1


def test_saving_again_keeps_every_version(saved: Path, folder: Path, lite_cache: Path) -> None:
    first = remodal.load(saved, cache=lite_cache)
    before = tensors(saved)
    first.save(saved)
    assert [one.version for one in versions(saved)] == [1, 2]
    assert current(saved).parent == 1
    assert tensors(saved) == before  # nothing was learned in between: all is shared
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
    assert current(saved).version == 4


def test_after_going_back_the_next_version_has_a_number_of_its_own(saved: Path, lite_cache: Path) -> None:
    remodal.load(saved, cache=lite_cache).save(saved)
    roll_back(saved, 1)
    remodal.load(saved, cache=lite_cache).save(saved)
    now = current(saved)
    assert (now.version, now.parent) == (3, 1)


def test_of_a_version_more_only_what_changed_is_written(
    saved: Path, folder: Path, lite_cache: Path, tmp_path: Path
) -> None:
    before = tensors(saved)
    shutil.copytree(folder / "text/warm", tmp_path / "more/text/drink")
    update(saved, tmp_path / "more", cache=lite_cache)
    assert before.items() <= tensors(saved).items()
    first, second = versions(saved)
    shared, own = first.files & second.files, second.files - first.files
    assert {name for name in shared if b"vision" in (saved / name).read_bytes()[:200]}
    assert own == {f"tensors/{name}" for name in tensors(saved).keys() - before.keys()} != set()


def test_all_but_the_newest_versions_can_be_forgotten(
    saved: Path, folder: Path, lite_cache: Path, tmp_path: Path
) -> None:
    for name in ("drink", "beverage", "infusion"):
        shutil.copytree(folder / "text/warm", tmp_path / f"{name}/text/{name}")
        update(saved, tmp_path / name, cache=lite_cache)
    with changing(saved):
        assert forget(saved, 2) == [1, 2]
        assert forget(saved, 2) == []
    assert [one.version for one in versions(saved)] == [3, 4]
    assert {f"tensors/{name}" for name in tensors(saved)} == {name for one in versions(saved) for name in one.files}
    roll_back(saved)
    assert len(remodal.load(saved, cache=lite_cache).seen_) == 8
    roll_back(saved, 4)
    assert len(remodal.load(saved, cache=lite_cache).seen_) == 9


def test_the_current_version_is_never_forgotten(saved: Path, lite_cache: Path) -> None:
    model = remodal.load(saved, cache=lite_cache)
    model.save(saved)
    model.save(saved)
    roll_back(saved, 1)
    with changing(saved):
        assert forget(saved, 1) == [2]
        with pytest.raises(RemodalError, match="found 0 versions to keep; valid: 1 or more"):
            forget(saved, 0)
    assert [one.version for one in versions(saved)] == [1, 3]
    model.save(saved)
    assert current(saved).version == 4


def test_an_update_can_forget_older_versions(saved: Path, folder: Path, lite_cache: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "text/warm", tmp_path / "more/text/drink")
    for number in (2, 3):
        assert update(saved, tmp_path / "more", cache=lite_cache, keep=1).version == number
        assert [one.version for one in versions(saved)] == [number]
    with pytest.raises(RemodalError, match="found 0 versions to keep"):
        update(saved, tmp_path / "more", cache=lite_cache, keep=0)


def test_what_a_killed_process_left_goes_and_nothing_else(saved: Path, lite_cache: Path) -> None:
    before = tensors(saved)
    left = [saved / f"tensors/{'a' * 64}.safetensors", saved / "tensors/.x.safetensors.1.part"]
    for file in (*left, saved / "tensors/mine.safetensors", saved / "mine.safetensors"):
        file.write_bytes(b"x")
    tidy(saved)
    assert tensors(saved) == {**before, "mine.safetensors": b"x"}
    assert (saved / "mine.safetensors").exists()


def test_nothing_goes_where_a_description_is_damaged(saved: Path, lite_cache: Path) -> None:
    remodal.load(saved, cache=lite_cache).save(saved)
    (saved / "versions/1.json").write_text("{")
    before = tensors(saved)
    tidy(saved)
    assert tensors(saved) == before


def test_a_version_that_goes_while_it_is_read_gives_way_to_the_next(
    saved: Path, folder: Path, lite_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(folder / "text/warm", tmp_path / "more/text/drink")
    other = Path(shutil.copytree(saved, tmp_path / "other"))
    update(other, tmp_path / "more", cache=lite_cache, keep=1)
    whole = remodal.saved.folder.gathered

    def replaced(*arguments: Any) -> Any:
        monkeypatch.setattr("remodal.saved.folder.gathered", whole)
        shutil.rmtree(saved)
        shutil.copytree(other, saved)
        return whole(*arguments)

    monkeypatch.setattr("remodal.saved.folder.gathered", replaced)
    assert remodal.load(saved, cache=lite_cache).saved_as == (saved.resolve(), 2)


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
        (lambda folder: largest(folder).unlink(), "can't be read"),
        (lambda folder: os.truncate(largest(folder), 1000), "cut short"),
        (lambda folder: largest(folder).write_bytes(b"x" * 10), "cut short"),
        (lambda folder: flip(largest(folder)), "altered since it was saved"),
        (with_config(schema=99), "upgrade it"),
        (with_config(version=0), "version: found 0"),
        (with_config(about=None), "about: found None"),
        (with_config(extra=1), "extra: found 1"),
        (
            with_config(weights=[{"name": "../../x.safetensors", "bytes": 1, "sha256": "0" * 64}]),
            "weights.0.name: found",
        ),
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
