"""Settings: one name, one default, one place, the same in a configuration file, on the command line and in Python."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from remodal.errors import RemodalError, UnknownName


class Settings(BaseModel):
    """Declared settings with their valid ranges; ``prefix`` stands before a name where a user writes it.

    >>> from pydantic import Field
    >>> class Tea(Settings):
    ...     minutes: int = Field(3, ge=1, description="in the pot")
    >>> Tea.checked({"minuts": 4})
    Traceback (most recent call last):
    ...
    remodal.errors.UnknownName: unknown setting 'minuts'; did you mean 'minutes'? valid: minutes
    >>> Tea.checked({"minutes": 0})
    Traceback (most recent call last):
    ...
    remodal.errors.RemodalError: setting minutes: found 0; valid: Input should be greater than or equal to 1
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    prefix: ClassVar[str] = ""

    @classmethod
    def checked(cls, values: Mapping[str, object]) -> Self:
        """The settings with these values; RemodalError where a name isn't known or a value isn't valid."""
        for name in values:
            if name not in cls.model_fields:
                raise UnknownName("setting", cls.prefix + name, [cls.prefix + known for known in cls.model_fields])
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            first = error.errors()[0]
            name = cls.prefix + ".".join(str(part) for part in first["loc"])
            raise RemodalError(f"setting {name}: found {first['input']!r}; valid: {first['msg']}") from None
