"""Folders that someone who means harm has made: one line each, little memory and time, nothing outside is opened."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from math import prod
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import save
from small_models import save_clip

import remodal
from remodal.backbones import Registered, backbones, registered
from remodal.errors import RemodalError
from remodal.methods import methods
from remodal.saved import changing, read
from remodal.saved.pieces import MAX_HEADER
from remodal.settings import Settings
from remodal.testing import ToyBackbone
from remodal.updating import update

SCHEMA_1 = Path(__file__).parent / "schema_1"
ADDRESS_SPACE = 4 * 2**30
"""Bytes that a process which loads a hostile model may take, of which torch and what it maps take the most."""

Change = Callable[[dict[str, Any]], object]


def told(folder: Path, change: Change) -> None:
    """Rewrite what ``config.json`` says."""
    file = folder / "config.json"
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


def about(**values: object) -> Change:
    """Other values of what is said of the model."""
    return lambda config: config["about"].update(values)


def refused(folder: Path, cache: Path) -> str:
    """What is said where the model is loaded: one line that can't move a terminal's cursor."""
    with pytest.raises(RemodalError) as raised:
        remodal.load(folder, cache=cache)
    said = str(raised.value)
    assert said.isprintable(), said
    assert len(said) < 1500
    return said


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (about(method="\x1b[2J"), "about.method"),
        (about(backbone="lite\x1b[2J"), "about.backbone"),
        (about(fingerprint="\u202egnirts"), "about.fingerprint"),
        (about(seed=10**4000), "about.seed"),
        (about(tasks=-1), "about.tasks"),
        (about(settings={"x" * 10**6: 1}), "about.settings"),
        (about(backbone_settings={"\x1b[2J": 1}), "about.backbone_settings"),
        (about(backbone_settings={"x": "y" * 10**6}), "about: found"),
        (about(backbone_settings={"prompt_from_layer": 10**18}), "unknown setting 'backbone.prompt_from_layer'"),
        (about(backbone_settings={"cache": "/etc"}), "unknown setting 'backbone.cache'"),
        (about(dtype="bfloat61\x07"), "about.dtype"),
        (about(dtype="bfloat16"), "valid: --dtype bfloat16"),
        (about(settings={"x": "y" * 10**6}), "about: found"),
        (about(settings={f"x{number}": 1 for number in range(10**5)}), "about: found"),
        (about(classes=[["image", f"{number}"] for number in range(10**6)]), "found more than 8,388,608 bytes"),
        (about(classes=[["image", "warm"], ["image", "warm"]]), "twice"),
        (about(classes=[["image", "a\nb"]]), "about.classes.0"),
        (about(classes=[["image", "x" * 10**6]]), "about.classes.0"),
        (about(classes=[["\x07", "x"]]), "about.classes.0"),
        (about(classes=[["image", "\ud800"]]), "damaged"),
        (about(lineage={"\x1b[2J": "0" * 32}), "about.lineage"),
        (about(lineage={"image": "x" * 10**6}), "about.lineage.image"),
        (about(accuracy={"image\r": {"items": 1, "aware": 1.0, "agnostic": 1.0}}), "about.accuracy"),
        (about(accuracy={"image": {"items": 1, "aware": float("nan"), "agnostic": 1.0}}), "no number"),
        (about(accuracy={"image": {"items": 1, "aware": 1e300, "agnostic": 1.0}}), "about.accuracy.image.aware"),
        (lambda config: config["about"]["sources"][0].update(origin="\x1b]0;title\x07"), "about.sources.0.origin"),
        (lambda config: config["about"]["sources"][0].update(licences=["CC0\x00"]), "about.sources.0.licences.0"),
        (lambda config: config["about"]["sources"][0].update(items=10**300), "about.sources.0.items"),
        (lambda config: config.update(made="\x1b[2J2026"), "made"),
        (lambda config: config.update(made_with={"remodal\x9b": "1"}), "made_with"),
        (lambda config: config.update(version=10**300), "version"),
        (lambda config: config.update(parent=0), "parent"),
        (lambda config: config.update(schema=4, made_with={"remodal": "\x1b[2J" * 1000}), "upgrade it"),
        (lambda config: config.update(schema=10**4000), "upgrade it"),
        (lambda config: config.update(schema=1), "damaged"),
        (lambda config: config.update(weights=config["weights"] * 1000), "named twice"),
        (lambda config: config["weights"][0].update(name="/etc/passwd"), "weights.0.name"),
        (lambda config: config["weights"][0].update(name="tensors/../config.safetensors"), "weights.0.name"),
        (lambda config: config["weights"][0].update(bytes=10**30), "weights.0.bytes"),
        (lambda config: config["weights"][0].update(bytes=2**36), "cut short"),
        (lambda config: config.update(weights=[]), "no state's values"),
    ],
)
def test_no_field_is_believed(saved: Path, lite_cache: Path, change: Change, said: str) -> None:
    told(saved, change)
    assert said in refused(saved, lite_cache)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"format": "remodal model", "version": NaN}', "NaN is no number"),
        ('{"format": "remodal model", "format": "remodal model"}', "a key stands there twice"),
        ('{"format": "remodal model", "about": ' + '{"a": ' * 900 + "1" + "}" * 901, "damaged"),
        ('{"format": "remodal model", "about": ' + "[" * 10**6, "not JSON"),
        ('{"format": "remodal model", "version": ' + "9" * 10**6 + "}", "not JSON"),
        ('"' + "x" * (9 * 2**20) + '"', "found more than"),
    ],
)
def test_json_has_its_limits(saved: Path, lite_cache: Path, text: str, said: str) -> None:
    (saved / "config.json").write_text(text)
    assert said in refused(saved, lite_cache)


@pytest.mark.parametrize("name", ["cache", "device", "seed", "backbone", "self", "features", "method", "cls"])
def test_settings_are_the_methods_alone(saved: Path, lite_cache: Path, name: str) -> None:
    told(saved, about(settings={name: "/etc"}))
    assert f"unknown setting '{name}'" in refused(saved, lite_cache)


def test_no_folder_is_opened_because_a_model_says_so(saved: Path, lite_cache: Path) -> None:
    opened: list[str] = []
    told(saved, about(backbone="/etc"))
    sys.addaudithook(lambda event, told: opened.append(str(told[0])) if event in ("open", "os.listdir") else None)
    assert "--trust-backbone" in refused(saved, lite_cache)
    assert [path for path in opened if path.startswith("/etc")] == []
    with pytest.raises(RemodalError, match=re.escape("'/etc' as its frozen model, not the trusted '/usr'")):
        remodal.load(saved, cache=lite_cache, trust_backbone="/usr")
    told(saved, about(backbone="../../secret"))
    assert "--trust-backbone" in refused(saved, lite_cache)


def test_a_folder_that_is_trusted_is_opened(tmp_path: Path) -> None:
    clip = save_clip(tmp_path / "clip", 0)
    saved = remodal.Model("nearest-mean", str(clip), cache=tmp_path).save(tmp_path / "model")
    with pytest.raises(RemodalError, match="--trust-backbone"):
        remodal.load(saved, cache=tmp_path)
    assert remodal.load(saved, cache=tmp_path, trust_backbone=clip).backbone_name == str(clip)


@pytest.mark.parametrize("outside", ["file", "relative", "pipe", "device", "circle", "nothing"])
@pytest.mark.parametrize("name", ["config.json", "tensors"])
def test_links_lead_nowhere(saved: Path, lite_cache: Path, tmp_path: Path, name: str, outside: str) -> None:
    whole = saved / name if name == "config.json" else max((saved / name).iterdir())
    kept = tmp_path / "elsewhere"
    shutil.move(whole, kept)
    if outside == "pipe":
        os.mkfifo(whole)
    else:
        target = {"relative": "../elsewhere", "device": "/dev/zero", "circle": whole.name, "nothing": "nowhere"}
        whole.symlink_to(target.get(outside, kept))
    said = refused(saved, lite_cache)
    assert re.search("outside the model's folder|not a regular|can't be read|found no config.json", said), said


@pytest.mark.parametrize("name", [".lock", "versions", "tensors"])
def test_nothing_is_written_through_a_link(saved: Path, lite_cache: Path, tmp_path: Path, name: str) -> None:
    outside = tmp_path / "outside"
    if name == ".lock":
        outside.write_text("kept")
        (saved / name).unlink(missing_ok=True)
    else:
        outside.mkdir()
        (outside / f"{'a' * 64}.safetensors").write_text("kept")
        shutil.rmtree(saved / name, ignore_errors=True)
    (saved / name).symlink_to(outside)
    with pytest.raises(RemodalError, match="found a link"), changing(saved):
        pass
    kept = outside if name == ".lock" else outside / f"{'a' * 64}.safetensors"
    assert kept.read_text() == "kept"


def test_a_hubs_cache_links_to_its_blobs_and_nothing_else(saved: Path, lite_cache: Path, tmp_path: Path) -> None:
    repository = tmp_path / "models--someone--things"
    snapshot = repository / "snapshots/0123"
    for file in saved.rglob("*"):
        if file.is_file():
            blob = repository / "blobs" / sha256(file.read_bytes()).hexdigest()
            link = snapshot / file.relative_to(saved)
            blob.parent.mkdir(parents=True, exist_ok=True)
            link.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, blob)
            link.symlink_to(os.path.relpath(blob, link.parent))
    remodal.load(snapshot, cache=lite_cache)
    shutil.move(repository / "blobs", tmp_path / "elsewhere")
    (repository / "blobs").symlink_to(tmp_path / "elsewhere")
    assert "outside the model's folder" in refused(snapshot, lite_cache)


def signed(folder: Path, key: str, data: bytes) -> None:
    """Put ``data`` in the place of all files of ``key`` (``weights``, ``held_out``), with the right hash."""
    digest = sha256(data).hexdigest()
    (folder / f"tensors/{digest}.safetensors").write_bytes(data)
    file = {"name": f"tensors/{digest}.safetensors", "bytes": len(data), "sha256": digest}
    told(folder, lambda config: config.update({key: [file]}))


def rewritten(folder: Path, key: str, change: Callable[[dict[str, torch.Tensor], dict[str, Any]], object]) -> None:
    """The state of ``key`` after ``change``, in one file with the right hash."""
    whole = read(folder)
    state = whole.state if key == "weights" else whole.held_out
    change(state.tensors, state.values)
    tensors = {name: tensor.clone() for name, tensor in state.tensors.items()}
    signed(folder, key, save(tensors, {"values": json.dumps(state.values)}))


def header(text: str, data: bytes = b"") -> bytes:
    """A safetensors file with that header."""
    return len(text).to_bytes(8, "little") + text.encode() + data


BYTE = '"a": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]}}'


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "found a header"),
        (b"\xff" * 8, "found a header"),
        ((2**60).to_bytes(8, "little"), "found a header"),
        (header(" " * (MAX_HEADER + 1)), "found a header"),
        (header("[" * 10_000), "recursion"),
        (header('{"a": {"dtype": "F32", "shape": [10000, 1000000], "data_offsets": [0, 4]}}', b"1234"), "damaged one"),
        (header('{"a": {"dtype": "F32", "shape": [0, 1000000000000], "data_offsets": [0, 0]}}'), "is empty"),
        (header('{"a": {"dtype": "X9", "shape": [1], "data_offsets": [0, 4]}}', b"1234"), "damaged one"),
        (header('{"__metadata__": {"values": "' + "[" * 10_000 + '"}}'), "damaged one"),
        (header('{"__metadata__": {"values": "[]"}}'), "no state's values"),
        (header('{"__metadata__": {"start": "x"}, ' + BYTE, b"1"), "int"),
        (header('{"__metadata__": {"start": "9"}, ' + BYTE, b"1"), "row 9"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("key", ["weights", "held_out"])
def test_tensors_are_what_their_file_holds(saved: Path, lite_cache: Path, key: str, data: bytes, said: str) -> None:
    signed(saved, key, data)
    assert said in refused(saved, lite_cache)


COME_ROUND = torch.tensor([2**62, 2**62, 2**62, 2**62 + 4])
"""Their sum is 4, as int64 counts."""
HELD_OUT: dict[str, Callable[[dict[str, torch.Tensor], dict[str, Any]], object]] = {
    "huge lengths": lambda tensors, _: tensors["image/lengths"].fill_(2**40),
    "lengths that come round": lambda tensors, _: tensors["image/lengths"].copy_(COME_ROUND),
    "fewer frames": lambda tensors, _: tensors.update({"image/frames": tensors["image/frames"][:1]}),
    "no numbers": lambda tensors, _: tensors["image/frames"].fill_(torch.nan),
    "other numbers": lambda tensors, _: tensors.update({"image/frames": tensors["image/frames"].double()}),
    "narrower tokens": lambda tensors, _: tensors.update({"image/frames": tensors["image/frames"][:, :, :7]}),
    "an unknown class": lambda _, values: values.update(image=["a", "b", "c", "d"]),
    "no list of classes": lambda _, values: values.update(image=7),
    "an unknown modality": lambda _, values: values.update({"smell\x1b[2J": values["image"]}),
}  # fmt: skip


@pytest.mark.parametrize("harm", HELD_OUT)
def test_held_out_items_are_items(saved: Path, lite_cache: Path, harm: str) -> None:
    rewritten(saved, "held_out", HELD_OUT[harm])
    assert "don't fit" in refused(saved, lite_cache)


HELD_OUT_FEATURES: dict[str, Callable[[dict[str, torch.Tensor]], object]] = {
    "narrower": lambda tensors: tensors.update({"image/features": tensors["image/features"][:, :7]}),
    "no numbers": lambda tensors: tensors["image/features"].fill_(torch.nan),
    "other numbers": lambda tensors: tensors.update({"image/features": tensors["image/features"].double()}),
    "no frames": lambda tensors: tensors["image/lengths"].fill_(0),
}


def test_held_out_features_are_features(tmp_path: Path) -> None:
    """Of a method that needs no tokens, where the encoder keeps features."""
    clip, cache = save_clip(tmp_path / "clip", seed=0), tmp_path / "cache"
    for number in range(8):
        (tmp_path / "data/image/red").mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (16 + number, 16), (200, 9, 9)).save(tmp_path / f"data/image/red/{number}.png")
    (task,) = remodal.stream(str(tmp_path / "data")).tasks
    saved = remodal.Model("nearest-mean", str(clip), cache=cache).learn(task).save(tmp_path / "model")
    for harm, change in HELD_OUT_FEATURES.items():
        harmed = Path(shutil.copytree(saved, tmp_path / harm))
        rewritten(harmed, "held_out", lambda tensors, _, change=change: change(tensors))
        with pytest.raises(RemodalError, match=r"its tensors don't fit .* \(held-out items: their"):
            remodal.load(harmed, cache=cache, trust_backbone=clip)


def wide(folder: Path, method: str, width: int) -> None:
    """Settings and tensors that agree on a width whose random projection would be huge."""

    def widen(tensors: dict[str, torch.Tensor], values: dict[str, Any]) -> None:
        for name, tensor in tensors.items():
            if name.endswith(("/weights", "/threshold")):
                tensors[name] = torch.zeros(width + 30, *tensor.shape[1:])
            if "/modalities/" in name and name.endswith(("/directions", "/sums")):
                tensors[name] = torch.zeros(len(tensor), width + 30).to(tensor)

    rewritten(folder, "weights", widen)
    told(folder, about(settings={"width": width}))


@pytest.mark.parametrize("method", ["remodal", "ridge"])
@pytest.mark.parametrize("width", [20_000, 10**6, 10**18])
def test_nothing_is_made_as_large_as_a_setting_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, width: int
) -> None:
    monkeypatch.setitem(backbones._entries, "toy", Registered(Settings, lambda *_: ToyBackbone()))
    saved = Path(shutil.copytree(SCHEMA_1 / method, tmp_path / "model"))
    remodal.load(saved, cache=tmp_path).save(saved)
    made: list[int] = []
    randn = torch.randn

    def counted(*shape: int, **other: Any) -> torch.Tensor:
        made.append(prod(shape))
        return randn(*shape, **other)

    monkeypatch.setattr(torch, "randn", counted)
    told(saved, about(settings={"width": width}))
    with suppress(RemodalError):  # where the width itself is valid, the tensors' is taken
        remodal.load(saved, cache=tmp_path)
    assert max(made, default=0) < 10**4


@pytest.mark.parametrize("method", ["remodal", "ridge"])
def test_tensors_that_agree_with_a_huge_setting_are_refused_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    monkeypatch.setitem(backbones._entries, "toy", Registered(Settings, lambda *_: ToyBackbone()))
    saved = Path(shutil.copytree(SCHEMA_1 / method, tmp_path / "model"))
    remodal.load(saved, cache=tmp_path).save(saved)
    wide(saved, method, 10**6)
    assert "setting width: found 1000000" in refused(saved, tmp_path)
    told(saved, about(settings={}))
    assert "its tensors don't fit" in refused(saved, tmp_path)


@pytest.mark.parametrize("name", methods.names())
def test_every_size_that_can_be_set_has_a_limit(name: str) -> None:
    for setting, field in methods.get(name).options.model_fields.items():
        if field.annotation is int:
            with pytest.raises(RemodalError, match=f"setting {setting}: found"):
                methods.get(name).options.checked({setting: 10**9})


@pytest.mark.parametrize("name", backbones.names())
def test_every_size_of_a_backbone_has_a_limit(name: str) -> None:
    for setting, field in registered(name).options.model_fields.items():
        if field.annotation is int:
            with pytest.raises(RemodalError, match=f"setting backbone.{setting}: found"):
                registered(name).options.checked({setting: 10**9})


def test_a_state_that_fails_only_when_it_answers_is_one_line_too(saved: Path, lite_cache: Path) -> None:
    rewritten(saved, "weights", lambda tensors, _: tensors.update({"parts/text/sums": torch.zeros(2, 7)}))
    assert "don't fit" in refused(saved, lite_cache)
    rewritten(saved, "held_out", lambda tensors, values: (tensors.clear(), values.clear()))
    with pytest.raises(RemodalError, match="its tensors don't fit the method 'nearest-mean'"):
        remodal.load(saved, cache=lite_cache).predict([remodal.Text("tea")])


def test_a_state_that_fails_only_while_it_learns_is_one_line_too(
    saved: Path, folder: Path, lite_cache: Path, tmp_path: Path
) -> None:
    rewritten(
        saved, "weights", lambda tensors, _: tensors.update({"parts/text/sums": tensors["parts/text/sums"].double()})
    )
    rewritten(saved, "held_out", lambda tensors, values: (tensors.clear(), values.clear()))
    shutil.copytree(folder / "text/warm", tmp_path / "more/text/drink")
    with pytest.raises(RemodalError, match="its tensors don't fit the method 'nearest-mean'"):
        update(saved, tmp_path / "more", cache=lite_cache)


def test_a_huge_description_takes_little_memory_and_time(saved: Path, lite_cache: Path) -> None:
    told(saved, about(classes=[["image", f"{number}"] for number in range(300_000)]))
    script = (
        "import resource, sys, remodal; from pathlib import Path; from remodal.errors import RemodalError\n"
        f"from remodal.model import Model\nresource.setrlimit(resource.RLIMIT_AS, ({ADDRESS_SPACE},) * 2)\n"
        "resource.setrlimit(resource.RLIMIT_CPU, (60, 60))\n"
        "try: remodal.load(sys.argv[1], cache=Path(sys.argv[2]))\nexcept RemodalError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", script, saved, lite_cache], capture_output=True, text=True, check=True)
    assert "about.classes" in done.stdout
