"""What can be set of each backbone: apart from the models, so that settings can be checked before a model is loaded."""

from __future__ import annotations

from pydantic import Field

from remodal.settings import Settings


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


class ClipSettings(BackboneSettings):
    """Settings of a CLIP model in a folder; how many layers it has, its folder says."""

    prompt_from_layer: int = Field(
        0, ge=0, le=999, description="vision layers below take no prompts; what they give is stored, which saves time"
    )
