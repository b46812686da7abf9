"""What a run is asked to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from remodal.settings import Settings
from remodal.streams import StreamSettings

Features = Literal["shared", "published"]
"""``shared``: the backbone's own tokens and pooling. ``published``: its last layer's mean token, as most papers do."""


class RunSettings(Settings):
    """A run's settings, as they stand in ``settings.json``.

    ``options`` are the method's own, ``backbone_options`` the backbone's; those that aren't named have their defaults.
    """

    stream: str
    method: str = "remodal"
    backbone: str = "lite"
    features: Features = "shared"
    order: str = "random"
    seed: int = Field(0, ge=0)
    options: dict[str, Any] = Field(default_factory=dict)
    stream_options: StreamSettings = StreamSettings()
    backbone_options: dict[str, Any] = Field(default_factory=dict)

    def completed(self, recorded: Mapping[str, Any]) -> dict[str, Any]:
        """What :meth:`as_json` once gave; what that version did not know of stands at its default."""
        from remodal.backbones import registered

        defaults = {"stream": StreamSettings(), "backbone": registered(self.backbone).options()}
        groups = dict(recorded["settings"])
        for group, default in defaults.items():
            groups[group] = {**default.model_dump(mode="json"), **groups.get(group, {})}
        return {**recorded, "settings": groups}

    def as_json(self) -> dict[str, Any]:
        """Plain data, with every setting's value, defaults too."""
        from remodal.backbones import registered
        from remodal.methods import methods

        of_method = methods.get(self.method).options.checked(self.options)
        of_backbone = registered(self.backbone).options.checked(self.backbone_options)
        return {
            "stream": self.stream,
            "method": self.method,
            "backbone": self.backbone,
            "features": self.features,
            "order": self.order,
            "seed": self.seed,
            "settings": {
                "method": of_method.model_dump(mode="json"),
                "stream": self.stream_options.model_dump(),
                "backbone": of_backbone.model_dump(mode="json"),
            },
        }
