"""Every public call with every optional argument given, on a trained model of each method, over all five modalities."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

import remodal
from remodal.errors import BadItem, RemodalError
from remodal.media import Text, decoded, given
from remodal.methods import methods
from remodal.modalities import MODALITIES
from remodal.search import Index, keep_up
from remodal.streams.base import Task
from remodal.testing import Candidate

ITEMS = 3
"""Of a class, on either side of the split: so few that names help, and methods that may weigh them do."""
NEVER_LEARNED = "depth"
QUICK = {"remodal", "comm", "nearest-mean", "l2p"}
"""Methods of which each answers in its own way: statistics, prompts and a router, means, prompts alone."""
MANY = 1000

Learned = Callable[[str], remodal.Model]


def few(task: Task) -> Task:
    """Two classes of the task, and a few items of each."""
    kept = task.classes[:2]
    train, test = (
        tuple(item for name in kept for item in [one for one in side if one.label == name][:ITEMS])
        for side in (task.train, task.test)
    )
    return replace(task, classes=kept, train=train, test=test)


@pytest.fixture(scope="module")
def tasks() -> list[Task]:
    """The first two tasks of each modality of the embedded stream, made small."""
    every = [few(task) for task in remodal.stream("everyday", order="sequential")]
    return [task for name in MODALITIES for task in [one for one in every if one.modality == name][:2]]


@pytest.fixture(scope="module")
def media(tasks: Sequence[Task], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A file of each modality, which no model here has learned from."""
    folder = tmp_path_factory.mktemp("media")
    files = {}
    for modality, suffix in {"image": "png", "video": "mp4", "audio": "flac", "depth": "png", "text": "txt"}.items():
        files[modality] = folder / f"{modality}.{suffix}"
        files[modality].write_bytes(next(task.test[0] for task in tasks if task.modality == modality).read())
    return files


@pytest.fixture(scope="module")
def learned(tasks: Sequence[Task], lite_cache: Path) -> Learned:
    """``learned("comm")``: a model that has learned all modalities but one."""

    def model(name: str) -> remodal.Model:
        settings = Candidate.of(methods.get(name)).settings.model_dump()
        made = remodal.Model(name, cache=lite_cache, **settings)
        for task in tasks:
            if task.modality != NEVER_LEARNED:
                made.learn(task)
        return made

    return model


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.long) for name in methods.names()]
)
def test_every_call_takes_every_argument(
    name: str, learned: Learned, tasks: Sequence[Task], media: dict[str, Path], tmp_path: Path
) -> None:
    model = learned(name)
    told = [modality for modality in MODALITIES if modality != NEVER_LEARNED]
    for modality in told:
        classes = [column.name for column in model.candidates(modality)]
        assert len(classes) == 4
        file = media[modality]
        (all_of_it,) = model.predict([file], modality=modality, top=MANY)
        assert {one.label for one in all_of_it} == set(classes)
        assert {one.modality for one in all_of_it} == {modality}
        assert sum(one.probability for one in all_of_it) == pytest.approx(1)
        (best,) = model.predict([file], modality=modality)
        assert best == all_of_it[:1]
        (answer,) = model.answers([file], modality, top=2)
        assert answer.best == tuple(all_of_it[:2])
        (again,) = model.answer_decoded([decoded(given(str(file), file, modality), model.backbone)], modality, top=2)
        assert [one.label for one in again.best] == [one.label for one in all_of_it[:2]]
        assert model.embed_words(best[0].label).shape == answer.place.shape

    with pytest.raises(RemodalError, match="has learned no class of depth; it knows: image, video, audio, text"):
        model.predict([media[NEVER_LEARNED]], modality=NEVER_LEARNED)
    found = model.evaluate(tasks)
    assert [one is None for one in found.agnostic] == [one is None for one in found.aware]
    assert None not in [one for one, task in zip(found.aware, tasks) if task.modality != NEVER_LEARNED]

    index = Index.create(str(tmp_path / "index"), "model", model.backbone.fingerprint, model.backbone.width)
    assert keep_up(index, model, media["image"].parent).embedded == len(media)
    for modality in told:
        hits = index.search(model.embed_words("a dog").tolist(), [modality], top=MANY)
        assert {hit.modality for hit in hits} <= {modality}


def test_what_is_asked_for_is_checked_before_anything_is_read(learned: Learned, media: dict[str, Path]) -> None:
    model = learned("nearest-mean")
    for top in (0, -1, 1.5):
        with pytest.raises(RemodalError, match=f"top: found {top}; valid: a whole number, 1 or more"):
            model.predict([media["image"]], top=top)  # type: ignore[arg-type]
    for ask in (model.predict, lambda media, modality: list(model.answers(media, modality)), model.answer_decoded):
        with pytest.raises(RemodalError, match="unknown modality 'imge'; did you mean 'image'"):
            ask([], "imge")
    with pytest.raises(RemodalError, match=r"words: found '\\ud83d'; valid: characters of Unicode"):
        model.embed_words("half a \ud83d")
    with pytest.raises(RemodalError, match="media: found one str; valid: a list of media, of one too"):
        model.predict(str(media["image"]))


def test_a_sentence_is_no_picture_whatever_is_told(learned: Learned) -> None:
    model = learned("nearest-mean")
    for modality in ("image", "video", "audio"):
        with pytest.raises(BadItem, match=f"found text where {modality} is expected"):
            model.predict([Text("a dog")], modality=modality)
    with pytest.raises(BadItem, match="UTF-8"):
        model.predict([Text("half a \ud83d")])
