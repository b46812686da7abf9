"""Eigenvalues of symmetric matrices, also where the fast solver gives up.

LAPACK's divide and conquer (``syevd``), which torch calls, may not converge where eigenvalues repeat. Intel's MKL gives
up on one or two in a thousand Gram matrices of rows that stand there more than once; in single precision on more than
a third, and some of these it answers with NaN. Items that are alike, or that hold nothing, give such rows. NumPy has a
LAPACK of its own (OpenBLAS's), which gave up on none of 3,000 such matrices, among them 104 on which MKL's did.
"""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import torch
from torch import Tensor


def eigh(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues ``[n]``, ascending, and eigenvectors ``[n, n]`` as columns, of a symmetric ``matrix`` ``[n, n]``.

    All are NaN where a number of the matrix isn't finite.

    >>> values, vectors = eigh(torch.tensor([[2.0, 0.0], [0.0, 1.0]]))
    >>> values.tolist()
    [1.0, 2.0]
    """
    if not matrix.isfinite().all():
        return torch.full_like(matrix[:, 0], torch.nan), torch.full_like(matrix, torch.nan)
    with suppress(torch.linalg.LinAlgError):  # type: ignore[attr-defined]
        values, vectors = torch.linalg.eigh(matrix)
        if values.isfinite().all():
            return values, vectors
    values, vectors = np.linalg.eigh(matrix.detach().cpu().numpy())
    return torch.from_numpy(values).to(matrix), torch.from_numpy(vectors).to(matrix)
