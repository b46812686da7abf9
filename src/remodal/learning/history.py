"""``history.jsonl``: what happened while learning, one line an epoch, as plain data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from remodal.files import write_text


class History:
    """Appends records to a file; a resumed run cuts off what a killed one wrote after its last checkpoint."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.lines = 0

    def truncate(self, lines: int) -> None:
        """Keep the first ``lines`` records."""
        kept = self._path.read_text().splitlines(keepends=True)[:lines] if self._path.exists() else []
        write_text(self._path, "".join(kept))
        self.lines = len(kept)

    def write(self, record: dict[str, Any]) -> None:
        """Add one record."""
        with self._path.open("a") as file:
            file.write(json.dumps(record) + "\n")
        self.lines += 1
