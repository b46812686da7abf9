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
from remodal.saved import HeldOut
from remodal.testing.toy import TOKENS, WIDTH, ToyBackbone


def items_at(*degrees: float) -> Tokens:
    """Items whose features lie on a circle."""
    angles = torch.deg2rad(torch.tensor(degrees))
    frames = torch.zeros(len(degrees), TOKENS, WIDTH)
    frames[:, 0, 0], frames[:, 0, 1] = angles.cos(), angles.sin()
    return Tokens("vision", frames.half(), torch.ones(len(degrees), dtype=torch.int64))


def familiar(held_out: HeldOut, degrees: Sequence[float]) -> list[float | None]:
    backbone = ToyBackbone()
    return Familiarity(held_out, backbone)(backbone.towers["vision"].features(items_at(*degrees)), "vision")


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
    assert as_text("x", answer._replace(familiarity=0.03)) == ["x: image 1.00: cat 0.90"]
