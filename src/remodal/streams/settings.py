"""What can be set of a stream."""

from __future__ import annotations

from pydantic import Field

from remodal.modalities.depth import DepthUnit
from remodal.settings import Settings


class StreamSettings(Settings):
    """Settings of a stream; the command line and the configuration file say ``stream.<name>``.

    >>> StreamSettings.checked({"classes_per_tsk": 2})
    Traceback (most recent call last):
    ...
    remodal.errors.UnknownName: unknown setting 'stream.classes_per_tsk'; did you mean 'stream.classes_per_task'? \
valid: stream.classes_per_task, stream.depth_unit, stream.disguised, stream.train_items, stream.validation
    """

    prefix = "stream."

    classes_per_task: int = Field(
        default=4, ge=1, description="classes of a task, where the data don't state their tasks"
    )
    validation: bool = Field(
        default=False,
        description="measure on a quarter of the training items, held out by source, instead of the test items",
    )
    train_items: int | None = Field(default=None, ge=1, description="training items of a class at most: few-shot")
    disguised: bool = Field(
        default=False,
        description="depth maps come as 8-bit colour pictures and sounds as pictures of their spectrogram: the "
        "modality has to be told from content alone",
    )
    depth_unit: DepthUnit | None = Field(
        default=None,
        description="unit of depth files whose manifest states none; without it 16-bit files are in millimetres",
    )
