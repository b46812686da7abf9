"""One colour a modality, the same all over the page, in the light and in the dark.

Okabe & Ito, "Color universal design" (2008): told apart by people who see fewer colours. A name always stands by.
"""

from __future__ import annotations

COLOURS = {
    "image": "#0072b2",
    "video": "#d55e00",
    "audio": "#009e73",
    "depth": "#cc79a7",
    "text": "#e69f00",
}
OTHER = "#888888"

# Nine colours of viridis (van der Walt & Smith, matplotlib), from dark to bright, for maps of depth.
VIRIDIS = (
    "#440154", "#472d7b", "#3b528b", "#2c728e", "#21918c", "#28ae80", "#5ec962", "#addc30", "#fde725",
)  # fmt: skip


def colour(modality: str) -> str:
    """The colour of a modality, as CSS writes it; a grey for one that isn't known here.

    >>> colour("image"), colour("touch")
    ('#0072b2', '#888888')
    """
    return COLOURS.get(modality, OTHER)
