"""Text. It has no pictures: another encoder reads it."""

from __future__ import annotations

from remodal.modalities.base import MAX_TEXT_BYTES, Modality, Refused


class Text(Modality):
    """One text: a ``str``, as it was written, without white space at its ends."""

    name = "text"
    suffixes = frozenset({".txt"})
    valid = "UTF-8 text"

    def decode(self, data: bytes, *, where: str, unit: str | None = None) -> str:
        """Read UTF-8, strictly; a byte order mark is dropped."""
        return self.checked(_read, data, where)


def _read(data: bytes) -> str:
    if len(data) > MAX_TEXT_BYTES:
        raise Refused(f"found a text of {len(data):,} bytes; valid: at most {MAX_TEXT_BYTES:,}")
    text = data.decode("utf-8-sig").strip()
    if not text:
        raise Refused("found only white space; valid: at least one character")
    return text
