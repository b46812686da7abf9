"""What can be set of each backbone: apart from the models, so that settings can be checked before a model is loaded."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from remodal.settings import Settings

MODALITIES = ("image", "video", "audio", "depth", "text")


class BackboneSettings(Settings):
    """Settings of a frozen model; wherever a user writes one, ``backbone.`` stands before its name."""

    prefix = "backbone."


class LiteSettings(BackboneSettings):
    """Of ``lite``, nothing can be set.

    >>> LiteSettings.checked({"size": 224})
    Traceback (most recent call last):
    ...
    remodal.errors.UnknownName: unknown setting 'backbone.size'; valid: none
    """


class VitSettings(BackboneSettings):
    """Settings of ``vit``.

    >>> VitSettings.checked({"siz": 224})
    Traceback (most recent call last):
    ...
    remodal.errors.UnknownName: unknown setting 'backbone.siz'; did you mean 'backbone.size'? \
valid: backbone.prompt_from_layer, backbone.size
    >>> VitSettings.checked({"size": 100})
    Traceback (most recent call last):
    ...
    remodal.errors.RemodalError: setting backbone.size: found 100; \
valid: a whole number, at least 14, at most 518, a multiple of 14
    """

    size: int = Field(112, ge=14, le=518, multiple_of=14, description="pixels a side of a picture")
    prompt_from_layer: int = Field(
        6, ge=0, le=11, description="layers below take no prompts; what they give is stored, which saves time"
    )


Share = Annotated[float, Field(gt=0, le=1)]
Source = Annotated[str, Field(min_length=1, max_length=1_000)]


class PretrainedSettings(BackboneSettings):
    """Settings of models of ``transformers``, in a folder or by the id that a hub knows them by.

    >>> PretrainedSettings.checked({"levels": [0.5, 2]})
    Traceback (most recent call last):
    ...
    remodal.errors.RemodalError: setting backbone.levels.1: found 2; \
valid: a list, each a number, more than 0, at most 1
    """

    prompt_from_layer: int = Field(
        0,
        ge=0,
        le=999,
        description="layers below take no prompts; what they give is stored, which saves time; not text",
    )
    levels: tuple[Share, ...] = Field(
        (0.6, 0.75, 0.9),
        strict=False,
        min_length=1,
        max_length=8,
        description="layers that features are made of, beside the last one: shares of how many there are",
    )
    centred: bool = Field(True, description="names less the mean of a broad vocabulary; false: as the model has them")


class TowersSettings(PretrainedSettings):
    """Settings of ``towers``: who reads each modality, by a folder or an id; null: nobody."""

    image: Source | None = Field(None, description="model that reads images: a folder, or owner/name")
    video: Source | None = Field(None, description="model that reads videos, or their frames")
    audio: Source | None = Field(None, description="model that reads sounds, or their pictures")
    depth: Source | None = Field(None, description="model that reads depth maps")
    text: Source | None = Field(None, description="model that reads sentences, and the classes' names")

    def sources(self) -> dict[str, str]:
        """The model of each modality that is read."""
        found = {modality: getattr(self, modality) for modality in MODALITIES}
        return {modality: source for modality, source in found.items() if source is not None}
