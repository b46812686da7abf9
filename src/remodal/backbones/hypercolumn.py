"""Hypercolumn tokens: one frozen pass of a CNN keeps what its last layer throws away.

The last layer of a classifier says *what* is in a photo; drawings, depth maps, log-mel pictures and movements also
need texture, layout and order, which live in the earlier blocks (measured in ``docs/design.md``). A cell's hypercolumn
is the concatenation of several blocks' channels (Hariharan et al., "Hypercolumns for object segmentation and
fine-grained localization", CVPR 2015), averaged here to a 4x4 grid. A frame is four tokens of that width:

=====  ==============================================================================
token  over the 16 cells
=====  ==============================================================================
0      mean
1      standard deviation
2      mean of value x sign(channel, row): a signed binding, so that *where* survives
3      mean of value x sign(channel, column)
=====  ==============================================================================

The signs are fixed: drawn once from seed 0 (random-sign bindings as in Plate, "Holographic reduced representations",
1995).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

GRID = 4
"""Cells a side."""
TOKENS = 4
"""Tokens a frame."""


def signs(*shape: int, seed: int = 0) -> Tensor:
    """Fixed random +1/-1 of ``shape``."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 2, shape, generator=generator) * 2.0 - 1.0


def cell_means(level: Tensor) -> Tensor:
    """Mean of a square map ``[n, channels, side, side]`` over each of 4x4 equal cells ``[n, channels, 4, 4]``.

    Where a cell's border cuts a pixel of the map, the pixel counts in both cells by its area.

    >>> cell_means(torch.arange(5.0).expand(1, 1, 5, 5))[0, 0, 0]
    tensor([0.2000, 1.4000, 2.6000, 3.8000])
    """
    side = level.shape[-1]
    if side % GRID == 0:
        return functional.avg_pool2d(level, side // GRID)
    edges, cell = torch.arange(side), torch.arange(GRID)[:, None] * side / GRID
    share = (torch.minimum(edges + 1, cell + side / GRID) - torch.maximum(edges, cell)).clamp(min=0) * GRID / side
    return share @ level @ share.T


class Hypercolumns(nn.Module):
    """Pictures ``[n, size, size, 3]`` (RGB, float32, normalised as the network expects) -> tokens ``[n, 4, width]``.

    blocks: the network's blocks, first to last; levels: positions of the blocks to keep; stem, head: what comes before
    the first and after the last block. The head's channels come last in a token.
    """

    def __init__(
        self,
        stem: nn.Module,
        blocks: Sequence[nn.Module],
        head: nn.Module,
        levels: Sequence[int],
        width: int,
    ) -> None:
        super().__init__()
        self.stem, self.blocks, self.head = stem, nn.ModuleList(blocks), head
        self.levels = frozenset(levels)
        self.register_buffer("row_signs", signs(width, GRID, 1, seed=0), persistent=False)
        self.register_buffer("column_signs", signs(width, 1, GRID, seed=1), persistent=False)

    def forward(self, pictures: Tensor) -> Tensor:
        """Tokens of a batch of pictures."""
        x = self.stem(pictures.permute(0, 3, 1, 2))
        kept = []
        for position, block in enumerate(self.blocks):
            x = block(x)
            if position in self.levels:
                kept.append(x)
        kept.append(self.head(x))
        cells = torch.cat([cell_means(level) for level in kept], dim=1)
        average = cells.mean((2, 3))
        spread = ((cells - average[..., None, None]) ** 2).mean((2, 3)).sqrt()
        rows = (cells * cast(Tensor, self.row_signs)).mean((2, 3))
        columns = (cells * cast(Tensor, self.column_signs)).mean((2, 3))
        return torch.stack([average, spread, rows, columns], dim=1)
