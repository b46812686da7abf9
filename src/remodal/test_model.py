"""The Python API, as the README shows it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest

import remodal
from remodal.errors import BadItem, RemodalError
from remodal.testing.candidate import same


@pytest.fixture(scope="module")
def model(folder: Path, lite_cache: Path) -> remodal.Model:
    model = remodal.Model(method="nearest-mean", backbone="lite", cache=lite_cache)
    for task in remodal.stream(folder, order="random", seed=0):
        model.learn(task)
    return model


def test_a_model_learns_a_stream_and_is_evaluated(model: remodal.Model, folder: Path) -> None:
    found = model.evaluate(remodal.stream(folder, order="random", seed=0))
    assert found.mean_aware == 1.0
    assert found.mean_agnostic == 1.0


def test_a_model_learns_a_stream_step_by_step(model: remodal.Model, folder: Path, lite_cache: Path) -> None:
    mixed = remodal.stream(folder, order="mixed", seed=0)
    assert len(mixed.steps) > len(mixed)
    by_turns = remodal.Model(method="nearest-mean", backbone="lite", cache=lite_cache)
    for step in mixed.steps:
        by_turns.learn(step)
    assert set(by_turns.seen_) == set(model.seen_)
    assert by_turns.evaluate(mixed) == model.evaluate(mixed)


def test_learning_that_is_interrupted_leaves_the_model_as_it_was(folder: Path, lite_cache: Path) -> None:
    class CtrlC:
        """The 20th step is one too many."""

        def work(self, name: str, total: int) -> AbstractContextManager[Callable[[int], None]]:
            steps = iter(range(20))

            def count(_: int = 1) -> None:
                if next(steps, None) is None:
                    raise KeyboardInterrupt

            return nullcontext(count)

        def note(self, line: str) -> None:
            """Nobody reads it."""

    model, (first, second, *_) = remodal.Model("comm", cache=lite_cache), remodal.stream(folder, seed=0)
    model.learn(first)
    before, seen = model.method.state(), list(model.seen_)
    with pytest.raises(KeyboardInterrupt):
        model.learn(second, progress=CtrlC())
    assert same(model.method.state(), before)
    assert model.seen_ == seen
    model.learn(second)
    assert len(model.seen_) == len(seen) + len(second.classes)


def test_files_and_sentences_are_answered_with_their_modality(model: remodal.Model, folder: Path) -> None:
    answers = model.predict(
        [folder / "image/warm/0.png", str(folder / "audio/cold/1.wav"), remodal.Text("hot tea"), b"the sea, a ship"]
    )
    assert [(best.modality, best.label) for (best, *_) in answers] == [
        ("image", "warm"),
        ("audio", "cold"),
        ("text", "warm"),
        ("text", "cold"),
    ]


def test_probabilities_of_all_candidates_sum_to_one(model: remodal.Model, folder: Path) -> None:
    (answers,) = model.predict([folder / "image/warm/0.png"], top=10)
    assert sum(answer.probability for answer in answers) == pytest.approx(1.0, abs=1e-5)
    assert [answer.probability for answer in answers] == sorted((a.probability for a in answers), reverse=True)


def test_a_stated_modality_is_kept_to(model: remodal.Model, folder: Path) -> None:
    ((answer,),) = model.predict([folder / "image/warm/0.png"], modality="image")
    assert answer.modality == "image"


def test_media_of_one_name_are_told_apart(model: remodal.Model) -> None:
    media = [remodal.Text(words) for words in ("a cup of tea, medium 3", "a cup of tea", "a cup of tea")]
    together = list(model.answers(media))
    for medium, answer in zip(media, together, strict=True):
        (alone,) = model.answers([medium])
        assert answer.place is not None
        assert alone.place is not None
        assert answer.place.tolist() == pytest.approx(alone.place.tolist(), abs=1e-5)


def test_a_plain_string_is_a_path_and_says_so_where_there_is_none(model: remodal.Model) -> None:
    with pytest.raises(BadItem, match=r"a sentence is given as Text"):
        model.predict(["a ship on the sea"])


def test_an_untrained_model_says_what_to_do(lite_cache: Path) -> None:
    with pytest.raises(RemodalError, match=r"learn\(task\) first"):
        remodal.Model(method="comm", cache=lite_cache).predict([remodal.Text("x")])


def test_an_unknown_setting_gets_the_nearest_name(lite_cache: Path) -> None:
    with pytest.raises(RemodalError, match="did you mean 'steps'"):
        remodal.Model(method="comm", cache=lite_cache, step=3)


def test_what_there_is() -> None:
    assert remodal.list_backbones() == ["lite", "towers", "vit"]
    assert remodal.list_streams() == ["everyday", "everyday-close"]
    assert {"comm", "finetune", "joint", "nearest-mean", "ridge", "zero-shot"} <= set(remodal.list_methods())
