"""The page of small hand-made runs: its numbers, what it shows of the media, and that it stands alone."""

from __future__ import annotations

import json
import re
import shutil
from html import unescape
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from remodal.errors import RemodalError
from remodal.learning.metrics import summary
from remodal.learning.predictions import Predictions
from remodal.report import write_report
from remodal.report.folder import SECTIONS
from remodal.streams import stream
from remodal.streams.base import Column

AWARE = [[0.1, 0.2, None], [0.9, 0.2, None], [0.7, 0.6, None], [0.7, 0.5, 1.0]]
AGNOSTIC = [[0.1, 0.2, None], [0.9, 0.2, None], [0.7, 0.6, None], [0.6, 0.4, 0.8]]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder of texts of two classes and pictures of one; a class may be called anything."""
    root = tmp_path / "data"
    for modality, label in (("text", "<script>"), ("text", "cat"), ("image", "R&D")):
        (root / modality / label).mkdir(parents=True)
    for number in range(8):
        (root / "text" / "<script>" / f"{number}.txt").write_text(f"<b>alert</b> number {number}")
        (root / "text" / "cat" / f"{number}.txt").write_text(f"it purrs, said witness {number}")
        Image.new("RGB", (300, 200), (30 * number, 90, 60)).save(root / "image" / "R&D" / f"{number}.png")
    return root


@pytest.fixture
def run(tmp_path: Path, data: Path) -> Path:
    """The folder of a run over ``data`` that takes every cat for a ``<script>``."""
    return make_run(tmp_path / "run", data)


def make_run(folder: Path, data: Path, **changes: Any) -> Path:
    tasks = stream(data, order="sequential", seed=0, classes_per_task=1).tasks
    columns = tuple(Column(task.modality, label) for task in tasks for label in task.classes)
    items = [(item, task.index) for task in tasks for item in task.test]
    truth = tuple(Column(item.modality, item.label) for item, _ in items)
    answers = [Column("text", "<script>") if column.name == "cat" else column for column in truth]
    scores = torch.tensor([[float(column == answer) for column in columns] for answer in answers])
    predictions = Predictions(columns, tuple(item.id for item, _ in items), tuple(i for _, i in items), truth, scores)
    folder.mkdir()
    predictions.write(folder / "predictions.parquet")
    aware, agnostic = summary(AWARE), summary(AGNOSTIC)
    results = {
        "schema": 1,
        "stream": str(data),
        "order": "sequential",
        "seed": 0,
        "method": "ridge",
        "backbone": "lite",
        "settings": {"method": {"penalty": 0.25}, "stream": {"classes_per_task": 1, "depth_unit": None}},
        "tasks": [
            {"index": task.index, "modality": task.modality, "classes": list(task.classes), "train": len(task.train),
             "test": len(task.test), "seconds": 1.5}
            for task in tasks
        ],
        "accuracy": {"aware": AWARE, "agnostic": AGNOSTIC},
        "summary": {
            "aware": aware,
            "agnostic": agnostic,
            "gap": 0.1333,
            "router_accuracy": 0.985,
            "router_confusion": predictions.router_confusion(),
            "zero_shot_retention": None,
        },
        "per_modality": {
            "image": {"aware": 0.912, "agnostic": 0.834, "tasks": 1, "classes": 1, "test": 2},
            "text": {"aware": 0.65, "agnostic": 0.5, "tasks": 2, "classes": 2, "test": 4},
        },
        "cost": {
            "seconds": {"decode": 1.0, "stem": 61.0, "learn": 2.0, "evaluate": 3.0, "total": 67.0},
            "peak_memory_bytes": 3 * 2**29,
            "trainable_parameters": 12345,
            "stored_bytes": 2**20,
        },
        "quarantined": [{"path": "image/<i>.png", "reason": "found an <empty> file"}],
        "versions": {"python": "3.11.7", "torch": "2.13.0"},
    }  # fmt: skip
    (folder / "results.json").write_text(json.dumps(results | changes))
    return folder


def page_of(folder: Path) -> str:
    return write_report(folder).read_text(encoding="utf-8")


def words_of(page: str) -> str:
    """The page's text, as it is read."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", page[page.index("<body>") :])).split())


def test_the_page_lies_in_the_run_folder(run: Path) -> None:
    assert write_report(run) == run / "report.html"
    assert page_of(run) == page_of(run), "the same run gives the same page"


def test_it_says_so_where_tasks_were_not_learned_whole(tmp_path: Path, data: Path, run: Path) -> None:
    assert "one task after the other" in words_of(page_of(run))
    by_turns = make_run(tmp_path / "mixed", data, order="mixed", steps=[{}] * 9)
    assert "whose items came in 9 steps" in words_of(page_of(by_turns))


def test_it_says_in_words_what_was_found(run: Path) -> None:
    words = words_of(page_of(run))
    assert "ridge on data" in words
    assert "learned 3 classes in 3 tasks of 2 modalities (image, text)" in words
    assert "names 73.3 % of held-out items correctly when it is told their modality, and 60.0 % when" in words
    assert "lost 25.0 percentage points on average" in words  # (30 + 20) / 2
    assert "98.5 % of items are answered in their own modality" in words


def test_each_task_has_its_forgetting(run: Path) -> None:
    rows = re.findall(r"<tr>.*?</tr>", page_of(run), flags=re.DOTALL)
    first = words_of("<body>" + next(row for row in rows if "1.5 s" in row))
    assert first.endswith("90.0 % 60.0 % 30.0 20.0"), "once learned, at the end; forgotten: to be found, given"


def test_cost_settings_and_versions_are_there(run: Path) -> None:
    words = words_of(page_of(run))
    for said in ("1 min 1 s", "1.5 GiB", "12,345", "1.0 MiB", "method.penalty 0.25", "stream.depth_unit null"):
        assert said in words
    for said in ("method ridge", "seed 0", "torch 2.13.0", "image 1 1 2 91.2 % 83.4 %"):
        assert said in words


def test_what_the_method_cannot_say_is_blank(run: Path) -> None:
    page = page_of(run)
    for matrix, label in ((AWARE, "Accuracy, modality given"), (AGNOSTIC, "Accuracy, modality to be found")):
        chart = page[page.index(f'aria-label="{label}"') :].split("</svg>")[0]
        numbers = re.findall(r'class="cell[^"]*">(\d+)<', chart)
        assert numbers == [f"{100 * share:.0f}" for row in matrix for share in row if share is not None]
        assert chart.count("h1v1h-1z") == len(numbers)
    assert "zero-shot ability kept –" in words_of(page)


def test_names_from_outside_are_escaped(run: Path) -> None:
    page = page_of(run)
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "R&amp;D" in page
    assert "found an &lt;empty&gt; file" in page
    assert "image/&lt;i&gt;.png" in page
    assert "&lt;b&gt;alert&lt;/b&gt; number" in page, "the texts of examples too"


def test_it_needs_nothing_from_elsewhere(run: Path) -> None:
    page = page_of(run)
    assert not re.search(r"https?://|<link|<iframe|@import|url\(", page)
    assert set(re.findall(r'src="(\w+:)', page)) == {"data:"}
    assert "default-src 'none'" in page


def test_examples_show_the_media_the_truth_and_the_answer(run: Path) -> None:
    page = page_of(run)
    assert page.count('<img src="data:image/webp;base64,') == 1, "all right answers are of one class"
    assert "it purrs, said witness" in page
    assert "✗ <script> , is cat in text, 2 times" in words_of(page)


def test_without_the_stream_the_page_says_so(run: Path, data: Path) -> None:
    shutil.rmtree(data)
    page = page_of(run)
    assert "The media aren&#39;t shown: the stream isn&#39;t there any more" in page
    assert "data:image/webp" not in page
    assert "is cat" in words_of(page)


def test_a_file_that_broke_since_is_named(run: Path, data: Path) -> None:
    for file in (data / "image" / "R&D").iterdir():
        file.write_bytes(b"")
    assert "can&#39;t be read any more: found an empty file" in page_of(run)


def test_a_long_list_of_items_set_aside_is_cut(tmp_path: Path, data: Path) -> None:
    many = [{"path": f"image/{number}.png", "reason": "found an empty file"} for number in range(100)]
    words = words_of(page_of(make_run(tmp_path / "run", data, quarantined=many)))
    assert "100 items: found an empty file image/0.png" in words
    assert "image/11.png and 88 more" in words


def whole_but(**edited: Any) -> str:
    """A ``results.json`` of which parts were edited."""
    return json.dumps({"schema": 1, **{section: kind() for section, kind in SECTIONS.items()}, **edited})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "found no results.json"),
        ("{", "found no JSON"),
        ("[]", "found schema None; valid: 1"),
        ('{"schema": 2}', "found schema 2; valid: 1"),
        ('{"schema": 1, "stream": "everyday"}', "found no order, seed, method"),
        (whole_but(summary=3), r"results\.json: found summary 3; valid: what a run wrote"),
        (whole_but(settings={"method": "ridge"}), r"settings: found method 'ridge'; valid: what a run wrote"),
    ],
)
def test_a_folder_without_a_known_run_is_refused(tmp_path: Path, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / "results.json").write_text(content)
    with pytest.raises(RemodalError, match=message):
        write_report(tmp_path)
    assert not (tmp_path / "report.html").exists()


def test_missing_predictions_are_named(run: Path) -> None:
    (run / "predictions.parquet").unlink()
    with pytest.raises(RemodalError, match=r"predictions\.parquet: can't be read"):
        write_report(run)


def test_there_are_no_examples_of_a_modality_that_the_method_cannot_answer_in(tmp_path: Path, data: Path) -> None:
    silent = {"text": {"aware": None, "agnostic": None, "tasks": 2, "classes": 2, "test": 4}}
    page = page_of(make_run(tmp_path / "run", data, per_modality=silent))
    assert "text 2 2 4 – –" in words_of(page)
    assert "it purrs" not in page
