"""What a comparison runs: one cell for each order, seed, method and kind of features, each an ordinary run folder."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple, get_args

from remodal.backbones import registered
from remodal.errors import RemodalError, UnknownName
from remodal.learning.settings import Features, RunSettings
from remodal.methods import Method
from remodal.methods import methods as known_methods
from remodal.settings import Settings
from remodal.streams import ORDERS, StreamSettings

REFERENCE = "remodal"
"""The method that the others are compared with, where none is named."""
VARIANT = re.compile(r"[a-z0-9+-]+")


class Contestant(NamedTuple):
    """What is compared: a method on one kind of features.

    >>> str(Contestant("ridge", "shared"))
    'ridge (shared)'
    """

    method: str
    features: str

    def __str__(self) -> str:
        return f"{self.method} ({self.features})"


class Cell(NamedTuple):
    """One run of the table."""

    order: str
    seed: int
    method: str
    features: str

    @property
    def contestant(self) -> Contestant:
        """The method and its features."""
        return Contestant(self.method, self.features)

    @property
    def name(self) -> str:
        """Of its folder.

        >>> Cell("random", 0, "ridge", "shared").name
        'random-0-ridge-shared'
        """
        return f"{self.order}-{self.seed}-{self.method}-{self.features}"


@dataclass(frozen=True)
class Plan:
    """A table's settings.

    variants: what some of ``methods`` are, by their names in the table: a method with settings of its own beside the
    same method with others. options: settings by name in the table, backbone_options: the backbone's; those that
    aren't named have their defaults.
    """

    stream: str
    methods: tuple[str, ...]
    orders: tuple[str, ...] = ("random",)
    seeds: tuple[int, ...] = (0,)
    features: tuple[str, ...] = ("shared",)
    backbone: str = "lite"
    variants: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    stream_options: StreamSettings = field(default_factory=StreamSettings)
    backbone_options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what no run could be started with, before the first one is."""
        for name in self.orders:
            ORDERS.get(name)
        for name in self.features:
            if name not in get_args(Features):
                raise UnknownName("features", name, get_args(Features))
        self._backbone_settings()
        for name in self.variants:
            if name in known_methods or not VARIANT.fullmatch(name):
                raise RemodalError(f"variant: found {name!r}; valid: letters, digits, + and -, and no method's name")
        for name in self.methods:
            self._method(name)
        for name, options in self.options.items():
            if name not in self.methods:
                raise UnknownName("method of the table", name, self.methods)
            self._method(name).options.checked(options)
        for name, chosen in (
            ("methods", self.methods), ("orders", self.orders), ("seeds", self.seeds), ("features", self.features),
        ):  # fmt: skip
            if not chosen or len(set(chosen)) < len(chosen):
                found = ",".join(str(one) for one in chosen)
                raise RemodalError(f"{name}: found {found!r}; valid: at least one, and none of them twice")

    @property
    def cells(self) -> list[Cell]:
        """Every cell, those that share their tasks one after the other."""
        return [Cell(*cell) for cell in product(self.orders, self.seeds, self.methods, self.features)]

    @property
    def contestants(self) -> list[Contestant]:
        """Every method on every kind of features."""
        return [Contestant(*pair) for pair in product(self.methods, self.features)]

    def settings(self, cell: Cell) -> RunSettings:
        """What a cell's run is asked to do."""
        method = self.variants.get(cell.method, cell.method)
        settings = RunSettings.checked(
            {**cell._asdict(), "method": method, "stream": self.stream, "backbone": self.backbone}
        )
        update = {
            "options": dict(self.options.get(cell.method, {})),
            "stream_options": self.stream_options,
            "backbone_options": dict(self.backbone_options),
        }
        return settings.model_copy(update=update)

    def runs(self, table: Path) -> dict[Path, RunSettings]:
        """What each cell's run is asked to do, by its folder in the folder of the table."""
        return {run_folder(table, cell): self.settings(cell) for cell in self.cells}

    def reference(self, asked: str | None = None) -> Contestant:
        """Who the others are compared with.

        asked: a method, or ``method/features``; of a method alone, ``shared`` features if they are in the table.
        """
        if asked is None:
            asked = REFERENCE if REFERENCE in self.methods else self.methods[0]
        method, _, features = asked.partition("/")
        if method not in self.methods:
            raise UnknownName("method of the table", method, self.methods)
        if not features:
            features = "shared" if "shared" in self.features else self.features[0]
        if features not in self.features:
            raise UnknownName("features of the table", features, self.features)
        return Contestant(method, features)

    def _method(self, name: str) -> type[Method]:
        return known_methods.get(self.variants.get(name, name))

    def _backbone_settings(self) -> Settings:
        return registered(self.backbone).options.checked(self.backbone_options)

    def as_json(self) -> dict[str, Any]:
        """Plain data, with every setting's value, defaults too."""
        method_settings = {
            name: self._method(name).options.checked(self.options.get(name, {})).model_dump() for name in self.methods
        }
        return {
            "stream": self.stream,
            "backbone": self.backbone,
            "orders": list(self.orders),
            "seeds": list(self.seeds),
            "methods": list(self.methods),
            "variants": dict(self.variants),
            "features": list(self.features),
            "settings": {
                "method": method_settings,
                "stream": self.stream_options.model_dump(),
                "backbone": self._backbone_settings().model_dump(mode="json"),
            },
        }


def run_folder(table: Path, cell: Cell) -> Path:
    """Where a cell's run lies in the folder of its table."""
    return table / "runs" / cell.name


def listed(text: str, what: str) -> list[str]:
    """Names separated by commas.

    >>> listed("random, sequential", "orders")
    ['random', 'sequential']
    """
    names = [name.strip() for name in text.split(",")]
    if not all(names):
        raise RemodalError(f"{what}: found {text!r}; valid: names separated by commas")
    return names


def seeds_listed(text: str) -> tuple[int, ...]:
    """Seeds separated by commas.

    >>> seeds_listed("0,1,2")
    (0, 1, 2)
    """
    names = listed(text, "seeds")
    if not all(name.isascii() and name.isdigit() for name in names):
        raise RemodalError(f"seeds: found {text!r}; valid: whole numbers from 0, separated by commas")
    return tuple(int(name) for name in names)


def variants_listed(texts: Sequence[str]) -> dict[str, str]:
    """Methods by the names of their variants.

    >>> variants_listed(["alone=comm", "wide=ridge"])
    {'alone': 'comm', 'wide': 'ridge'}
    """
    found = {}
    for text in texts:
        name, equals, method = text.partition("=")
        if not equals:
            raise RemodalError(f"--variant: found {text!r}; valid: NAME=METHOD, such as alone=comm")
        found[name] = method
    return found


def methods_listed(text: str) -> tuple[str, ...]:
    """Methods separated by commas; ``all`` is every one there is."""
    names: Sequence[str] = listed(text, "methods")
    return tuple(known_methods.names() if "all" in names else names)
