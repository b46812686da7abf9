"""One colour and one marker a method, in all figures; hollow and dashed for published features.

Colours are those of Okabe & Ito (2008) and of Tol's muted scheme, told apart by people who see fewer colours; markers
tell the rest.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

from remodal.comparison.plan import Contestant

COLOURS = (
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#882255", "#999933", "#332288",
    "#44aa99", "#aa4499",
)  # fmt: skip
MARKERS = "osD^vP*X<>hp"


class Look(NamedTuple):
    """How a contestant is drawn."""

    colour: str
    marker: str
    hollow: bool

    @property
    def line(self) -> Literal["-", "--"]:
        """Dashed where the marker is hollow."""
        return "--" if self.hollow else "-"

    @property
    def face(self) -> str:
        """Of the marker."""
        return "white" if self.hollow else self.colour


def looks(contestants: Iterable[Contestant]) -> dict[Contestant, Look]:
    """One look each."""
    contestants = list(contestants)
    place = {name: index for index, name in enumerate(dict.fromkeys(one.method for one in contestants))}
    return {one: Look(*_pair(place[one.method]), one.features == "published") for one in contestants}


def _pair(index: int) -> tuple[str, str]:
    """A colour and a marker; the two together come again after 144 methods."""
    again, first = divmod(index, len(COLOURS))
    return COLOURS[first], MARKERS[(first + again) % len(MARKERS)]
