"""Any CLIP model of the ``transformers`` library as a backbone, with prompts at every layer.

Model: Radford et al., "Learning transferable visual models from natural language supervision", ICML 2021.
Pictures and text share one space already, so nothing has to be aligned. The transformer is the library's own, and its
attention takes prompts: ``attention.py``.
"""

from __future__ import annotations

import hashlib
import json
from abc import abstractmethod
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional
from transformers import CLIPModel
from transformers.utils.constants import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD

from remodal.backbones.anatomies import run
from remodal.backbones.attention import take_prompts
from remodal.backbones.base import Backbone
from remodal.backbones.encoder import Encoder
from remodal.backbones.engine import Engine
from remodal.backbones.settings import ClipSettings
from remodal.backbones.tower import Tower
from remodal.errors import RemodalError
from remodal.modalities import get_visual

STEM_VERSION = "1"
"""Raised whenever pictures or tokens are computed in another way."""
TEMPLATES = ("a photo of a {}.", "a video of {}.", "the sound of {}.", "a depth map of {}.")
SENTENCES_AT_ONCE = 64
FILES = ("config.json", "*.safetensors", "tokenizer.json")
VALID_FOLDER = f"valid: a folder with the {', '.join(FILES)} of a transformers CLIPModel"


class ClipEncoder(Encoder):
    """What the two encoders share: the layers of a frozen transformer, and features in the text space."""

    def __init__(self, transformer: Any, projection: nn.Linear, *, causal: bool, skipped: int) -> None:
        take_prompts(transformer)
        self._transformer = transformer.eval().requires_grad_(False)
        self._projection = projection.requires_grad_(False)
        self._causal = causal
        layers = list(transformer.encoder.layers)
        if not 0 <= skipped < len(layers):
            valid = f"valid for this model: 0 to {len(layers) - 1}"
            raise RemodalError(f"setting backbone.prompt_from_layer: found {skipped}; {valid}")
        self._stem_layers, self._head_layers = layers[:skipped], layers[skipped:]
        self.layers = len(self._head_layers)
        self.width = transformer.config.hidden_size
        self.feature_width = self.identity_width = projection.out_features

    @abstractmethod
    def tokens(self, inputs: NDArray[Any]) -> Tensor:
        """:meth:`stem` before its rounding to float16: float32 ``[frames, tokens, width]``."""

    def stem(self, inputs: NDArray[Any]) -> NDArray[np.float16]:
        """:meth:`tokens` in float16, the precision that CLIP was trained in."""
        return self.tokens(inputs).numpy().astype(np.float16)

    def align(self, features: Tensor) -> Tensor:
        """The features themselves."""
        return features

    def pooled(self, tokens: Tensor) -> Tensor:
        """The frozen model's own embedding, L2-normalised."""
        return functional.normalize(self.embed(tokens, None), dim=-1)

    def _run(self, layers: list[nn.Module], tokens: Tensor, prompts: Tensor | None) -> Tensor:
        """``tokens`` ``[n, tokens, width]`` through ``layers``, each with its own prompt."""
        return run(layers, tokens, prompts, {"attention_mask": None, "is_causal": self._causal})[0]


class ClipVision(ClipEncoder):
    """Reads pictures, and the pictures of video, audio and depth; one token a patch, after the CLS token.

    model: its ``vision_model`` is frozen and used in place; without prompts it works as before.
    prompt_from_layer: the layers below belong to the stem: their output is cached, and they take no prompts.
    mean, std: of red, green and blue (0 to 1), by which the model's training data were normalised.
    """

    name = "vision"

    def __init__(
        self,
        model: CLIPModel,
        prompt_from_layer: int = 0,
        mean: Sequence[float] = OPENAI_CLIP_MEAN,
        std: Sequence[float] = OPENAI_CLIP_STD,
    ) -> None:
        super().__init__(model.vision_model, model.visual_projection, causal=False, skipped=prompt_from_layer)
        self._size: int = self._transformer.config.image_size
        self._mean, self._std = (torch.tensor(channels).view(3, 1, 1) for channels in (mean, std))

    def prepare(self, modality: str, medium: Any) -> NDArray[np.uint8]:
        """Pictures ``[frames, size, size, 3]`` of the size that the model was trained on."""
        return get_visual(modality).pictures(medium, self._size)

    @torch.no_grad()
    def tokens(self, inputs: NDArray[Any]) -> Tensor:
        """CLS and patches with their positions, after the stem's layers: ``[frames, patches + 1, width]``."""
        pictures = torch.from_numpy(inputs).permute(0, 3, 1, 2).contiguous()
        embedded = self._transformer.embeddings((pictures / 255 - self._mean) / self._std)
        return self._run(self._stem_layers, self._transformer.pre_layrnorm(embedded), None)

    def embed(self, tokens: Tensor, prompts: Tensor | None) -> Tensor:
        """The projected CLS token, mean over the frames.

        The order of the frames has no effect: a temporal position is not part of a CLIP model.
        """
        last = self._run(self._head_layers, tokens.float().flatten(0, 1), prompts)
        features: Tensor = self._projection(self._transformer.post_layernorm(last[:, 0]))
        return features.reshape(*tokens.shape[:2], -1).mean(1)


class ClipText(ClipEncoder):
    """Reads sentences; longer ones are cut to the model's context length, their end token kept.

    The tokens are the embeddings, up to the end token; the rows after it are zero. No real row is, so the end
    can be found in the tokens, and the causal mask hides whatever comes after it.

    model: its ``text_model`` is frozen and used in place; without prompts it works as before.
    tokenizer: gives a sentence's token numbers, the end token last; it is set to the model's context length.
    """

    name = "text"

    def __init__(self, model: CLIPModel, tokenizer: Tokenizer) -> None:
        super().__init__(model.text_model, model.text_projection, causal=True, skipped=0)
        self._context: int = self._transformer.config.max_position_embeddings
        self._tokenizer = tokenizer
        self._tokenizer.enable_truncation(self._context)
        self._tokenizer.no_padding()

    def prepare(self, modality: str, medium: str) -> NDArray[np.int64]:
        """A sentence's token numbers ``[1, context]``, padded with -1."""
        numbers = self._tokenizer.encode(medium).ids
        row = np.full((1, self._context), -1, dtype=np.int64)
        row[0, : len(numbers)] = numbers
        return row

    @torch.no_grad()
    def tokens(self, inputs: NDArray[Any]) -> Tensor:
        """Embeddings with their positions, zero after the end token: ``[n, context, width]``."""
        numbers = torch.from_numpy(inputs)
        embedded: Tensor = self._transformer.embeddings(input_ids=numbers.clamp(min=0))
        return embedded * (numbers >= 0)[..., None]

    def embed(self, tokens: Tensor, prompts: Tensor | None) -> Tensor:
        """The projected end token. Rows that no sentence of the batch uses aren't computed."""
        sentences = tokens[:, 0].float()
        ends = sentences.any(-1).sum(1) - 1
        last = self._run(self._head_layers, sentences[:, : int(ends.max()) + 1], prompts)
        end_tokens = last[torch.arange(len(ends)), ends]
        features: Tensor = self._projection(self._transformer.final_layer_norm(end_tokens))
        return features

    def sentences(self, texts: Sequence[str]) -> Tensor:
        """The frozen model's embeddings ``[n, d]``, L2-normalised."""
        rows = np.concatenate([self.prepare("text", text) for text in texts])
        parts = (rows[start : start + SENTENCES_AT_ONCE] for start in range(0, len(rows), SENTENCES_AT_ONCE))
        return torch.cat([self.pooled(self.tokens(part)[:, None]) for part in parts])


class ClipBackbone(Backbone):
    """A folder as ``CLIPModel.save_pretrained`` writes it, with its tokenizer; only safetensors are read.

    settings: ``prompt_from_layer`` is the vision tower's; text, whose layers are cheap, takes prompts at every one.

    Raises:
        RemodalError: The folder isn't there or holds no complete CLIP model, or there is no such layer.
    """

    name = "clip"
    settings: ClipSettings

    def __init__(self, folder: Path, engine: Engine | None = None, settings: ClipSettings | None = None) -> None:
        self._folder, self.settings = folder, settings or ClipSettings()
        model, tokenizer, preprocessing = _load(folder)
        mean = preprocessing.get("image_mean", OPENAI_CLIP_MEAN)
        std = preprocessing.get("image_std", OPENAI_CLIP_STD)
        self._text = ClipText(model, tokenizer)
        vision = ClipVision(model, self.settings.prompt_from_layer, mean, std)
        self.towers = {"vision": Tower(vision), "text": Tower(self._text)}
        self.reads = dict.fromkeys(("image", "video", "audio", "depth"), "vision") | {"text": "text"}
        self.width = self._text.feature_width
        self.logit_scale = model.logit_scale.exp().item()

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the folder's weights, settings and vocabulary, and of what this module makes of them."""
        digest = hashlib.sha256(f"{STEM_VERSION}:{self.settings.prompt_from_layer}".encode())
        for file in sorted(self._folder.iterdir()):
            if file.suffix in (".safetensors", ".json", ".txt"):
                with file.open("rb") as stream:
                    digest.update(f"{file.name}:{hashlib.file_digest(stream, 'sha256').hexdigest()}".encode())
        return f"clip-{digest.hexdigest()[:16]}"

    def embed_name(self, name: str) -> Tensor:
        """Mean over the templates, L2-normalised."""
        embedded = self._text.sentences([template.format(name) for template in TEMPLATES])
        return functional.normalize(embedded.mean(0), dim=-1)


def _load(folder: Path) -> tuple[CLIPModel, Tokenizer, dict[str, Any]]:
    """The model, its tokenizer, and how it wants its pictures (empty where the folder doesn't say)."""
    for file in FILES:
        if not any(folder.glob(file)):
            raise RemodalError(f"{folder}: found no {file if folder.is_dir() else 'folder'}; {VALID_FOLDER}")
    try:
        kind = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("model_type")
        if kind != "clip":
            raise ValueError(f"found a model of type {kind!r}")
        loaded: Any = CLIPModel.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, dtype=torch.float32, output_loading_info=True
        )
        model, report = loaded
        if missing := sorted(report["missing_keys"]):  # the library would put random numbers in their place
            raise ValueError(f"found weights without {missing[0]} ({len(missing)} in all are missing)")
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        pictures = folder / "preprocessor_config.json"
        preprocessing = json.loads(pictures.read_text(encoding="utf-8")) if pictures.exists() else {}
    except Exception as error:  # of a broken file the libraries raise whatever their parts raise
        raise RemodalError(f"{folder}: {' '.join(str(error).split())}; {VALID_FOLDER}") from error
    return model, tokenizer, preprocessing
