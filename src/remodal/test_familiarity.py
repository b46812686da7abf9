"""What is like something that was held out is told from what is like nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

import remodal
from remodal.answering import Answer, Prediction
from remodal.backbones import Tokens
from remodal.cli.answers import as_csv, as_text
from remodal.familiarity import Familiarity
from remodal.methods.nearest_mean import NearestMean
from remodal.methods.remodal import Remodal, RemodalSettings
from remodal.saved import HeldOut
from remodal.settings import Settings
from remodal.testing.candidate import learn
from remodal.testing.toy import TOKENS, WIDTH, ToyBackbone, toy_stream


def items_at(*degrees: float) -> Tokens:
    """Items whose features lie on a circle."""
    angles = torch.deg2rad(torch.tensor(degrees))
    frames = torch.zeros(len(degrees), TOKENS, WIDTH)
    frames[:, 0, 0], frames[:, 0, 1] = angles.cos(), angles.sin()
    return Tokens("vision", frames.half(), torch.ones(len(degrees), dtype=torch.int64))


def familiar(held_out: HeldOut, degrees: Sequence[float]) -> list[float | None]:
    """By the nearest, since the method has no measure of its own."""
    return Familiarity(held_out, NearestMean(ToyBackbone(), Settings(), 0))(items_at(*degrees))


def test_it_is_the_share_that_is_no_more_like_its_nearest() -> None:
    """Held out at 0, 10 and 40 degrees: 10, 10 and 30 from the nearest. Asked 0, 5, 20 and 50 from the nearest."""
    held_out = HeldOut().added("image", items_at(0, 10, 40), ["a", "b", "c"])
    assert familiar(held_out, [0, 45, 60, 90]) == pytest.approx([4 / 4, 4 / 4, 2 / 4, 1 / 4])


def test_one_modality_that_knows_the_like_is_enough() -> None:
    """Among sounds, which are far from each other, 60 degrees are not much."""
    held_out = HeldOut().added("image", items_at(0, 10, 40), ["a", "b", "c"])
    with_sounds = held_out.added("audio", items_at(180, 250, 320), ["d", "e", "f"])
    assert familiar(held_out, [120]) == pytest.approx([1 / 4])
    assert familiar(with_sounds, [120]) == pytest.approx([4 / 4])


def test_a_modality_of_few_items_is_compared_with_those_of_all() -> None:
    """Of three sounds alone no share under a quarter can be said; 40 pictures, as even among themselves, say less."""
    sounds = HeldOut().added("audio", items_at(180, 190, 200), ["a", "b", "c"])
    assert familiar(sounds, [0]) == pytest.approx([1 / 4])
    pictures = items_at(*range(40))
    with_pictures = sounds.added("image", pictures, [str(number) for number in range(40)])
    assert familiar(with_pictures, [100]) == pytest.approx([1 / 44])


def test_remodal_finds_items_of_a_class_that_it_has_not_learned_stranger() -> None:
    stream = toy_stream((("image", ("cat", "dog", "oak")), ("image", ("elm",))), items=30)
    known, new = stream.tasks
    method = Remodal(ToyBackbone(), RemodalSettings(), 0)
    learn(method, [known])
    half, others = torch.arange(0, len(known.test.labels), 2), torch.arange(1, len(known.test.labels), 2)
    kept, names = known.test.tokens[half], [known.train.classes[label] for label in known.test.labels[half].tolist()]
    with torch.inference_mode():
        familiarity = Familiarity(HeldOut().added("image", kept, names), method)
        like, unlike = familiarity(known.test.tokens[others]), familiarity(new.test.tokens)
    assert unlike == pytest.approx([1 / 16] * len(unlike))  # of five held-out items a class, none is as strange
    assert sum(one or 0.0 for one in like) / len(like) == pytest.approx(0.5, abs=0.15)


def test_nothing_is_said_where_nothing_can_be_compared() -> None:
    one = HeldOut().added("image", items_at(0), ["a"])
    assert familiar(one, [0, 90]) == [None, None]


def test_a_model_that_holds_little_out_doubts_little(saved: Path, folder: Path, lite_cache: Path) -> None:
    model = remodal.load(saved, cache=lite_cache)
    like, unlike = model.answers([folder / "image/warm/0.png", folder / "audio/warm/0.wav"])
    assert like.familiarity is not None
    assert like.familiarity >= 1 / 5  # four pictures are held out
    assert not unlike.unfamiliar


def test_what_no_class_was_learned_of_is_unlike_anything(folder: Path, lite_cache: Path) -> None:
    sentences = remodal.Model(cache=lite_cache)
    for task in remodal.stream(folder):
        if task.modality == "text":
            sentences.learn(task)
    picture, sentence = sentences.answers([folder / "image/warm/0.png", folder / "text/warm/0.txt"])
    assert (picture.familiarity, picture.unfamiliar) == (0.0, True)
    assert not sentence.unfamiliar


def test_a_doubtful_answer_says_so() -> None:
    answer = Answer("x", (Prediction("cat", "image", 0.9),), {"image": 1.0}, None, familiarity=0.01)
    assert as_text("x", answer) == ["x: image 1.00: cat 0.90 (unlike anything it has learned)"]
    assert as_csv("x", answer) == ["x,1,cat,image,0.900000,0.0100,"]
    assert as_text("x", answer._replace(familiarity=0.06)) == ["x: image 1.00: cat 0.90"]
