"""What a method needs to be stored of its items."""

from __future__ import annotations

from dataclasses import replace
from unittest import SkipTest

from remodal.backbones import Backbone, StoredTokens, Tokens
from remodal.learning.prepare import PreparedTask
from remodal.testing.candidate import Candidate, columns_of, held_out_scores, learn
from remodal.testing.checks.check import check, expect_close, five_tasks
from remodal.testing.toy import ToyBackbone


@check
def needs_what_it_says(candidate: Candidate) -> None:
    """A method that says it needs no tokens learns and answers the same where frozen features alone are stored."""
    stream, backbone = five_tasks(), ToyBackbone()
    for encoder in backbone.encoders.values():
        encoder.keeps_features = True
    needs = candidate.method.needs_tokens
    alone = {name for name, tower in backbone.towers.items() if not needs(candidate.settings, tower)}
    if not alone:
        raise SkipTest(f"{candidate.name} needs tokens, and says so (needs_tokens)")
    expected = held_out_scores(candidate.learned(stream.tasks), stream)
    tasks = tuple(_without_frames(task, backbone, alone) for task in stream.tasks)
    method = candidate.new(backbone)
    learn(method, tasks)
    found = held_out_scores(method, replace(stream, tasks=tasks))
    expect_close(found, expected, columns_of(stream), "held-out items of which frozen features alone are stored")


def _without_frames(task: PreparedTask, backbone: Backbone, alone: set[str]) -> PreparedTask:
    """The task, its items' frames left out where one of these towers reads them."""

    def left(tokens: Tokens) -> Tokens:
        if tokens.tower not in alone:
            return tokens
        features = backbone.towers[tokens.tower].frozen(tokens)
        return StoredTokens.of_features(tokens.tower, tokens.lengths, features)

    train, test = replace(task.train, tokens=left(task.train.tokens)), replace(task.test, tokens=left(task.test.tokens))
    return PreparedTask(train, test)
