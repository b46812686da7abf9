"""Rebuilds the embedded stream ``everyday`` from the packages that ``fetch.sh`` fetches.

    python tools/everyday/build.py [--only image] [--check]

Writes one Parquet file a modality, ``everyday.json`` and ``NOTICE.md``, and compares the content with what
``everyday.json`` held before: exit status 0 where they agree, 1 where not. ``--check`` compares and writes nothing.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tempfile
from collections import Counter
from pathlib import Path

import audio
import depth
import image
import item
import notice
import text
import video
from item import Item

HERE = Path(__file__).resolve().parent
STREAM = HERE.parents[1] / "src/remodal/streams/everyday"
SCHEMA = 1
MODALITIES = {"image": image, "text": text, "audio": audio, "depth": depth, "video": video}
SOURCES = {
    "image": {"package": "@iconify/json", "registry": "npm", "version": image.VERSION},
    "text": {"package": "wordnet-base", "registry": "Debian", "version": "1:3.0-37"},
    "audio": {"package": "fluid-soundfont-gm", "registry": "Debian", "version": audio.VERSION},
    "depth": {"package": "sweethome3d-furniture", "registry": "Debian", "version": depth.VERSION},
    "video": {"package": "pybullet", "registry": "PyPI", "version": video.VERSION},
}


def described(name: str, items: list[Item], file: Path) -> dict[str, object]:
    """What ``everyday.json`` says of one modality."""
    return {
        "file": file.name,
        "source": SOURCES[name],
        "classes": {
            label: {"train": counts["train"], "test": counts["test"]}
            for label in sorted({each.label for each in items})
            if (counts := Counter(each.split for each in items if each.label == label))
        },
        "train": sum(each.split == "train" for each in items),
        "test": sum(each.split == "test" for each in items),
        "licences": dict(sorted(Counter(each.licence for each in items).items())),
        "content_sha256": item.content_hash(items),
        "file_sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
    }


def refuse_faults(items: list[Item]) -> None:
    """Stops the build where an id comes twice or a source group lies on both sides of the split."""
    twice = [name for name, count in Counter(each.id for each in items).items() if count > 1]
    groups = {split: {each.group for each in items if each.split == split} for split in ("train", "test")}
    torn = groups["train"] & groups["test"]
    if twice or torn:
        raise SystemExit(f"ids that come twice: {twice}; groups on both sides of the split: {sorted(torn)}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=MODALITIES, help="build one modality")
    parser.add_argument("--check", action="store_true", help="compare and write nothing")
    parser.add_argument("--sources", type=Path, default=HERE / "sources", help="what fetch.sh filled")
    arguments = parser.parse_args()

    manifest = STREAM / "everyday.json"
    recorded = json.loads(manifest.read_text())["modalities"] if manifest.exists() else {}
    found = dict(recorded)
    agree = True
    with tempfile.TemporaryDirectory() as scratch:
        for name in [arguments.only] if arguments.only else MODALITIES:
            items = MODALITIES[name].build(arguments.sources)
            refuse_faults(items)
            file = (Path(scratch) if arguments.check else STREAM) / f"{name}.parquet"
            item.write(items, file)
            found[name] = described(name, items, file)
            same = found[name]["content_sha256"] == recorded.get(name, {}).get("content_sha256")
            agree = agree and same
            size = file.stat().st_size / 1e6
            print(f"{name}: {len(items)} items, {size:.1f} MB, content {'agrees' if same else 'DIFFERS'}", flush=True)
    if not arguments.check:
        ordered = {name: found[name] for name in sorted(found)}
        manifest.write_text(json.dumps({"schema": SCHEMA, "modalities": ordered}, indent=2) + "\n")
        notice.write(STREAM, arguments.sources)
    return 0 if agree else 1


if __name__ == "__main__":
    sys.exit(main())
