"""What a run is asked to do: a file, options, and ``key=value`` after them, in one flat space of names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError  # type: ignore[import-untyped]

from remodal.backbones import registered
from remodal.errors import RemodalError, UnknownName
from remodal.learning.settings import RunSettings
from remodal.methods import methods
from remodal.streams import StreamSettings

OWN = ("stream", "method", "backbone", "features", "order", "seed")


def asked_for(options: Mapping[str, object], assignments: Sequence[str], config: Path | None = None) -> RunSettings:
    """The settings of a run. Options stand before assignments, these before the file, the file before the defaults.

    Args:
        options: Values by name in ``OWN``; None where an option wasn't given.
        assignments: ``key=value``; the value is read as YAML. A key is a name in ``OWN``, a setting of the method,
            ``stream.<setting>``, or ``backbone.<setting>``.
        config: A YAML file of the same keys.

    Raises:
        RemodalError: A key isn't known, a value isn't valid, or the file can't be read.
    """
    given = {name: value for name, value in options.items() if value is not None}
    values = {**(_from_file(config) if config else {}), **assigned(assignments), **given}
    if "stream" not in values:
        raise RemodalError("no stream is given; valid: --stream everyday, or --stream with the path of a folder")
    own = RunSettings.checked({name: values.pop(name) for name in OWN if name in values})
    of_method, of_backbone = methods.get(own.method).options, registered(own.backbone).options
    settings = (of_method, StreamSettings, of_backbone)
    valid = [*OWN, *(kind.prefix + name for kind in settings for name in kind.model_fields)]
    for name in values:
        if name not in valid:
            raise UnknownName("setting", name, valid)
    options, stream, backbone = (
        {name: values[kind.prefix + name] for name in kind.model_fields if kind.prefix + name in values}
        for kind in settings
    )
    of_method.checked(options)
    of_backbone.checked(backbone)
    update = {"options": options, "stream_options": StreamSettings.checked(stream), "backbone_options": backbone}
    return own.model_copy(update=update)


def assigned(assignments: Sequence[str]) -> dict[str, Any]:
    """The values of ``key=value``, each read as YAML; RemodalError where one can't be read."""
    values = {}
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not equals or not name:
            raise RemodalError(f"found {assignment!r}; valid: key=value, such as steps=200")
        try:
            values[name] = _plain(OmegaConf.from_dotlist([f"value={text}"]))["value"]
        except (OmegaConfBaseException, YAMLError) as error:
            raise RemodalError(f"{name}: found {text!r}; valid: a value in YAML ({_reason(error)})") from None
    return values


def _from_file(path: Path) -> dict[str, Any]:
    valid = "valid: a YAML file of lines 'key: value'"
    try:
        found = OmegaConf.load(path)
    except OSError as error:
        raise RemodalError(f"{path}: can't be read ({error.strerror or error}); {valid}") from None
    except (OmegaConfBaseException, YAMLError, UnicodeDecodeError) as error:
        raise RemodalError(f"{path}: can't be read ({_reason(error)}); {valid}") from None
    if not isinstance(found, DictConfig):
        raise RemodalError(f"{path}: found a list; {valid}")
    return {str(name): value for name, value in _plain(found).items()}


def _reason(error: Exception) -> str:
    """What a reader of YAML found, in one line, with the line's number where it is known."""
    mark = getattr(error, "problem_mark", None)
    found = " ".join((getattr(error, "problem", None) or str(error)).split())
    return f"line {mark.line + 1}: {found}" if mark else found


def _plain(found: DictConfig) -> dict[Any, Any]:
    """Plain data. Interpolations (``${...}``) are left as the text that they are."""
    plain = OmegaConf.to_container(found, resolve=False)
    assert isinstance(plain, dict)
    return plain
