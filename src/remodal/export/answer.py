"""Ask an exported model:  python answer.py photo.jpg drawing.png "a sentence in quotation marks"

Needs numpy and onnxruntime; and Pillow to open pictures, tokenizers to cut sentences into word pieces.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime

HERE = Path(__file__).parent


def picture(file, side):
    """What the model sees of a picture: its centre square, on white, uint8 [1, side, side, 3]."""
    from PIL import Image, ImageOps

    opened = Image.open(file)
    opened.draft(None, (1024, 1024))  # a large JPEG is opened at a part of its size
    upright = ImageOps.exif_transpose(opened).convert("RGBA")
    shown = Image.alpha_composite(Image.new("RGBA", upright.size, "white"), upright).convert("RGB")
    edge, left, top = min(shown.size), (shown.width - min(shown.size)) // 2, (shown.height - min(shown.size)) // 2
    return np.array(shown.crop((left, top, left + edge, top + edge)).resize((side, side), Image.Resampling.BICUBIC))[
        None
    ]


def word_pieces(sentence):
    """What the model reads of a sentence: int64 [length]."""
    from tokenizers import Tokenizer

    return np.array(Tokenizer.from_file(str(HERE / "tokenizer.json")).encode(sentence).ids)


def answer(asked):
    """The likeliest class, its modality, and how likely it is."""
    model = onnxruntime.InferenceSession(HERE / ("vision.onnx" if Path(asked).is_file() else "text.onnx"))
    if Path(asked).is_file():
        read_as = json.loads(model.get_modelmeta().custom_metadata_map["remodal"])["modalities"].index("image")
        inputs = {"pictures": picture(asked, model.get_inputs()[0].shape[1]), "read_as": np.array([read_as])}
    else:
        inputs = {"word_pieces": word_pieces(asked)}
    likely, classes, modalities = model.run(["probabilities", "classes", "modalities"], inputs)
    return classes[likely.argmax()], modalities[likely.argmax()], likely.max()


if __name__ == "__main__":
    for one in sys.argv[1:]:
        print(one, *answer(one), sep="\t")
