"""One flat space of names, in a file, as options and as ``key=value``."""

from __future__ import annotations

from pathlib import Path

import pytest

from remodal.cli.asked import asked_for
from remodal.errors import RemodalError, UnknownName


def test_defaults_are_those_of_the_library() -> None:
    asked = asked_for({"stream": "everyday", "seed": None}, [])
    assert (asked.stream, asked.method, asked.backbone, asked.order, asked.seed) == (
        "everyday", "remodal", "lite", "random", 0,
    )  # fmt: skip
    assert asked.options == {}


def test_assignments_set_the_method_and_the_stream() -> None:
    assignments = ["steps=2", "blend=false", "learning_rate=1e-4", "stream.classes_per_task=2"]
    asked = asked_for({"stream": "everyday", "method": "comm"}, assignments)
    assert asked.options == {"steps": 2, "blend": False, "learning_rate": 1e-4}
    assert asked.stream_options.classes_per_task == 2


def test_assignments_and_files_set_the_backbone(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("stream: everyday\nbackbone: vit\nbackbone.size: 224\nbackbone.prompt_from_layer: 4\n")
    asked = asked_for({}, ["backbone.prompt_from_layer=8"], file)
    assert (asked.backbone, asked.backbone_options) == ("vit", {"size": 224, "prompt_from_layer": 8})
    assert asked.options == {}


@pytest.mark.parametrize(
    ("backbone", "assignment", "says"),
    [
        ("vit", "backbone.prompt_from_layr=2", "did you mean 'backbone.prompt_from_layer'?"),
        (
            "vit",
            "backbone.prompt_from_layer=12",
            "backbone.prompt_from_layer: found 12; valid: a whole number, at least 0",
        ),
        ("vit", "backbone.size=100", "at most 518, a multiple of 14"),
        ("lite", "backbone.size=112", "unknown setting 'backbone.size'"),
        ("vti", "backbone.size=112", "did you mean 'vit'? valid: lite, towers, vit, a CLIP or SigLIP model's folder"),
    ],
)
def test_each_backbone_has_settings_of_its_own(backbone: str, assignment: str, says: str) -> None:
    with pytest.raises(RemodalError) as caught:
        asked_for({"stream": "everyday", "backbone": backbone}, [assignment])
    assert says in str(caught.value)


def test_option_beats_assignment_beats_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("stream: everyday\nmethod: ridge\nseed: 1\nwidth: 50\nstream.classes_per_task: 3\n")
    from_file = asked_for({}, [], file)
    assert (from_file.method, from_file.seed, from_file.options) == ("ridge", 1, {"width": 50})
    assert from_file.stream_options.classes_per_task == 3
    assigned = asked_for({}, ["seed=2", "width=60"], file)
    assert (assigned.seed, assigned.options) == (2, {"width": 60})
    assert asked_for({"seed": 3}, ["seed=2"], file).seed == 3


@pytest.mark.parametrize(
    ("assignment", "says"),
    [
        ("rnk=2", "unknown setting 'rnk'; did you mean 'rank'?"),
        ("stream.clases_per_task=2", "did you mean 'stream.classes_per_task'?"),
        ("ordre=random", "did you mean 'order'?"),
        ("method=com", "unknown method 'com'; did you mean 'comm'?"),
        ("rank=0", "rank: found 0"),
        ("rank=many", "rank: found 'many'"),
        ("seed=-1", "seed: found -1"),
        ("stream.depth_unit=inch", "stream.depth_unit: found 'inch'"),
        ("epochs", "found 'epochs'; valid: key=value"),
        ("epochs=[1", "epochs: found '[1'; valid: a value in YAML"),
    ],
)
def test_a_mistake_names_what_is_valid(assignment: str, says: str) -> None:
    with pytest.raises(RemodalError) as caught:
        asked_for({"stream": "everyday"}, [assignment])
    assert says in str(caught.value)


def test_a_setting_of_another_method_is_unknown() -> None:
    with pytest.raises(UnknownName, match="blend"):
        asked_for({"stream": "everyday", "method": "nearest-mean"}, ["blend=false"])


def test_nothing_in_a_value_is_looked_up_or_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SECRET", "7")
    file = tmp_path / "mine.yaml"
    file.write_text("stream: ${oc.env:SECRET}\n")
    assert asked_for({}, [], file).stream == "${oc.env:SECRET}"
    with pytest.raises(RemodalError, match=r"oc\.env:SECRET"):
        asked_for({"stream": "everyday"}, ["rank=${oc.env:SECRET}"])
    file.write_text("stream: !!python/object/apply:os.getcwd []\n")
    with pytest.raises(RemodalError, match=r"mine\.yaml: can't be read"):
        asked_for({}, [], file)


@pytest.mark.parametrize("content", [b"- a list\n", b"a: [1\n", b"\xff\xfe\x00", b"seed: 1\nseed: 2\n"])
def test_a_file_that_is_no_configuration(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "mine.yaml"
    file.write_bytes(content)
    with pytest.raises(RemodalError, match=r"mine\.yaml: .*valid: a YAML file"):
        asked_for({"stream": "everyday"}, [], file)


def test_no_stream_and_no_file(tmp_path: Path) -> None:
    with pytest.raises(RemodalError, match="--stream everyday"):
        asked_for({}, [])
    with pytest.raises(RemodalError, match=r"absent\.yaml: can't be read"):
        asked_for({}, [], tmp_path / "absent.yaml")
