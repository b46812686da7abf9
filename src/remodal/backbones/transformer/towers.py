"""Encoders of the ``transformers`` library side by side, one a modality or one for several, and one text space.

A model that was trained on pairs with the text's own (CLIP, SigLIP, CLAP) knows names from the start. What aligns
another one is learned: before a class is learned, nothing is known of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from functools import cached_property
from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import Tensor

from remodal.backbones.base import Backbone
from remodal.backbones.encoder import Encoder
from remodal.backbones.engine import WEIGHTLESS, Engine
from remodal.backbones.names import TEMPLATES, anchor, vocabulary
from remodal.backbones.settings import MODALITIES, PretrainedSettings
from remodal.backbones.tower import Tower
from remodal.backbones.transformer.own_vector import own_vectors
from remodal.backbones.transformer.pretrained import Pretrained
from remodal.errors import RemodalError
from remodal.files import replacing

STEM_VERSION = "1"
"""Raised whenever pictures, sounds, tokens or features are computed in another way."""
LOGIT_SCALE = 20.0
"""Where the model of text has none of its own."""
PAIRED_TEMPLATES = ("a photo of a {}.", "a video of {}.", "the sound of {}.", "a depth map of {}.")
"""Whole sentences, as models of pairs were trained with."""
EVERY = 10
"""So far apart are the names of the broad vocabulary whose mean is taken, with all templates."""


class Towers(Backbone):
    """The models that ``sources`` names read its modalities.

    sources: a folder or an id, by modality; the same for several is one model, loaded once. Or a single one, for all
    modalities that it can read. cache: folder for the mean of the broad vocabulary. modalities: as of
    :func:`~remodal.backbones.load_backbone`.

    Raises:
        RemodalError: A model isn't there, isn't whole or can't read its modality, or none reads text.
    """

    settings: PretrainedSettings

    def __init__(
        self,
        name: str,
        sources: Mapping[str, str] | str,
        cache: Path,
        engine: Engine | None = None,
        settings: PretrainedSettings | None = None,
        modalities: Collection[str] = MODALITIES,
    ) -> None:
        self.name, self.engine, self.settings = name, engine or Engine(), settings or PretrainedSettings()
        named = dict.fromkeys(MODALITIES, sources) if isinstance(sources, str) else sources
        used = {source for modality, source in named.items() if modality in {"text", *modalities}}
        models = {
            source: Pretrained(source, self.engine if source in used else WEIGHTLESS)
            for source in dict.fromkeys(named.values())
        }
        if isinstance(sources, str):
            sources = {modality: sources for modality in MODALITIES if models[sources].can_read(modality)}
        if "text" not in sources:
            raise RemodalError(
                f"backbone {name!r}: found no model that reads text, and so the names of classes; "
                "valid: a CLIP or SigLIP model, or --backbone towers with backbone.text and others"
            )
        self._of_text = models[sources["text"]]
        self._text = self._of_text.text()
        self.width, own_scale = self._text.identity_width, self._of_text.logit_scale
        self._templates = PAIRED_TEMPLATES if own_scale else TEMPLATES
        encoders: dict[tuple[str, str], Encoder] = {(sources["text"], "text"): self._text}
        self.towers, self.reads = {self._text.name: Tower(self._text)}, {}
        for modality, source in sources.items():
            kind = models[source].kind(modality)
            if (source, kind) not in encoders:
                aligned = source == sources["text"]
                encoder = models[source].encoder(kind, self.settings, self.width, aligned=aligned)
                encoder.name = f"{kind}-{modality}" if kind in self.towers else kind
                encoders[source, kind], self.towers[encoder.name] = encoder, Tower(encoder)
            self.reads[modality] = encoders[source, kind].name
        self._read = {modality: models[source] for modality, source in sources.items()}
        self.logit_scale = own_scale or LOGIT_SCALE
        if self.settings.centred and not self.engine.weightless:
            mean = self._mean_name(cache / "towers")
            self._text.centre = self.engine.home_of(mean["centre"])
            self.logit_scale = own_scale * mean["length"].item() if own_scale else LOGIT_SCALE

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the models' files, of who reads what, of settings and precision, and of the stem's version."""
        chosen = self.settings.model_dump_json(include={"prompt_from_layer", "levels"})
        told = [STEM_VERSION, chosen, self.engine.name]
        told += [f"{modality}:{self.reads[modality]}:{model.digest}" for modality, model in sorted(self._read.items())]
        return f"towers-{hashlib.sha256('|'.join(told).encode()).hexdigest()[:16]}"

    def published(self) -> Backbone:
        """What each model itself makes of its last layer, alone."""
        return own_vectors(self)

    def embed_name(self, name: str) -> Tensor:
        """Mean over the templates, centred, L2-normalised."""
        return anchor(name, self._text.sentences, self._text.centre, self._templates)

    def _mean_name(self, folder: Path) -> dict[str, Tensor]:
        """Of a broad vocabulary: the mean embedding of a name, and the mean length of what is left without it."""
        told = f"{STEM_VERSION}:{self._of_text.digest}:{self.engine.name}:{self._templates}"
        file = folder / f"centre-{hashlib.sha256(told.encode()).hexdigest()[:16]}.safetensors"
        if not file.exists():
            names = vocabulary()[::EVERY]
            sentences = [template.format(name) for name in names for template in self._templates]
            embedded = self._text.sentences(sentences).view(len(names), len(self._templates), -1).mean(1).cpu()
            centre = embedded.mean(0)
            with replacing(file) as part:
                save_file({"centre": centre, "length": (embedded - centre).norm(dim=1).mean()}, part)
        return load_file(file)
