"""What a user holds: one model that learns tasks, answers, and is saved and loaded."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from copy import copy
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple, Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from remodal.answering import Answer, Prediction, answered, refused
from remodal.backbones import Engine, Tokens, Tower, load_backbone
from remodal.cache import cache_folder
from remodal.errors import BadItem, RemodalError, UnknownName
from remodal.familiarity import Familiarity
from remodal.features.extract import extract, stem
from remodal.features.progress import Progress, Silent
from remodal.features.shared import open_store
from remodal.features.source import Window
from remodal.features.store import FeatureStore
from remodal.learning.evaluate import accuracy
from remodal.learning.execution import learn
from remodal.learning.metrics import mean
from remodal.learning.prepare import (
    prepare,
    prepare_held_out,
    prepare_task,
    stated_licences,
    stated_unit,
    without_unusable,
)
from remodal.learning.settings import Features
from remodal.media import Decoded, Given, Medium, given, named
from remodal.methods import methods
from remodal.methods.additive import Additive
from remodal.methods.base import State
from remodal.modalities import MODALITIES, get_modality
from remodal.modalities.depth import METRES
from remodal.saved import (
    About,
    Again,
    Change,
    HeldOut,
    Items,
    Learned,
    Marked,
    about,
    changing,
    fitting,
    located,
    push,
    read,
    trusted,
    write,
)
from remodal.streams.base import Column, Quarantined, Step, Stream, Task
from remodal.streams.labels import checked_label
from remodal.training.trainer import Trainer

HANDFUL = 64
"""Media that are answered at a time."""
TRIED = 1000
"""Classes that a loaded model scores once, to see that its tensors fit: a name may have to be embedded for each."""


class Evaluation(NamedTuple):
    """Accuracies on a stream's tasks, None for a task that the model can't score."""

    aware: list[float | None]
    agnostic: list[float | None]

    @property
    def mean_aware(self) -> float | None:
        """Mean over the tasks, the modality given."""
        return mean(self.aware)

    @property
    def mean_agnostic(self) -> float | None:
        """Mean over the tasks, the modality not given."""
        return mean(self.agnostic)


class Answering(Protocol):
    """Who says what a model says of media, wherever that is computed: see :meth:`Model.answers`."""

    def __call__(
        self,
        media: Sequence[Medium],
        modality: str | None = None,
        top: int = 1,
        progress: Progress | None = None,
        *,
        depth_unit: str | None = None,
    ) -> Iterator[Answer]:
        """What the model says of each, one after the other."""


class Model:
    """A frozen backbone and a method that learns on it.

    method, backbone: names in ``list_methods()`` and ``list_backbones()``. features: ``"shared"``, or ``"published"``
    for the backbone's last layer alone. settings: the method's own, by name. backbone_settings: the backbone's, by
    name. cache: folder of frozen features; the user's cache folder by default. device, dtype: where and how precisely
    the frozen model computes (:meth:`~remodal.backbones.Engine.of`).

    >>> Model("comm", "vit", backbone_settings={"prompt_from_layer": 12}, steps=50)
    Traceback (most recent call last):
    ...
    remodal.errors.RemodalError: setting backbone.prompt_from_layer: found 12; \
valid: a whole number, at least 0, at most 11
    """

    def __init__(
        self,
        method: str = "remodal",
        backbone: str = "lite",
        *,
        seed: int = 0,
        features: Features = "shared",
        backbone_settings: Mapping[str, object] | None = None,
        cache: Path | None = None,
        device: str = "cpu",
        dtype: str = "float32",
        **settings: Any,
    ) -> None:
        self._begin(
            method, backbone, seed, features, cache, Engine.of(device, dtype), settings, backbone_settings or {}
        )

    def _begin(
        self,
        method: str,
        backbone: str,
        seed: int,
        features: Features,
        cache: Path | None,
        engine: Engine,
        settings: Mapping[str, object],
        backbone_settings: Mapping[str, object],
        modalities: Sequence[str] = tuple(MODALITIES),
    ) -> None:
        chosen = methods.get(method)
        options = chosen.options.checked(settings)
        self._cache = cache or cache_folder()
        self.modalities = tuple(get_modality(name).name for name in dict.fromkeys(modalities))
        """In which it answers."""
        whole = load_backbone(backbone, self._cache, engine, backbone_settings, self.modalities)
        self.backbone = whole.published() if features == "published" else whole
        self.method = chosen(self.backbone, options, seed)
        self.seed = seed
        self._named = method, backbone, features
        self.learned_ = Learned()
        """Classes, where they came from, and what was held out of them."""
        self.saved_as: tuple[Path, int] | None = None
        """Folder and version that the model was loaded from or saved as, last."""
        self._familiarity: tuple[Learned, Familiarity] | None = None

    def __repr__(self) -> str:
        method, backbone, _ = self._named
        return f"Model({method!r}, {backbone!r}): {len(self.seen_)} classes"

    @property
    def backbone_name(self) -> str:
        """What :func:`~remodal.backbones.load_backbone` takes for the frozen model."""
        return self._named[1]

    @property
    def method_name(self) -> str:
        """The method's, in ``list_methods()``."""
        return self._named[0]

    @property
    def seen_(self) -> list[Column]:
        """Classes learned so far, with their modalities."""
        return list(self.learned_.columns)

    @property
    def lineage(self) -> dict[str, str]:
        """By modality, a hash over all that was learned of the modalities that its tower reads.

        An answer or an embedding may change when, and only when, this does.
        """
        reads, learned = self.backbone.reads, sorted(self.learned_.lineage.items())
        found = {}
        for modality, tower in reads.items():
            same_tower = [entry for entry in learned if reads[entry[0]] == tower]
            found[modality] = sha256(json.dumps(same_tower).encode()).hexdigest()[:32]
        return found

    def learn(self, task: Task | Step, progress: Progress | None = None, origin: str = "given in Python") -> Self:
        """Learn one task, or one step of a stream. Raises RemodalError where an item can't be used.

        A few of a task's held-out items stay with the model, to measure it with; it does not learn from them.
        origin: where the items come from, in words, for the model's card.
        """
        self._check_whole()
        with self._store() as store:
            data = prepare_task(task, self.learned_.tasks, self.backbone, store, progress, self._needs_tokens)
        stated = stated_licences(task.train), stated_unit(task.train)
        learned = self.learned_.after(data, origin, *stated)
        if isinstance(task, Task):
            learned = self._holding(task, learned)
        learn(self.method, data, Trainer(self.seed, data.index, progress=progress))
        self.learned_ = learned
        return self

    def hold_out(self, task: Task) -> Self:
        """Learn nothing; keep a few of a task's held-out items, of classes that are known, to measure it with."""
        self.learned_ = self._holding(task, self.learned_)
        return self

    def _holding(self, task: Task, learned: Learned) -> Learned:
        """What was learned, with the task's held-out items as far as there is room."""
        with self._store() as store:
            held_out = prepare_held_out(task, self.backbone, store, self._needs_tokens)
        return learned if held_out is None else learned.holding(task.modality, *held_out)

    def usable(
        self, tasks: Sequence[Task], progress: Progress | None = None
    ) -> tuple[tuple[Task, ...], tuple[Quarantined, ...]]:
        """The tasks without the items that can't be read or decoded, and these items."""
        with self._store() as store:
            return without_unusable(tasks, self.backbone, store, progress, self._needs_tokens)

    def evaluate(self, stream: Stream | Iterable[Task], progress: Progress | None = None) -> Evaluation:
        """Accuracy on the held-out items of each task, among all classes learned so far."""
        whole = stream if isinstance(stream, Stream) else Stream("tasks", "given", self.seed, tuple(stream), ())
        with self._store() as store:
            prepared = prepare(whole, self.backbone, store, progress, self._needs_tokens)
        rows = [accuracy(self.method, task, self.seen_) for task in prepared.tasks]
        return Evaluation([row.aware for row in rows], [row.agnostic for row in rows])

    def predict(
        self, media: Sequence[Medium], modality: str | None = None, top: int = 1, *, depth_unit: str | None = None
    ) -> list[list[Prediction]]:
        """The ``top`` likeliest classes of each medium, best first.

        media: paths of files, encoded bytes, or sentences as :class:`Text`. modality: of all of them, where it is
        known; otherwise a decoder is found from each file's content and the model finds the modality. depth_unit:
        ``"mm"``, ``"cm"``, ``"m"`` or ``"sunrgbd"``, of depth files; by default what those had that the model learned
        from. Raises BadItem where a medium can't be read, and RemodalError where no class of ``modality`` was learned.
        """
        found = []
        for answer in self.answers(media, modality, top, depth_unit=depth_unit):
            if answer.problem is not None:
                raise BadItem(answer.medium, answer.problem)
            found.append(list(answer.best))
        return found

    def answers(
        self,
        media: Sequence[Medium],
        modality: str | None = None,
        top: int = 1,
        progress: Progress | None = None,
        *,
        depth_unit: str | None = None,
    ) -> Iterator[Answer]:
        """What the model says of each medium, one after the other; one that can't be read doesn't stop the others.

        Takes what :meth:`predict` takes.
        """
        _check_question(media, top)
        self.candidates(modality)
        unit = self.unit(depth_unit)
        with self._store() as store, (progress or Silent()).work("predict", len(media)) as count:
            for start in range(0, len(media), HANDFUL):
                handful = media[start : start + HANDFUL]
                yield from self._answered(store, handful, modality, top, unit)
                count(len(handful))

    def answer_decoded(self, media: Sequence[Decoded], modality: str | None = None, top: int = 1) -> list[Answer]:
        """What the model says of media that were decoded elsewhere; nothing is cached."""
        _check_question(media, top)
        self.candidates(modality)
        answers: dict[int, Answer] = {}
        for tower in self.backbone.towers.values():
            own = [at for at, one in enumerate(media) if one.tower == tower.name]
            if own:
                tokens = stem([(media[at].read_as, media[at].prepared) for at in own], tower.encoder)
                answers.update(zip(own, self._said(tower, tokens, [media[at].name for at in own], modality, top)))
        return [answers[at] for at in range(len(media))]

    def embed_words(self, words: str) -> NDArray[np.float32]:
        """The place ``[d]`` of some words in the text space, of length one. Raises RemodalError for half characters."""
        try:
            words.encode()
        except UnicodeEncodeError as error:
            raise RemodalError(f"words: found {error.object[error.start]!r}; valid: characters of Unicode") from None
        return self.backbone.embed_name(words).cpu().numpy()

    def candidates(self, modality: str | None = None) -> list[Column]:
        """The classes that may be an answer: all in which it answers, or those of a modality.

        Raises:
            RemodalError: There is none.
        """
        if modality is not None:
            get_modality(modality)
        asked = self.modalities if modality is None else {modality} & {*self.modalities}
        columns = [column for column in self.seen_ if column.modality in asked]
        if not self.seen_:
            raise RemodalError("the model has learned nothing yet; call learn(task) first")
        if not columns:
            answered = [column.modality for column in self.seen_ if column.modality in self.modalities]
            known = ", ".join(dict.fromkeys(answered)) or "none"
            wanted = modality or ", ".join(self.modalities)
            raise RemodalError(f"the model has learned no class of {wanted}; it knows: {known}")
        return columns

    def unit(self, stated: str | None = None) -> str | None:
        """The unit of depth files: as stated, or as the model learned it. UnknownName where the stated one is none."""
        if stated is not None and stated not in METRES:
            raise UnknownName("unit", stated, METRES)
        return stated or self.learned_.depth_unit

    def _answered(
        self, store: FeatureStore, media: Sequence[Medium], modality: str | None, top: int, unit: str | None
    ) -> list[Answer]:
        answers: dict[int, Answer] = {}
        readable: dict[int, Given | Window] = {}
        position: dict[str, int] = {}
        for at, medium in enumerate(media):
            if isinstance(medium, Window):
                position[medium.id], readable[at] = at, medium
                continue
            name = named(medium)
            while name in position:
                name = f"{name}, medium {at + 1}"
            position[name] = at
            try:
                readable[at] = given(name, medium, modality, unit)
            except BadItem as bad:
                answers[at] = refused(named(medium), bad.reason)
        extracted = extract(list(readable.values()), self.backbone, store, needs_tokens=self._needs_tokens)
        for rejected in extracted.rejected:
            at = position[rejected.id]
            answers[at] = refused(named(media[at]), rejected.reason)
        for tower in self.backbone.towers.values():
            own = [at for at in readable if at not in answers and self.backbone.tower(readable[at].read_as) is tower]
            if own:
                tokens = extracted.tokens(store, tower.name, [readable[at].id for at in own])
                answers.update(zip(own, self._said(tower, tokens, [named(media[at]) for at in own], modality, top)))
        return [answers[at] for at in range(len(media))]

    def _said(
        self,
        tower: Tower,
        tokens: Tokens,
        names: Sequence[str],
        modality: str | None,
        top: int,
    ) -> list[Answer]:
        columns = self.candidates(modality)
        tried = {kept.tokens.tower for kept in self.learned_.held_out.kept.values()}
        where = self.saved_as[0] if self.saved_as and tower.name not in tried else None
        with fitting(where, self.method_name) if where else nullcontext():
            return answered(self.method, tokens, columns, self._familiar(), names, top)

    def _familiar(self) -> Familiarity:
        """What media are compared with to say whether they are like anything learned; made when first asked for."""
        if self._familiarity is None or self._familiarity[0] is not self.learned_:
            with torch.inference_mode():
                self._familiarity = self.learned_, Familiarity(self.learned_.held_out, self.method)
        return self._familiarity[1]

    def merged(self, other: Self, base: Self | None = None) -> Self:
        """A model that knows what both have learned, apart from each other; neither of them is changed.

        base: the model that both learned on from; without it they may not have learned one modality both, unless
        nothing of it depends on how it began. See :class:`~remodal.methods.additive.Additive`.

        Raises:
            RemodalError: They differ in backbone, method or settings, what the method learns doesn't add up, or they
                didn't begin from ``base``.
        """
        everyone = [self, other, *([base] if base else [])]
        for what, (first, *others) in _told_of(everyone).items():
            for one in others:
                if one != first:
                    raise RemodalError(f"found models of {what} {first} and {one}; valid: of one")
        mine, theirs, before = self.method, other.method, base.method if base else None
        if not isinstance(mine, Additive) or not isinstance(theirs, Additive):
            able = ", ".join(name for name in methods.names() if issubclass(methods.get(name), Additive))
            raise RemodalError(f"what {self.method_name} learns doesn't add up; valid: models of {able}")
        learned = self.learned_.merged(other.learned_, base.learned_ if base else Learned())
        found = copy(self)
        found.method = mine.merged(theirs, base=before if isinstance(before, Additive) else None)
        found.learned_, found.saved_as = learned, None
        return found

    def holding(self, file: str | Path | Given) -> Marked:
        """The items, learned and held out, that hold the same as a file, however they were read; there may be none.

        Raises:
            BadItem: It can't be read.
        """
        medium = file if isinstance(file, Given) else given(str(file), file, None, self.unit())
        with self._store() as store:
            return self._stored(store).holding(medium)

    def known_features(self, most: int) -> dict[str, Tensor]:
        """By tower, features ``[n, d]`` of what it holds out, and of what it learned as far as that is still stored.

        most: items of a tower, at most, of those that it learned.
        """
        with self._store() as store, torch.inference_mode():
            everything = [kept.tokens for kept in self.learned_.held_out.kept.values()]
            everything += self._stored(store).still_stored(most)
            found: dict[str, list[Tensor]] = {}
            for tokens in everything:
                tower = self.backbone.towers[tokens.tower]
                found.setdefault(tower.name, []).extend(tower.features(part).cpu() for part in tokens.batches(HANDFUL))
        return {tower: torch.cat(parts) for tower, parts in found.items()}

    def without(self, forgotten: Marked, progress: Progress | None = None) -> Self:
        """A model that has learned what this one has but some items, in the same order, from stored features.

        So it is the model that never saw them, whatever its method; this one isn't changed. Items held out of classes
        that it doesn't know any more go too.

        Raises:
            RemodalError: Not all that was learned is known item by item, or still stored; or nothing is left.
        """
        held_out = self.learned_.held_out.without(forgotten.held_out)
        return self._again(Change.without(self.learned_, forgotten), held_out, progress)

    def relabelled(self, items: Marked, name: str, progress: Progress | None = None) -> Self:
        """A model that has learned some items as of the class ``name`` of their modality, all else as this one.

        So it is the model that was taught them under that name in the same place (:meth:`Again.tasks`). Items that are
        held out have that name too where there is room for them, and go where no item of that class was learned.

        Raises:
            RemodalError: See :meth:`without`, and what is wrong with the name.
        """
        checked = checked_label(name, "class")
        held_out = self.learned_.held_out.relabelled(items.held_out, checked)
        return self._again(Change.relabelled(self.learned_, items, checked), held_out, progress)

    def _again(self, change: Change, held_out: HeldOut, progress: Progress | None) -> Self:
        """A model that learns all once more, with a change. held_out: it keeps those of classes that it knows."""
        found = copy(self)
        found.method = type(self.method)(self.backbone, self.method.settings, self.seed)
        with self._store() as store, (progress or Silent()).work("learn", len(self.learned_.sources)) as count:
            found.learned_ = Learned(arrived=self.learned_.arrived)
            for data, source in self._stored(store).tasks(change):
                found.learned_ = found.learned_.after(data, source.origin, source.licences, self.learned_.depth_unit)
                learn(found.method, data, Trainer(self.seed, data.index, progress=progress))
                count()
        found.learned_ = replace(found.learned_, held_out=held_out.of(found.seen_))
        return found

    def _stored(self, store: FeatureStore) -> Again:
        """What it has learned, as far as a store has it."""
        return Again(self.learned_, self.backbone, store, self._needs_tokens)

    def save(self, folder: str | Path, note: str = "") -> Path:
        """Save the model in ``folder``: as a new one, or as the next version of the one that is there.

        Nothing is overwritten: earlier versions stay. note: what was done, in words. Returns the folder.
        """
        folder = Path(folder)
        with changing(folder):
            parent = self.saved_as[1] if self.saved_as and self.saved_as[0] == folder.resolve() else None
            written = write(folder, self.about(), self.method.state(), self.learned_, parent, note)
        self.saved_as = folder.resolve(), written.version
        return folder

    def push_to_hub(self, name: str, *, private: bool = False) -> str:
        """Save the model on a hub as ``owner/name``; its address there.

        Raises:
            RemodalError: The hub can't be reached, or doesn't let in.
        """
        with TemporaryDirectory() as folder:
            with changing(Path(folder)):
                write(Path(folder), self.about(), self.method.state(), self.learned_)
            return push(Path(folder), name, private=private)

    def about(self) -> About:
        """What the model is and has learned, with its accuracy on what it holds out."""
        self._check_whole()
        return about(self.method, *self._named, self.learned_)

    @classmethod
    def load(
        cls,
        model: str | Path,
        *,
        cache: Path | None = None,
        device: str = "cpu",
        dtype: str | None = None,
        trust_backbone: str | Path | None = None,
        modalities: Sequence[str] = tuple(MODALITIES),
    ) -> Self:
        """The current version of a saved model.

        model: its folder, a finished run's folder, or ``owner/name`` on a hub. trust_backbone: the folder or id of the
        frozen model, or the file of its towers, for a model that names one: none is opened because a saved model says
        so. device, dtype: as of :class:`Model`; a dtype that the model didn't learn with is refused. modalities: in
        which it answers; encoders that read none of them aren't loaded, and where some are left out it can't learn.

        Raises:
            RemodalError: There is none, a file of it is damaged, or this installation can't run it.
        """
        folder = located(model)
        description, state, held_out, items = read(folder)
        told = description.about
        trusted(folder, told.backbone, told.backbone_settings, trust_backbone)
        loaded, engine = cls.__new__(cls), Engine.of(device, dtype or told.dtype)
        try:
            settings = methods.get(told.method).options.without_gone(told.settings)
            loaded._begin(
                told.method, told.backbone, told.seed, told.features, cache, engine, settings, told.backbone_settings,
                modalities,
            )  # fmt: skip
        except RemodalError as error:
            raise RemodalError(f"{folder}: {error}") from None
        if (given := loaded.backbone.engine.name) != told.dtype:
            raise RemodalError(
                f"{folder}: learned from features in {told.dtype}, and would get them in {given}; "
                f"valid: --dtype {told.dtype} (in Python dtype={told.dtype!r})"
            )
        if loaded.backbone.fingerprint != told.fingerprint:
            found, here = told.fingerprint, loaded.backbone.fingerprint
            raise RemodalError(
                f"{folder}: learned on the backbone {found}, but the one installed here is {here}; learn it again"
            )
        with fitting(folder, told.method):
            loaded._take(told, state, held_out, items)
        loaded.saved_as = folder.resolve(), description.version
        return loaded

    def _take(self, told: About, state: State, held_out: State, items: State | None) -> None:
        """Take on what was saved, and answer once to see that it fits."""
        for modality in (*dict.fromkeys(column.modality for column in told.classes), *told.lineage):
            self.backbone.tower(modality)
        self.method.restore(state)
        kept = HeldOut.from_state(held_out, self.backbone, told.classes).within(self.modalities)
        known = Items() if items is None else Items.from_state(items, len(told.classes), len(told.sources))
        self.learned_ = Learned(
            told.classes, told.sources, told.lineage, told.tasks, kept, told.depth_unit, told.arrived, known
        )
        for one in kept.kept.values():
            with torch.inference_mode():
                self.method.scores(one.tokens[:1], told.classes[:TRIED])

    def _check_whole(self) -> None:
        """RemodalError where the model was loaded to answer in some modalities alone."""
        if {*self.modalities} != {*MODALITIES}:
            loaded = ", ".join(self.modalities)
            raise RemodalError(f"the model was loaded to answer in {loaded} alone; load all of it to teach or save it")

    def _needs_tokens(self, tower: Tower) -> bool:
        return self.method.needs_tokens(self.method.settings, tower)

    def _store(self) -> FeatureStore:
        return open_store(self._cache / "features")


def _told_of(models: Sequence[Model]) -> dict[str, list[object]]:
    """What has to be the same of models whose statistics are added up."""
    return {
        "the frozen model": [one.backbone.fingerprint for one in models],
        "the precision": [one.backbone.engine.name for one in models],
        "the features": [one._named[2] for one in models],
        "the method": [one.method_name for one in models],
        "the settings": [one.method.settings.model_dump(mode="json") for one in models],
        "the seed": [one.seed for one in models],
    }


def _check_question(media: object, top: int) -> None:
    if isinstance(media, str | bytes | Path):
        raise RemodalError(f"media: found one {type(media).__name__}; valid: a list of media, of one too")
    if type(top) is not int or top < 1:
        raise RemodalError(f"top: found {top!r}; valid: a whole number, 1 or more")
