"""The name of a class: what is taken as one, and how it is written."""

from __future__ import annotations

from unicodedata import normalize

from remodal.characters import STEERING, printable
from remodal.errors import BadItem

LONGEST = 200
"""Letters of a class's name."""
QUOTED = 40
"""Letters of a refused name that are shown."""


def checked_label(label: str, where: str) -> str:
    r"""``label`` as it is kept: in Unicode's form NFC, each run of white space one space, none around.

    So the names that different systems give to one folder are one class. where: names the item, for the message.

    Raises:
        BadItem: It is blank, longer than ``LONGEST`` letters, or holds characters that nobody sees.

    >>> checked_label(" guide\tdog ", "a.png"), checked_label("cafe\u0301", "a.png") == "caf\u00e9"
    ('guide dog', True)
    >>> checked_label("\x1b[2Jdog", "a.png")
    Traceback (most recent call last):
    ...
    remodal.errors.BadItem: a.png: found a label with the character \u001b: '\u001b[2Jdog'; valid: visible letters
    """
    spaced = " ".join(label.split())
    # what no form can make short enough isn't normalised: that takes long for a pile of accents
    name = normalize("NFC", spaced) if len(spaced) <= 4 * LONGEST else spaced
    if not name:
        raise BadItem(where, "found a blank label; valid: the name of a class")
    if len(name) > LONGEST:
        found = f"found a label of {len(name):,} letters, {_quoted(name)}"
        raise BadItem(where, f"{found}; valid: at most {LONGEST}")
    if control := STEERING.search(name):
        found = f"found a label with the character {printable(control[0])}: {_quoted(name)}"
        raise BadItem(where, f"{found}; valid: visible letters")
    return name


def _quoted(name: str) -> str:
    cut = "..." if len(name) > QUOTED else ""
    return f"'{printable(name[:QUOTED])}{cut}'"
