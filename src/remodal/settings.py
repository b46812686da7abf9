"""Settings: one name, one default, one place, the same in a configuration file, on the command line and in Python."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

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
    remodal.errors.RemodalError: setting minutes: found 0; valid: a whole number, at least 1
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    prefix: ClassVar[str] = ""
    gone: ClassVar[frozenset[str]] = frozenset()
    """Names that were settings once: what was saved then may state them."""

    @classmethod
    def without_gone(cls, values: Mapping[str, object]) -> dict[str, object]:
        """What was saved, less the settings that there are no more."""
        return {name: value for name, value in values.items() if name not in cls.gone}

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
            if first["type"] == "missing":
                name = cls.prefix + str(first["loc"][0])
                raise RemodalError(f"setting {name}: found none; it has to be stated") from None
            found = f"setting {cls.prefix}{'.'.join(map(str, first['loc']))}: found {first['input']!r}"
            described = cls.model_json_schema()["properties"][str(first["loc"][0])]
            own = first["msg"] if first["type"] == cls.__name__ else ""
            raise RemodalError(f"{found}; valid: {own or in_words(described) or first['msg']}") from None


KINDS = {
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "string": "a text",
    "array": "a list",
    "null": "null",
}
BOUNDS = {
    "minimum": "at least",
    "exclusiveMinimum": "more than",
    "maximum": "at most",
    "exclusiveMaximum": "less than",
    "multipleOf": "a multiple of",
}


def in_words(schema: Mapping[str, Any]) -> str:
    """What a JSON schema of one value takes, for a person; empty where it says more than this can.

    >>> in_words({"type": "number", "minimum": 0, "exclusiveMaximum": 1})
    'a number, at least 0, less than 1'
    >>> in_words({"anyOf": [{"enum": ["mm", "cm", "m"]}, {"type": "null"}]})
    'mm, cm or m, or null'
    >>> in_words({"type": "array", "items": {"type": "integer", "minimum": 1}})
    'a list, each a whole number, at least 1'
    """
    if "anyOf" in schema:
        parts = [in_words(part) for part in schema["anyOf"]]
        return ", or ".join(parts) if all(parts) else ""
    if "enum" in schema:
        *most, last = map(str, schema["enum"])
        return f"{', '.join(most)} or {last}" if most else last
    bounds = [f"{words} {schema[name]}" for name, words in BOUNDS.items() if name in schema]
    kind = KINDS.get(schema.get("type", ""))
    if "items" in schema and (each := in_words(schema["items"])):
        bounds.append(f"each {each}")
    return ", ".join([kind, *bounds]) if kind else ""
