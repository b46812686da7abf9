"""Methods whose state is statistics, which add up: what was learned apart can be merged.

Sums, counts and Gram matrices of items don't depend on who counted them. So learners that began from one model, or
that share no modality, become one that knows what all of them have learned, without an item having left its place.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Self

from torch import Tensor

from remodal.backbones import Tower
from remodal.errors import RemodalError
from remodal.methods.base import TaskData
from remodal.methods.parts import Part, TowerMethod
from remodal.training.trainer import Trainer

Signed = tuple[float, Part]
"""A part, and 1; or less than 0 where others hold it too: as often as they hold it once too often."""


class Apart(RemodalError):
    """What two learners hold doesn't fit together: they didn't begin from one model."""


class Additive(TowerMethod[Part]):
    """One part a tower, of statistics."""

    def begun(self, task: TaskData, trainer: Trainer) -> Self:
        """One that has settled what the first items of a tower settle, if these are they, and has learned none of them.

        From it several may learn a part of the task each, and be merged again.
        """
        tower = self.backbone.towers[task.tokens.tower]
        found = type(self)(self.backbone, self.settings, self.seed)
        found.parts_ = dict(self.parts_)
        if tower.name not in found.parts_:
            found.parts_[tower.name] = self.fresh(tower, task, trainer)
        return found

    def merged(self, *others: Self, base: Self | None = None) -> Self:
        """One that has learned what all of them have. base: what all began from, and would count once for each.

        Equal, within the tolerance of float32, to one that learned all of it, as long as no direction of a Gram matrix
        is cut off; numbers that are chosen on items that are left out, such as penalties, may be their neighbours.

        Raises:
            Apart: They learned a modality each from its beginning, and what that settles differs.
        """
        found = type(self)(self.backbone, self.settings, self.seed)
        everyone = self, *others
        for name in dict.fromkeys(name for method in everyone for name in method.parts_):
            own = [method.parts_[name] for method in everyone if name in method.parts_]
            signed = [(1.0, part) for part in own]
            if base is not None and name in base.parts_:
                signed.append((1.0 - len(own), base.parts_[name]))
            found.parts_[name] = own[0] if len(own) == 1 else self.added_up(self.backbone.towers[name], signed)
        return found

    @abstractmethod
    def added_up(self, tower: Tower, parts: Sequence[Signed[Part]]) -> Part:
        """The parts of a tower in one; all but the last, at least two, have the sign 1."""


def the_same(what: str, signed: Sequence[Signed[Tensor]]) -> Tensor:
    """The one tensor that all learners began with. what: it is of, in words.

    Raises:
        Apart: They began with different ones, or from one model that isn't stated, whose items would count twice.
    """
    first = signed[0][1]
    if any(one.shape != first.shape or not bool((one == first).all()) for _, one in signed):
        raise Apart(f"{what} was begun apart; valid: models that learned on from one that knew some of it, as the base")
    if all(sign > 0 for sign, _ in signed):
        raise Apart(f"{what} was begun in one model, whose items would count twice; valid: that model, as the base")
    return first
