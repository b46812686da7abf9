"""What an exported graph is put together from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, compose, helper, numpy_helper
from torch import nn

from remodal.backbones.exportable import GraphInput
from remodal.backbones.onnx_graph import traced
from remodal.streams.base import Column

Graph = Any
"""An ``onnx.ModelProto``."""
TOKENS, PROBABILITIES, CLASSES, MODALITIES = "tokens", "probabilities", "classes", "modalities"


def graph_of(module: nn.Module, inputs: Sequence[GraphInput], output: str, length: str | None = None) -> Graph:
    """The graph of a module. length: what its output's first dimension counts, where that varies."""
    varying = {one.name: {0: one.length} for one in inputs if one.length}
    if length:
        varying[output] = {0: length}
    return onnx.load_from_string(traced(module, {one.name: one.example for one in inputs}, output, varying))


def joined(stem: Graph, answering: Graph) -> Graph:
    """One graph of two: the second takes the tokens that the first gives."""
    inner = compose.add_prefix(answering, "answering/", rename_inputs=False, rename_outputs=False)
    return compose.merge_models(stem, inner, io_map=[(TOKENS, TOKENS)])


def labelled(graph: Graph, columns: Sequence[Column], told: Mapping[str, object]) -> Graph:
    """The graph with the classes' names and modalities as outputs too, in the order of the probabilities.

    told: what else the file keeps: JSON, in its metadata under ``remodal``.
    """
    texts = {CLASSES: [column.name for column in columns], MODALITIES: [column.modality for column in columns]}
    for name, values in texts.items():
        constant = numpy_helper.from_array(np.array(values, dtype=object), name)
        graph.graph.node.append(helper.make_node("Constant", [], [name], value=constant))
        graph.graph.output.append(helper.make_tensor_value_info(name, TensorProto.STRING, [len(values)]))
    helper.set_model_props(graph, {"remodal": json.dumps(told, ensure_ascii=False)})
    onnx.checker.check_model(graph)
    return graph
