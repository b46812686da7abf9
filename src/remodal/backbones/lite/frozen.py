"""A frozen network, run where it is fastest: ONNX Runtime on a CPU, torch on a GPU."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from remodal.backbones.engine import CPU
from remodal.backbones.onnx_graph import session, traced
from remodal.files import replacing


class FrozenNetwork:
    """Runs a torch module on arrays, without gradients; the batch is the first dimension of every input.

    It may be called from several threads at once; on a CPU each call computes in the thread that makes it.

    build: makes the module (called only when it is needed). example: inputs by name, to trace the export with.
    file: where the exported graph is kept; it is written once, atomically, and read by later processes.
    dynamic: further dimensions that vary, by input name. device: where it computes.
    """

    def __init__(
        self,
        build: Callable[[], nn.Module],
        example: Mapping[str, Tensor],
        file: Path,
        *,
        dynamic: Mapping[str, Mapping[int, str]] | None = None,
        device: torch.device = CPU,
    ) -> None:
        self._build, self._example, self._file = build, dict(example), file
        self._dynamic = {name: {0: "batch", **(dynamic or {}).get(name, {})} for name in example}
        self.device = device
        self._loading = threading.Lock()

    def __call__(self, **inputs: NDArray[Any]) -> NDArray[np.float32]:
        """The module's output, float32."""
        if self.device.type == "cpu":
            with self._loading:  # by one thread, the others wait for it
                session = self._session
            output: NDArray[np.float32] = session.run(None, dict(inputs))[0]
            return output
        tensors = [torch.from_numpy(inputs[name]).to(self.device) for name in self._example]
        with self._loading:
            module = self.module
        with torch.inference_mode():
            return np.asarray(module(*tensors).float().cpu().numpy())

    @cached_property
    def module(self) -> nn.Module:
        """The torch module itself, frozen, on its device."""
        with CPU:  # wherever the caller makes its tensors: libraries load a model as they find it
            module = self._build()
        return module.eval().requires_grad_(False).to(self.device)

    @cached_property
    def _session(self) -> Any:
        if not self._file.exists():
            graph = traced(self.module, self._example, "output", {**self._dynamic, "output": {0: "batch"}})
            with replacing(self._file) as part:
                part.write_bytes(graph)
        return session(str(self._file))
