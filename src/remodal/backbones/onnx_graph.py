"""ONNX graphs: traced from torch modules, and run."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Mapping
from contextlib import redirect_stdout
from typing import Any

import torch
from torch import Tensor, nn

OPSET = 17


def onnx_runtime() -> Any:
    """ONNX Runtime, kept from reporting on its user.

    From 1.29 on it sends what runs where to its maker and keeps an identifier of the machine, unless this variable
    says otherwise before it is imported (microsoft/onnxruntime, pull request 27379).
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    return onnxruntime


def session(graph: str | bytes) -> Any:
    """What runs a graph, a file's path or its bytes, on a CPU, each call in the thread that makes it.

    Calls run side by side: threads inside one would wait for each other at every layer.
    """
    runtime = onnx_runtime()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return runtime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def traced(
    module: nn.Module, inputs: Mapping[str, Tensor], output: str, varying: Mapping[str, Mapping[int, str]]
) -> bytes:
    """The graph of a module. inputs: by name, what it is traced with. varying: by input or output, the dimensions that
    may have another length, and what they count.
    """
    written = io.BytesIO()
    # the tracer remarks on constants, and prints the whole graph where it can't go on
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()), torch.inference_mode():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module.eval(),  # else all of it, frozen networks too, is left as if it trained
            tuple(inputs.values()),
            written,  # type: ignore[arg-type]  # a file object is accepted by the tracing exporter
            input_names=list(inputs),
            output_names=[output],
            dynamic_axes=varying,
            opset_version=OPSET,
            dynamo=False,
        )
    return written.getvalue()
