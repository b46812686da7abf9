"""The parts of COMM on cases that can be worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from remodal.adaptation.blend import relevance, weighted_sum
from remodal.adaptation.merge import merge, merge_rate, self_regularisation
from remodal.adaptation.prompts import fresh_prompts
from remodal.adaptation.realign import temperature
from remodal.adaptation.ridge import LowRankRidge, Sketch, StreamingRidge
from remodal.adaptation.router import Router
from remodal.backbones.lite.prompting import prompted
from remodal.streams.base import Column
from remodal.testing import ToyEncoder
from remodal.training.trainer import Trainer


def test_self_regularisation_is_one_minus_the_mean_cosine() -> None:
    new = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    old = torch.tensor([[3.0, 0.0], [1.0, 0.0]])
    assert self_regularisation(new, old).item() == pytest.approx(0.5)


def test_merging_moves_by_the_rate() -> None:
    assert merge(torch.tensor([0.0]), torch.tensor([10.0]), merge_rate(1, 4)).item() == pytest.approx(3.0)


def test_relevance_is_a_softmax_over_the_others() -> None:
    logits = torch.tensor([[0.0, 50.0, 2 * math.log(3.0)]])  # the own modality saturates; temperature 2
    torch.testing.assert_close(relevance(logits, own=1), torch.tensor([0.25, 0.0, 0.75]))


def test_relevance_of_a_new_modality_counts_all_known_ones() -> None:
    torch.testing.assert_close(relevance(torch.zeros(3, 2), own=None), torch.tensor([0.5, 0.5]))


def test_a_lone_modality_has_nobody_to_borrow_from() -> None:
    assert relevance(torch.zeros(3, 1), own=0).tolist() == [0.0]


def test_borrowed_prompts_are_a_weighted_sum() -> None:
    ones = torch.ones(1, 2, 3, 4)
    assert torch.equal(weighted_sum([ones, 2 * ones], [0.5, 0.25], ones), ones)


def test_fresh_prompts_leave_tokens_as_they_are() -> None:
    tower = ToyEncoder("vision")
    prompts = fresh_prompts(tower, 4, torch.Generator().manual_seed(0))
    tokens = torch.randn(5, 2, 12)
    assert prompts.shape == (1, 2, 4, 12)
    assert torch.equal(prompted(tokens, prompts), tokens)


def test_a_prompt_adds_its_value_where_its_key_attends() -> None:
    """Two keys, one far more alike: the token takes on that key's value."""
    prompts = torch.tensor([[[[100.0, 0.0], [-100.0, 0.0]], [[0.0, 1.0], [5.0, 5.0]]]])
    torch.testing.assert_close(prompted(torch.tensor([[1.0, 0.0]]), prompts), torch.tensor([[1.0, 1.0]]))


def test_temperature_softens_what_is_too_sure() -> None:
    logits = torch.tensor([[20.0, 0.0], [20.0, 0.0], [20.0, 0.0], [20.0, 0.0]])
    sure = temperature(logits, torch.tensor([0, 0, 0, 0]))
    unsure = temperature(logits, torch.tensor([0, 0, 0, 1]))
    assert sure < 1 < unsure


def test_streaming_ridge_is_ridge_regression() -> None:
    features, labels = torch.randn(50, 6, generator=torch.Generator().manual_seed(0)), torch.arange(50) % 3
    first = StreamingRidge.empty(6).added(features[:20], labels[:20], 3)
    ridge = first.added(features[20:], labels[20:], 3)
    gram = features.T @ features
    penalised = gram + 0.1 * gram.diagonal().mean() * torch.eye(6)
    expected = torch.linalg.solve(penalised, features.T @ torch.nn.functional.one_hot(labels).float())
    torch.testing.assert_close(ridge.solve(0.1), expected, atol=1e-4, rtol=1e-3)


def test_low_rank_ridge_is_ridge_regression_where_the_rank_suffices() -> None:
    features, labels = torch.randn(50, 6, generator=torch.Generator().manual_seed(0)), torch.arange(50) % 3
    first = LowRankRidge.empty(6).sketch.added(features[:20], labels[:20], 2 + 1).cut(6).rounded()
    ridge = first.sketch.added(features[20:], labels[20:], 3).cut(6).rounded()
    expected = torch.linalg.solve(
        features.T @ features + (0.7 + float(ridge.spare)) * torch.eye(6),
        features.T @ torch.nn.functional.one_hot(labels).float(),
    )
    assert ridge.factor.shape == (6, 6)
    torch.testing.assert_close(ridge.sketch.solve(0.7), expected, atol=1e-4, rtol=1e-3)


def test_what_items_do_not_tell_of_others_is_a_gaussian_process_variance() -> None:
    features, labels = torch.randn(50, 6, generator=torch.Generator().manual_seed(0)), torch.arange(50) % 3
    others = torch.randn(4, 6, generator=torch.Generator().manual_seed(1)) * 3
    ridge = LowRankRidge.empty(6).sketch.added(features, labels, 3).cut(6).rounded()
    noise = 0.7 + float(ridge.spare)
    kernel, across = (features @ features.T + noise * torch.eye(50)).double(), (others @ features.T).double()
    variance = others.square().sum(1) - (across @ torch.linalg.inv(kernel) * across).sum(1)
    explained = (others @ ridge.sketch.explaining(0.7, most=6)).square().sum(1)
    torch.testing.assert_close((others.square().sum(1) - explained).double(), variance, atol=1e-3, rtol=1e-3)
    assert ridge.sketch.explaining(0.7, most=2).shape == (6, 2)
    assert LowRankRidge.empty(6).sketch.explaining(0.7, most=2).shape == (6, 0)


def test_the_factor_is_kept_in_16_bits_whatever_its_size() -> None:
    factor = torch.randn(5, 40, generator=torch.Generator().manual_seed(0)) * torch.logspace(-9, 9, 5)[:, None]
    kept = LowRankRidge.rounded(factor, torch.tensor(0.0), torch.zeros(0, 40))
    assert kept.directions.dtype == torch.int16
    assert ((kept.factor - factor).abs() <= 2**-15.9 * factor.abs().amax(1, keepdim=True)).all()


def test_moments_of_earlier_versions_are_taken_on() -> None:
    features, labels = torch.randn(50, 6, generator=torch.Generator().manual_seed(0)), torch.arange(50) % 3
    doubled = features.double()  # products of float32 aren't symmetric to the last bit on every CPU
    gram, cross = doubled.T @ doubled, doubled.T @ torch.nn.functional.one_hot(labels).double()
    whole = StreamingRidge(**StreamingRidge.earlier({"gram": gram, "cross": cross}))
    torch.testing.assert_close(whole.gram, gram)
    spare = torch.tensor(0.5)
    scales = features.abs().amax(1)
    half = {
        "directions": (features / scales[:, None]).half(),
        "scales": scales,
        "spare": spare,
        "sums": cross.T.float(),
    }
    for before in ({"gram": gram, "cross": cross}, {"factor": features, "spare": spare, "cross": cross}, half):
        kept = LowRankRidge(**LowRankRidge.earlier(before))
        torch.testing.assert_close(kept.factor.T @ kept.factor, gram.float(), atol=0.05, rtol=1e-3)
        torch.testing.assert_close(kept.sums, cross.T.float())
        assert LowRankRidge.earlier(vars(kept)) == vars(kept)


def test_a_gram_matrix_is_as_wide_as_its_triangle() -> None:
    with pytest.raises(ValueError, match="a triangle of 3 numbers; valid: of width 1,000,000"):
        StreamingRidge(torch.zeros(3), torch.zeros(1_000_000, 0)).solve(0.1)


def test_what_low_rank_ridge_cuts_off_becomes_penalty() -> None:
    rows = torch.diag(torch.tensor([3.0, 2.0, 1.0]))
    ridge = LowRankRidge.empty(3).sketch.added(rows, torch.tensor([0, 1, 2]), 3).cut(2).rounded()
    gram = ridge.factor.T @ ridge.factor
    torch.testing.assert_close(gram, torch.diag(torch.tensor([8.0, 3.0, 0.0])))  # 9 - 1, 4 - 1
    assert float(ridge.spare) == pytest.approx(0.5)


def test_items_in_chunks_leave_a_gram_matrix_as_near_as_its_penalty_says() -> None:
    """What is missing of the Gram is no less than nothing and no more than twice the spare, in any direction."""
    features = torch.randn(300, 30, generator=torch.Generator().manual_seed(0)) * torch.logspace(0, -1, 30)
    sketch = LowRankRidge.empty(30).sketch
    for chunk in torch.split(features, 40):
        sketch = sketch.added(chunk, torch.zeros(len(chunk), dtype=torch.int64), 1).cut(12)
    missing = torch.linalg.eigvalsh(features.T @ features - sketch.factor.T @ sketch.factor)
    assert missing[0] > -1e-3
    assert 0 < missing[-1] < 2 * float(sketch.spare) + 1e-3


def test_an_item_left_out_is_an_item_that_was_never_seen() -> None:
    draws = torch.Generator().manual_seed(0)
    features, labels = torch.randn(30, 40, generator=draws), torch.arange(30) % 3
    known = LowRankRidge.empty(40).sketch.added(features[:12], labels[:12], 3).cut(8).rounded()
    found = known.sketch.added(features[12:], labels[12:], 3).left_out(labels[12:], [0.5, 2.0])
    for item in range(18):
        others = torch.arange(18) != item
        without = known.sketch.added(features[12:][others], labels[12:][others], 3)
        for at, penalty in enumerate((0.5, 2.0)):
            expected = features[12:][item] @ without.solve(penalty)
            torch.testing.assert_close(found[at, item], expected, atol=1e-4, rtol=1e-3)


def test_of_many_items_some_are_left_out() -> None:
    features, labels = torch.randn(30, 40, generator=torch.Generator().manual_seed(0)), torch.arange(30) % 3
    whole = LowRankRidge.empty(40).sketch.added(features, labels, 3)
    assert torch.equal(whole.left_out(labels[8:], [0.5], 4), whole.left_out(labels[8:], [0.5])[:, ::4])


def test_the_router_tells_modalities_apart_from_their_statistics() -> None:
    draws = torch.Generator().manual_seed(0)
    centres = torch.eye(3, 8)
    items = {name: torch.nn.functional.normalize(centre + 0.2 * torch.randn(90, 8, generator=draws), dim=-1)
             for name, centre in zip(("image", "audio", "depth"), centres, strict=True)}  # fmt: skip
    router = Router.empty(8)
    for task, (modality, features) in enumerate(items.items()):
        columns = [Column(modality, name) for name in ("a", "b", "c")]
        router = router.learned(features, torch.arange(90) % 3, columns, Trainer(0, task))
    for index, features in enumerate(items.values()):
        assert (router.logits(features).argmax(1) == index).float().mean() > 0.95


def test_products_that_are_known_after_a_cut_are_those_of_what_is_left() -> None:
    features, labels = torch.randn(30, 50, generator=torch.Generator().manual_seed(3)), torch.arange(30) % 4
    whole = LowRankRidge.empty(50).sketch.added(features, labels, 4)
    whole.left_out(labels, [1.0])
    cut = whole.cut(12)
    anew = Sketch(cut.factor, cut.spare, cut.sums, torch.zeros(0, 0).double())
    torch.testing.assert_close(cut.solve(0.5), anew.solve(0.5), atol=1e-5, rtol=1e-4)
    more = torch.randn(6, 50, generator=torch.Generator().manual_seed(4))
    found, expected = (one.added(more, labels[:6], 5).left_out(labels[:6], [0.3]) for one in (cut, anew))
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-3)
