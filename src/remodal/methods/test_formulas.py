"""What the papers of single methods say, on cases that can be worked out by hand."""

from __future__ import annotations

import torch
from torch.nn import functional

from remodal.methods import methods, rapf, slca
from remodal.methods.coda_prompt import unorthogonal, weighted
from remodal.methods.dualprompt import DualPrompt
from remodal.methods.l2p import KEYS, L2P
from remodal.testing import ToyBackbone, toy_stream
from remodal.training.trainer import Trainer

STREAM = toy_stream([("image", ("cat", "dog")), ("image", ("elm", "fir"))])


def test_a_coda_prompt_is_the_sum_of_components_by_their_cosines() -> None:
    draws = torch.Generator().manual_seed(0)
    queries, attention, keys = (torch.randn(*shape, generator=draws) for shape in ((3, 5), (2, 4, 5), (2, 4, 5)))
    prompts = torch.randn(2, 4, 2, 6, 7, generator=draws)
    found = weighted(queries, attention, keys, prompts)
    for item, layer in ((0, 0), (2, 3)):
        attended = queries[item] * attention[:, layer]
        first, second = functional.cosine_similarity(attended, keys[:, layer], dim=1)
        torch.testing.assert_close(found[item, layer], first * prompts[0, layer] + second * prompts[1, layer])


def test_new_components_are_held_orthogonal_to_all_in_the_mean_over_all_pairs() -> None:
    one, two = torch.tensor([[[2.0, 0.0]]]), torch.tensor([[[1.0, 1.0]]])  # of one layer
    assert float(unorthogonal(one, one[:0])) == 9  # (4 - 1)^2
    assert float(unorthogonal(two, one)) == ((2 - 1) ** 2 + 2 * 2**2) / 4  # without (4 - 1)^2, which can't change


def test_a_new_expert_prompt_of_dualprompt_starts_as_the_last_one() -> None:
    still = DualPrompt.options.checked({"learning_rate": 1e-12, "steps": 1})
    method = DualPrompt(ToyBackbone(), still, 0)
    for task in STREAM.tasks:
        method.learn(task.train, Trainer(0, task.train.index))
    (part,) = method.parts_.values()
    torch.testing.assert_close(part.experts[0], part.experts[1])
    assert not torch.equal(part.keys[0], part.keys[1])


def test_keys_of_l2p_start_short_and_near_each_other() -> None:
    method = L2P(ToyBackbone(), L2P.options.checked({"learning_rate": 1e-12, "steps": 1}), 0)
    method.learn(STREAM.tasks[0].train, Trainer(0, 0))
    (part,) = method.parts_.values()
    assert part.keys.min() >= 0
    assert part.keys.max() <= KEYS


def test_the_hinge_of_rapf_counts_what_is_lacking_to_the_margin() -> None:
    cosines = torch.tensor([[0.5, 0.45, 0.9], [0.2, 0.5, 0.1]])
    near = torch.tensor([[False, True, False], [False, False, True]])
    # the first item: .1 - .5 + .45 = .05; the second one is .4 nearer to its own: 0
    torch.testing.assert_close(rapf.hinge(cosines, torch.tensor([0, 1]), near), torch.tensor(0.025))


def test_only_old_classes_that_have_a_near_new_name_are_held_apart() -> None:
    losses = []
    for near in (1.0, -1.0):  # no name is near; all new names are
        settings = {"near": near, "steps": 1, "old_classes": 0}
        method = methods.get("rapf")(ToyBackbone(), rapf.RapfSettings.checked(settings), 0)
        records: list[dict[str, float]] = []
        for task in STREAM.tasks:
            method.learn(task.train, Trainer(0, task.train.index, record=records.append))
        losses.append([record["loss"] for record in records])
    (first, second), (also_first, held) = losses
    assert first == also_first
    assert held > second


def test_logits_of_slca_are_divided_by_the_mean_length_of_the_tasks() -> None:
    logits = torch.tensor([[3.0, 4.0, 2.0]])
    of_task = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    # lengths 5 and 2
    torch.testing.assert_close(slca.normalised(logits, of_task), logits / 3.5)
