"""Text: WordNet's glosses of the kinds of a class (hyponyms), with the class's own word masked."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from item import Item, split_order, stable_order

VERSION = "3.0"
AT_MOST = 120  # glosses a class, as of drawings
FEWEST_WORDS = 4
TEST_SHARE = 0.25

# The synsets (offsets in data.noun) whose hyponyms make up a class.
ROOTS = {
    "dog": ["02084071"],
    "cat": ["02121620", "02127808"],  # domestic and wild cats; big cats
    "horse": ["02374451"],
    "bird": ["01503061"],
    "fish": ["02512053"],
    "snake": ["01726692"],
    "insect": ["02159955"],
    "tree": ["13104059"],
    "flower": ["11669921"],
    "fruit": ["13134947", "07705931"],  # of a plant, and the edible sense
    "bread": ["07679356"],
    "cheese": ["07850329"],
    "cake": ["07628870"],
    "car": ["02958343"],
    "ship": ["04194289"],
    "aircraft": ["02686568"],
    "chair": ["03001627"],
    "table": ["04379243"],
    "lamp": ["03636649", "03636248"],  # the furniture and the source of light
    "bottle": ["02876657"],
}


@dataclass
class Synset:
    words: list[str]
    gloss: str
    hyponyms: list[str] = field(default_factory=list)


def read_nouns(path: Path) -> dict[str, Synset]:
    """WordNet's ``data.noun``: offset -> synset."""
    synsets = {}
    for line in path.read_text(encoding="latin-1").splitlines():
        if line.startswith("  "):  # the licence, at the head of the file
            continue
        data, gloss = line.rstrip().split(" | ", 1)
        fields = data.split(" ")
        count = int(fields[3], 16)  # the number of words is hexadecimal, that of pointers decimal
        pointers = fields[5 + 2 * count :]
        synsets[fields[0]] = Synset(
            words=[fields[4 + 2 * i] for i in range(count)],
            gloss=gloss,
            hyponyms=[
                pointers[4 * i + 1]
                for i in range(int(fields[4 + 2 * count]))
                if pointers[4 * i] in ("~", "~i") and pointers[4 * i + 2] == "n"
            ],
        )
    return synsets


def descendants(synsets: dict[str, Synset], roots: list[str]) -> dict[str, str]:
    """All hyponyms below the roots, each with the parent through which it was first reached."""
    parents: dict[str, str] = {}
    waiting = list(roots)
    while waiting:
        parent = waiting.pop(0)
        for child in synsets[parent].hyponyms:
            if child not in parents and child not in roots:
                parents[child] = parent
                waiting.append(child)
    return parents


def masked(gloss: str, label: str) -> str:
    """The definition without its examples, the class's word (whole word, singular or plural) replaced by "thing"."""
    definition = re.split(r';\s*"', gloss)[0].strip().rstrip(";")
    definition = re.sub(rf"\ban\s+{label}\b", "a thing", definition, flags=re.IGNORECASE)
    definition = re.sub(rf"\b{label}\b", "thing", definition, flags=re.IGNORECASE)
    return re.sub(rf"\b{label}e?s\b", "things", definition, flags=re.IGNORECASE)


def build(sources: Path) -> list[Item]:
    """All text items. A group is a parent synset with its children: it lies on one side of the split."""
    synsets = read_nouns(sources / "wordnet-base/usr/share/wordnet/data.noun")
    parents = {label: descendants(synsets, roots) for label, roots in ROOTS.items()}
    claims: defaultdict[str, list[str]] = defaultdict(list)
    for label, below in parents.items():
        for offset in below:
            claims[offset].append(label)

    items, used = [], set()
    for label, below in parents.items():
        groups: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
        kept = 0
        for offset in sorted(below, key=stable_order):
            text = masked(synsets[offset].gloss, label)
            words = [word for word in re.findall(r"[A-Za-z]{2,}", text) if word not in ("thing", "things")]
            if len(claims[offset]) > 1 or len(words) < FEWEST_WORDS or text in used or kept == AT_MOST:
                continue
            used.add(text)
            kept += 1
            # the children of a root have only the whole class in common: each heads a group of its own
            head = offset if below[offset] in ROOTS[label] else below[offset]
            groups[head].append((offset, text))
        tested = 0
        for head in sorted(groups, key=split_order):
            in_test = tested + len(groups[head]) <= round(TEST_SHARE * kept)
            tested += len(groups[head]) * in_test
            items += [
                Item(
                    id=f"text/{label}/wordnet:{offset}",
                    label=label,
                    split="test" if in_test else "train",
                    group=f"{label}/{synsets[head].words[0]}:{head}",
                    media=text.encode(),
                    format="txt",
                    licence="LicenseRef-WordNet-3.0",
                    attribution=f"WordNet 3.0, Princeton University: {synsets[offset].words[0]}",
                )
                for offset, text in groups[head]
            ]
    return items
