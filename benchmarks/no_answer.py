"""Whether a search says no: to queries that have no answer in an index, and not to those that have one.

An index holds every other held-out item of a stream. Asked are the names of its classes, sentences with these names,
and the other half of the items; then names of classes that only the other streams have, sentences with them, and items
of the other streams. A query is answered where at least one of what is nearest is sure. Nothing here sets anything.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from recording import record

import remodal
from remodal.search import Chance, Hit, Query
from remodal.search.rows import Places
from remodal.streams import Item, stream
from remodal.training.threads import bound_spinning

PHRASE = "I am looking for a {}"
"""None of those that bounds are made of."""


class Stored:
    """An index in memory, which compares with every file, as a small one does."""

    def __init__(self, model: remodal.Model, items: Sequence[Item]) -> None:
        said = [answer for answer in model.answers([item.read() for item in items]) if answer.place is not None]
        places = [answer.place for answer in said if answer.place is not None]
        labels, modalities = [one.best[0].label for one in said], [one.modality for one in said]
        files = [str(number) for number in range(len(places))]
        self._places = Places(labels, modalities, np.stack(places).astype(np.float32), files)
        self._chance = Chance(self._places, model.embed_words)

    def answers(self, query: Query) -> bool:
        """Whether what is nearest is sure."""
        nearness = self._places.vectors @ query.place
        at = int(nearness.argmax())
        hit = Hit("", "", self._places.modalities[at], self._places.labels[at], float(nearness[at]))
        (marked,) = self._chance.marked(query, [hit])
        return marked.sure is not False


def of_items(model: remodal.Model, items: Sequence[Item]) -> dict[str, list[Query]]:
    """Queries by the items' modality."""
    found = defaultdict(list)
    for item, answer in zip(items, model.answers([item.read() for item in items]), strict=True):
        found[item.modality].append(Query.of_medium(answer))
    return found


def of_names(model: remodal.Model, names: Sequence[str]) -> dict[str, list[Query]]:
    """Queries by how the names are put."""
    return {
        "names": [Query.of_words(name, model) for name in names],
        "sentences": [Query.of_words(PHRASE.format(name), model) for name in names],
    }


def main() -> int:
    """Print and record how many queries are answered."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stream", nargs="+", required=True, help="two names or folders, or more")
    streams = parser.parse_args().stream
    bound_spinning()
    tasks = {name: stream(name).tasks for name in streams}
    names = {one: sorted({item.label for task in tasks[one] for item in task.test}) for one in streams}
    found: dict[str, dict[str, dict[str, str]]] = {}
    for name in streams:
        model = remodal.Model()
        for task in tasks[name]:
            model.learn(task)
        own = [item for task in tasks[name] for item in task.test]
        others = [item for one in streams if one != name for task in tasks[one] for item in task.test]
        absent = sorted({label for one in streams for label in names[one]} - set(names[name]))
        stored = Stored(model, own[::2])
        asked = {
            "answered, of those with an answer": of_names(model, names[name]) | of_items(model, own[1::2]),
            "answered, of those without one": of_names(model, absent) | of_items(model, others),
        }
        found[Path(name).name] = {
            kind: {what: f"{sum(map(stored.answers, queries))} of {len(queries)}" for what, queries in by_kind.items()}
            for kind, by_kind in asked.items()
        }
        for kind, counts in found[Path(name).name].items():
            print(f"{Path(name).name:10} {kind:36} " + ", ".join(f"{what} {of}" for what, of in counts.items()))
    record("no_answer", found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
