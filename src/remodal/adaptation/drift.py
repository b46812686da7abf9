"""Drift: when a task trains a modality's prompts, features of earlier items move too, and these items are gone.

How they moved is told from the task's own items, whose features are known before and after: a ridge regression of the
shift on where a feature was. It takes stored means along, and the directions of a stored covariance, since it is
affine. That is the map of DPCR (He et al., "Semantic shift estimation via dual-projection and classifier
reconstruction for exemplar-free class-incremental learning", ICML 2025) without its second projection; the mean shift
of the nearest items (SSIAT: Tan et al., CVPR 2024), which is what it replaces here, moves means alone
(``benchmarks/drift.py`` compares both).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from torch import Tensor

from remodal.adaptation.dual_ridge import DualRidge
from remodal.adaptation.rows import Rows
from remodal.backbones.tokens import chunks


@dataclass(frozen=True)
class Drift:
    """``x -> x + shift(x)``. shift: of a feature ``[width]``, by how the items moved."""

    shift: DualRidge

    @classmethod
    def measured(cls, before: Tensor | Rows, after: Tensor | Rows) -> Self:
        """From features ``[n, width]`` of one set of items before and after.

        At most ``CHUNK`` of them are measured, spread over all.
        """
        some = chunks(len(before))[0]
        start = before[some]
        return cls(DualRidge.fitted(start, after[some] - start))

    def points(self, features: Tensor) -> Tensor:
        """Where features ``[k, width]`` of other items are now."""
        return features + self.shift(features)

    def directions(self, differences: Tensor) -> Tensor:
        """What differences ``[k, width]`` of two features are now."""
        return differences + self.shift.slopes(differences)
