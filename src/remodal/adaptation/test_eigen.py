"""What stands for eigenvalues where torch's own solver gives up."""

from __future__ import annotations

import pytest
import torch

from remodal.adaptation.eigen import eigh
from remodal.training.seeding import generator


def grams_of_rows_that_stand_twice(dtype: torch.dtype) -> list[torch.Tensor]:
    """Half of the rows hold nothing, and each other row stands there three times."""
    found = []
    for seed in range(50):
        draws = generator(seed, "rows")
        rows = torch.zeros(264, 40, dtype=dtype)
        filled = torch.randperm(264, generator=draws)[:132]
        rows[filled] = torch.randn(44, 40, generator=draws, dtype=dtype).repeat(3, 1)
        found.append(rows @ rows.T)
    return found


def agrees(matrix: torch.Tensor) -> None:
    """Orthonormal vectors, ascending values, and the matrix out of both."""
    values, vectors = eigh(matrix)
    precision = 100 * torch.finfo(matrix.dtype).eps
    assert values.dtype == vectors.dtype == matrix.dtype
    assert (values.diff() >= 0).all()
    torch.testing.assert_close(vectors.T @ vectors, torch.eye(len(values)).to(matrix), rtol=0, atol=precision)
    found = vectors * values @ vectors.T
    torch.testing.assert_close(found, matrix, rtol=0, atol=float(precision * values[-1]))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_repeated_eigenvalues_are_found(dtype: torch.dtype) -> None:
    """In float32 torch's solver alone gives up on many of these, where it is MKL's."""
    for matrix in grams_of_rows_that_stand_twice(dtype):
        agrees(matrix)


def test_a_solver_that_gives_up_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the machine's own LAPACK never does."""

    def gives_up(matrix: torch.Tensor) -> None:
        raise torch.linalg.LinAlgError("failed to converge")

    matrix = grams_of_rows_that_stand_twice(torch.float64)[0]
    expected = torch.linalg.eigvalsh(matrix)
    monkeypatch.setattr(torch.linalg, "eigh", gives_up)
    agrees(matrix)
    torch.testing.assert_close(eigh(matrix)[0], expected)


def test_what_is_not_finite_has_no_eigenvalues() -> None:
    """Nor do solvers agree on what to do with it."""
    values, vectors = eigh(torch.tensor([[1.0, torch.inf], [torch.inf, 1.0]]))
    assert values.shape == (2,)
    assert vectors.shape == (2, 2)
    assert torch.cat([values[None], vectors]).isnan().all()
