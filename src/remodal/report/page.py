"""The page itself: what the template shows, and where it is written."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from remodal.files import write_text
from remodal.learning.metrics import Matrix, drop
from remodal.report import charts, words
from remodal.report.colours import VIRIDIS, colour
from remodal.report.examples import find_examples
from remodal.report.folder import read_answers, read_results
from remodal.streams.outside import name_of

HERE = Path(__file__).parent
ASKED = ("stream", "order", "seed", "method", "backbone")  # besides the settings
REASONS = 40  # kinds of quarantined items that are listed
PATHS = 12  # of each kind
LINE = re.compile(r" \(manifest\.csv line \d+\)$")  # at the end of a reason: where a manifest names the item
LEAST_SCALE = 0.05  # a drop that fills its bar, at least: small ones shall look small


def write_report(folder: Path) -> Path:
    """Write ``report.html`` into a run folder, from what the run has left there.

    The examples' media are taken from the stream; where that isn't there any more, the page says so.

    Returns:
        The page's path.

    Raises:
        RemodalError: The folder holds no finished run, or one of another schema.
    """
    results = read_results(folder)
    examples = find_examples(results, read_answers(folder))
    page = _environment().get_template("report.html.jinja").render(_content(results), examples=examples)
    path = folder / "report.html"
    write_text(path, page)
    return path


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(
        percent=words.percent, points=words.points, count=words.count, seconds=words.seconds, size=words.size,
        colour=colour,
    )  # fmt: skip
    environment.globals.update(waveform=charts.waveform, plural=words.plural, viridis=", ".join(reversed(VIRIDIS)))
    return environment


def _content(results: Mapping[str, Any]) -> dict[str, Any]:
    """What the template takes besides the examples."""
    aware, agnostic = results["accuracy"]["aware"], results["accuracy"]["agnostic"]
    modalities = [task["modality"] for task in results["tasks"]]
    classes = [", ".join(task["classes"]) for task in results["tasks"]]
    router = results["summary"]["router_confusion"]
    return {
        "run": results,
        "stream": name_of(results["stream"]),
        "modalities": list(dict.fromkeys(modalities)),
        "steps": len(results.get("steps", results["tasks"])),  # runs of earlier versions learned whole tasks alone
        "classes": sum(part["classes"] for part in results["per_modality"].values()),
        "curves": charts.accuracy_over_tasks(aware, agnostic, modalities),
        "matrices": {
            "Modality given (aware)": charts.heat_map(aware, modalities, classes, "Accuracy, modality given"),
            "Modality to be found (agnostic)": charts.heat_map(
                agnostic, modalities, classes, "Accuracy, modality to be found"
            ),
        },
        "tasks": _tasks(results["tasks"], aware, agnostic),
        "confusion": charts.confusion(router["modalities"], router["counts"]),
        "settings": _flat({key: results[key] for key in ASKED}) | _flat(results["settings"]),
        "cost": _cost(results["cost"]),
        "repeated": results.get("repeated", []),
        "quarantined": _by_reason(results["quarantined"]),
        "REASONS": REASONS,
        "PATHS": PATHS,
    }


def _tasks(tasks: Sequence[Mapping[str, Any]], aware: Matrix, agnostic: Matrix) -> list[dict[str, Any]]:
    drops = [(drop(aware, index), drop(agnostic, index)) for index in range(len(tasks))]
    longest = max([LEAST_SCALE, *(one for pair in drops for one in pair if one is not None)])
    return [
        {
            **task,
            "learned": agnostic[index + 1][index],
            "final": agnostic[-1][index],
            "aware_drop": drops[index][0],
            "agnostic_drop": drops[index][1],
            "aware_bar": charts.drop_bar(drops[index][0], longest, task["modality"], hollow=True),
            "agnostic_bar": charts.drop_bar(drops[index][1], longest, task["modality"]),
        }
        for index, task in enumerate(tasks)
    ]


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Settings by their dotted names, as one writes them.

    >>> _flat({"seed": 0, "method": {"blend": True}})
    {'seed': '0', 'method.blend': 'true'}
    """
    flat: dict[str, str] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value if isinstance(value, str) else json.dumps(value)
    return flat


def _cost(cost: Mapping[str, Any]) -> dict[str, str]:
    """What a run took. An earlier version's results don't name every part of the time."""
    spent = cost["seconds"]
    return {
        **{said: words.seconds(spent[part]) for part, said in words.PARTS.items() if part in spent},
        **({"of it by earlier processes": words.seconds(spent["earlier"])} if spent.get("earlier") else {}),
        "in all": words.seconds(spent["total"] + spent.get("earlier", 0)),
        "peak memory": words.size(cost["peak_memory_bytes"]),
        "trainable parameters": words.count(cost["trainable_parameters"]),
        "stored by the method": words.size(cost["stored_bytes"]),
    }


def _by_reason(quarantined: Sequence[Mapping[str, str]]) -> list[tuple[str, list[str]]]:
    """Paths by the reason they share, the most frequent reason first; the line of a manifest goes with the path."""
    grouped: dict[str, list[str]] = {}
    for one in quarantined:
        line = LINE.search(one["reason"])
        grouped.setdefault(LINE.sub("", one["reason"]), []).append(one["path"] + (line[0] if line else ""))
    return sorted(grouped.items(), key=lambda group: -len(group[1]))
