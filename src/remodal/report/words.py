"""Numbers as a person reads them."""

from __future__ import annotations

UNKNOWN = "–"
PARTS = {
    "load": "load",
    "decode": "decode",
    "stem": "frozen features",
    "learn": "learn",
    "evaluate": "evaluate",
    "save": "save",
    "other": "other",
}
"""What a run's time goes to, as in ``results.json`` and in words."""


def percent(share: float | None) -> str:
    """A share as per cent; the space doesn't break.

    >>> percent(0.8664).split(), percent(None)
    (['86.6', '%'], '–')
    """
    return UNKNOWN if share is None else f"{100 * share:.1f}\N{NO-BREAK SPACE}%"


def points(difference: float | None, *, signed: bool = False) -> str:
    """A difference of two shares, in percentage points.

    >>> points(0.0425), points(-0.1), points(0.0628, signed=True), points(-0.00001)
    ('4.2', '−10.0', '+6.3', '0.0')
    """
    if difference is None:
        return UNKNOWN
    rounded = round(100 * difference, 1) or 0.0
    sign = "+" if signed and rounded > 0 else "−" if rounded < 0 else ""
    return f"{sign}{abs(rounded):.1f}"


def count(number: int) -> str:
    """A whole number with its thousands apart.

    >>> count(2566660)
    '2,566,660'
    """
    return f"{number:,}"


def seconds(time: float) -> str:
    """A duration.

    >>> seconds(0.042), seconds(20.38), seconds(185)
    ('0.04 s', '20.4 s', '3 min 5 s')
    """
    if time >= 60:
        return f"{int(time // 60)} min {time % 60:.0f} s"
    return f"{time:.1f} s" if time >= 1 else f"{time:.2f} s"


def size(number: int) -> str:
    """A number of bytes.

    >>> size(512), size(47017472), size(3 * 2**30)
    ('0.5 KiB', '44.8 MiB', '3.0 GiB')
    """
    power = min(max((number.bit_length() - 1) // 10, 1), 3)
    return f"{number / 1024**power:.1f} {('KiB', 'MiB', 'GiB')[power - 1]}"


def plural(number: int, noun: str) -> str:
    """A number of things.

    >>> plural(1, "task"), plural(2, "task"), plural(3, "modality"), plural(2, "class")
    ('1 task', '2 tasks', '3 modalities', '2 classes')
    """
    if number == 1:
        return f"1 {noun}"
    if noun.endswith("y"):
        return f"{count(number)} {noun[:-1]}ies"
    return f"{count(number)} {noun}{'es' if noun.endswith('s') else 's'}"
