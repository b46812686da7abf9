"""Settings of every test."""

from __future__ import annotations

import torch

# the tests' tensors are small: a second thread would wait for the first far longer than it works
torch.set_num_threads(1)
