"""What is shown of an item of each modality, and which items are shown."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from remodal.media import Given
from remodal.report.charts import waveform
from remodal.report.examples import EACH, choose
from remodal.report.folder import Answer
from remodal.report.media import FRAMES, LETTERS, Shown, show
from remodal.streams import Item, stream


class Note(Item):
    """A text in memory."""

    def read(self) -> bytes:
        return self.id.encode()


def first(modality: str) -> Shown:
    tasks = stream("everyday").tasks
    return show(next(task.test[0] for task in tasks if task.modality == modality))


def test_an_image_is_one_small_picture() -> None:
    assert len(first("image").pictures) == 1


def test_a_video_is_some_of_its_frames() -> None:
    frames = first("video").pictures
    assert len(frames) == FRAMES
    assert len(set(frames)) > 1


def test_a_sound_is_a_waveform_and_a_log_mel_picture() -> None:
    shown = first("audio")
    assert min(low for low, _ in shown.wave) == -1.0 or max(high for _, high in shown.wave) == 1.0
    assert shown.pictures
    assert "s: waveform, log-mel" in shown.note


def test_a_depth_map_has_its_scale_in_metres() -> None:
    ends = first("depth").ends
    assert ends is not None
    assert 0 < ends[0] < ends[1] < 30


def test_a_sequence_of_depth_maps_may_have_readings_on_one_page_alone() -> None:
    pages = [np.zeros((8, 8), np.uint16) for _ in range(FRAMES + 1)]
    for at, shown in ((0, FRAMES), (1, FRAMES)):
        pages[at][:] = 1500
        file = BytesIO()
        first, *others = [Image.fromarray(page) for page in pages]
        first.save(file, "TIFF", save_all=True, append_images=others)
        drawn = show(Given("a.tiff", file.getvalue(), "depth"))
        assert (len(drawn.pictures), drawn.ends) == (shown, pytest.approx((1.5, 1.5)))
        pages[at][:] = 0


@pytest.mark.parametrize("modality", ["audio", "depth"])
def test_an_item_in_disguise_is_the_picture_that_it_was_learned_as(modality: str) -> None:
    tasks = stream("everyday", disguised=True).tasks
    shown = show(next(task.test[0] for task in tasks if task.modality == modality))
    assert len(shown.pictures) == 1
    assert shown == Shown(pictures=shown.pictures)


@pytest.mark.parametrize(
    "picture", ["javascript:alert(1)", 'data:image/webp;base64,"><script>', "http://elsewhere.example/x"]
)
def test_a_picture_can_only_be_one(picture: str) -> None:
    with pytest.raises(ValidationError):
        Shown(pictures=(picture,))


def test_a_text_is_itself_cut_where_it_is_long() -> None:
    assert first("text").text
    assert len(show(Note("word " * 200, "text", "a", "test", "", "")).text) <= LETTERS + 2


@pytest.mark.parametrize("modality", ["image", "video", "audio", "depth", "text"])
def test_what_is_shown_is_small(modality: str) -> None:
    shown = first(modality)
    assert sum(map(len, shown.pictures)) + len(str(waveform(shown.wave, modality)) if shown.wave else "") < 40_000


def answers(*pairs: tuple[str, str]) -> list[Answer]:
    return [Answer(str(index), "text", label, given, "text") for index, (label, given) in enumerate(pairs)]


def test_right_answers_are_spread_over_the_classes() -> None:
    chosen = choose(answers(*[(label, label) for label in "aabbccddee"]))
    assert [answer.label for answer in chosen] == ["a", "c", "e"]


def test_the_most_frequent_mistakes_come_first() -> None:
    mistakes = [("a", "b"), ("c", "d"), ("c", "d"), ("e", "f"), ("e", "f"), ("e", "f"), ("g", "h")]
    chosen = choose(answers(("a", "a"), *mistakes))
    assert [(answer.label, answer.agnostic) for answer in chosen] == [("a", "a"), ("e", "f"), ("c", "d"), ("a", "b")]
    assert len(chosen) == 1 + EACH
