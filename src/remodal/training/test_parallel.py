"""What a process finds out of its launcher, and what it does where it has come to something else than the first."""

from __future__ import annotations

import json

import pytest
import torch

from remodal.backbones import Engine
from remodal.errors import RemodalError
from remodal.training.launch import joined, launched, own_engine
from remodal.training.parallel import ALONE, Alone
from remodal.training.trainer import Recipe, Trainer

GPU = Engine(torch.device("cuda"))


@pytest.fixture
def second_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a launcher tells the second of two processes on one machine."""
    for name, value in {"RANK": 1, "LOCAL_RANK": 1, "WORLD_SIZE": 2, "LOCAL_WORLD_SIZE": 2}.items():
        monkeypatch.setenv(name, str(value))


def test_without_a_launcher_a_process_is_alone() -> None:
    assert launched() == 1
    assert own_engine(GPU) is GPU
    with joined(Engine()) as team:
        assert team is ALONE


@pytest.mark.usefixtures("second_of_two")
def test_each_process_takes_the_gpu_of_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert own_engine(GPU).device == torch.device("cuda:1")
    assert own_engine(Engine()) == Engine()


@pytest.mark.usefixtures("second_of_two")
def test_several_processes_do_not_share_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RemodalError, match="found --device cuda:0 for 2 processes; valid: cuda, a GPU for each"):
        own_engine(Engine(torch.device("cuda:0")))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(RemodalError, match="found 2 processes for 1 GPUs of this machine"):
        own_engine(GPU)


class Elsewhere(Alone):
    """The second process, while the first has come to another stage."""

    rank, size = 1, 2

    def told(self, words: bytes) -> bytes:
        task, _, *rest = json.loads(words)
        return json.dumps([task, "trial", *rest]).encode()


def test_a_process_that_comes_to_another_stage_than_the_first_says_so() -> None:
    trainer, start = Trainer(0, 3, team=Elsewhere()), {"weight": torch.zeros(1)}
    with pytest.raises(RemodalError, match="process 1 comes to stage 'adapt' of step 3 .* the first .* stage 'trial'"):
        trainer.fit("adapt", start, lambda parameters, *_: parameters["weight"].sum(), 8, Recipe(0.1, 2, 4))
