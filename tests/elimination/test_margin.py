"""Elimination by the accuracy with a margin."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from prunelimits.elimination import Elimination, eliminate, read_elimination
from prunelimits.elimination.description import Description
from prunelimits.elimination.state_file import read_state
from prunelimits.training import MLPEnsemble, evaluate

from .circle import X, Y
from .small import EVOLVED, content, run

MARGIN = 0.2


@pytest.mark.slow
def test_the_score_is_the_accuracy_with_the_margin():
    method = dataclasses.replace(EVOLVED, margin=MARGIN)
    for network in run(method).networks:
        params = {n: p.detach().unsqueeze(0) for n, p in network.model.named_parameters()}
        ensemble = MLPEnsemble.from_params(network.model.widths, params)
        measured = evaluate(ensemble, X, Y, margin=MARGIN).accuracy
        assert network.score == pytest.approx(float(measured), abs=1.1 / len(X))
        assert float(evaluate(ensemble, X, Y).accuracy) >= network.score


@pytest.mark.slow
def test_no_margin_is_the_elimination_as_it_was():
    assert content(run(dataclasses.replace(EVOLVED, margin=0.0))) == content(run(EVOLVED))


def test_a_store_without_a_margin_is_one_of_an_earlier_version(tmp_path: Path):
    store = tmp_path / "circle.elimination"
    run(store=store)
    description, _ = read_state(store)
    values = description.to_dict()
    del values["margin"]
    assert Description.from_dict(values) == description
    assert read_elimination(store).method.margin == 0


def test_a_wrong_margin_is_named():
    with pytest.raises(ValueError, match="margin must be at least 0, got -1"):
        Elimination(margin=-1)
    with pytest.raises(TypeError, match="margin must be a number"):
        Elimination(margin="wide")
    with pytest.raises(ValueError, match="margin must be 0 for squared error"):
        eliminate(X, X[:, :1], Elimination(margin=0.1), target=0.5, start=(2, 3, 1), loss="mse")
