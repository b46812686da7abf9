"""How much the Gaussians count beside the names: as much as held-out items say."""

from __future__ import annotations

import pytest
import torch

from remodal.adaptation.expert import embeddings
from remodal.methods import methods
from remodal.methods.gda_names import WEIGHTS, GdaNames
from remodal.methods.parts import of_unit_length
from remodal.testing import Candidate, toy_stream
from remodal.testing.candidate import scores_of


@pytest.mark.parametrize(("alignment", "noise", "names_help"), [(0.0, 0.3, False), (8.0, 4.0, True)])
def test_names_count_where_they_help(alignment: float, noise: float, names_help: bool) -> None:
    stream = toy_stream(alignment=alignment, noise=noise)
    method = Candidate.of(methods.get("gda-names")).learned(stream.tasks)
    assert isinstance(method, GdaNames)
    part, backbone, items = method.parts_["vision"], method.backbone, stream.tasks[0].test.tokens
    wrong = dict(zip(WEIGHTS, part.wrong, strict=True))
    assert (wrong[1e-4] < wrong[100.0]) == names_help

    columns, tower = part.classes.columns, backbone.towers["vision"]
    names = backbone.logits(embeddings(tower, items, None), [column.name for column in columns])
    discriminants = part.classes.scores(of_unit_length(tower, items))
    best = min(WEIGHTS, key=lambda weight: wrong[weight])
    torch.testing.assert_close(scores_of(method, items, columns), names + best * discriminants)
