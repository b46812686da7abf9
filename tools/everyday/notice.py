"""``NOTICE.md``: whose work the items are, and under which licence; the prose is in ``notice.md.in``."""

from __future__ import annotations

import json
import re
import textwrap
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

TEMPLATE = Path(__file__).with_name("notice.md.in")
LICENCE_TEXTS = {
    "Apache-2.0": "https://www.apache.org/licenses/LICENSE-2.0",
    "CC-BY-3.0": "https://creativecommons.org/licenses/by/3.0/",
    "CC-BY-4.0": "https://creativecommons.org/licenses/by/4.0/",
    "CC0-1.0": "https://creativecommons.org/publicdomain/zero/1.0/",
    "ISC": "text below",
    "MIT": "text below",
    "OFL-1.1": "https://openfontlicense.org",
}
LIBRARY_COPYRIGHTS = {
    "BlendSwap-CC-0": "by the Blend Swap contributors named",
    "BlendSwap-CC-BY": "by the Blend Swap contributors named",
    "KatorLegaz": "copyright 2003-2008 Andrew Kator & Jennifer Legaz",
    "Reallusion": "copyright 2008-2016 Reallusion",
    "Scopia": "copyright Emmanuel Puybaret / eTeks and Scopia Visual Interfaces Systems",
}


def rows(stream: Path, modality: str) -> list[dict[str, Any]]:
    """The items of a modality, without their media."""
    table = pq.read_table(stream / f"{modality}.parquet", columns=["id", "group", "licence", "attribution"])
    return list(table.to_pylist())


def icon_sets(stream: Path, sources: Path) -> str:
    """A list of icon sets for each licence, with the number of drawings."""
    collections = json.loads((sources / "iconify-json/collections.json").read_text())
    counts = Counter((row["licence"], row["id"].split("/")[2].split(":")[0]) for row in rows(stream, "image"))
    lines = []
    for licence in sorted({licence for licence, _ in counts}):
        lines += [f"### {licence} ({LICENCE_TEXTS[licence]})", ""]
        for (_, name), count in sorted(entry for entry in counts.items() if entry[0][0] == licence):
            author = collections[name]["author"]
            url = f", {author['url']}" if author.get("url") else ""
            lines.append(f"- {collections[name]['name']} (`{name}`, {count}) by {author['name']}{url}")
        lines.append("")
    return "\n".join(lines)


def wordnet_licence(sources: Path) -> str:
    """WordNet's licence, quoted."""
    text = (sources / "wordnet-base/usr/share/doc/wordnet-base/copyright").read_text()
    quoted = text[text.index(" This software and database is") : text.index("Files: debian")].strip()
    return "\n".join(f"> {line.strip()}" if line.strip() != "." else ">" for line in quoted.splitlines())


def models(stream: Path) -> str:
    """A list of 3-D models for each library of the catalogue, by creator."""
    found: defaultdict[tuple[str, str], set[tuple[str, str, str]]] = defaultdict(set)
    for row in rows(stream, "depth"):
        read = re.fullmatch(r"(.*) by (.*), Sweet Home 3D furniture library (.*)", row["attribution"])
        if read is None:
            raise SystemExit(f"found no name, maker and library in the attribution {row['attribution']!r}")
        name, creator, library = read.groups()
        found[library, row["licence"]].add((creator, name, row["group"]))
    lines = []
    for (library, licence), own in sorted(found.items()):
        lines += [f"### {library} ({licence}), {LIBRARY_COPYRIGHTS[library]}", ""]
        for creator in sorted({creator for creator, _, _ in own}):
            names = Counter(name for maker, name, _ in own if maker == creator)
            listed = ", ".join(name + (f" ({count})" if count > 1 else "") for name, count in sorted(names.items()))
            line = f"- {creator}: {listed}"
            lines.append(textwrap.fill(line, 118, subsequent_indent="  ", break_on_hyphens=False))
        lines.append("")
    return "\n".join(lines)


def write(stream: Path, sources: Path) -> None:
    """Writes ``NOTICE.md`` beside the items in the folder ``stream``."""
    notice = TEMPLATE.read_text().format(
        icon_sets=icon_sets(stream, sources),
        wordnet_licence=wordnet_licence(sources),
        models=models(stream),
    )
    (stream / "NOTICE.md").write_text(notice)
