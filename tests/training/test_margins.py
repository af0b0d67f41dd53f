"""Accuracy with a margin, beside a plain loop over samples in float64."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from prunelimits.datasets import cubist_spiral
from prunelimits.training import (
    AbstractEngine,
    MLPEnsemble,
    Recipe,
    TorchEngine,
    default_engine,
    evaluate,
    evolve,
    fit,
)
from prunelimits.training.margins import logit_spread

MARGINS = (0.001, 0.05, 0.5, 3.0)


def engines() -> list[AbstractEngine]:
    return [TorchEngine(), default_engine(MLPEnsemble((2, 3, 1), models=1))]


def logits(ensemble: MLPEnsemble, member: int, x: Tensor) -> list[list[float]]:
    """Sample by sample and unit by unit."""
    layers = len(ensemble.widths) - 1
    result: list[list[float]] = []
    for sample in x.double().tolist():
        h = sample
        for layer in range(layers):
            weight = ensemble.params[f"layers.{layer}.weight"][member].tolist()
            bias = ensemble.params[f"layers.{layer}.bias"][member].tolist()
            h = [
                sum(w * v for w, v in zip(row, h, strict=True)) + b
                for row, b in zip(weight, bias, strict=True)
            ]
            if layer < layers - 1:
                h = [max(v, 0.0) for v in h]
        result.append(h)
    return result


def plain_spread(z: list[list[float]]) -> float:
    values = [value for sample in z for value in sample]
    mean = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / len(values))


def plain_accuracy(z: list[list[float]], y: list[int], margin: float) -> float:
    threshold = margin * plain_spread(z)
    right = 0
    for outputs, label in zip(z, y, strict=True):
        if len(outputs) == 1:
            right += outputs[0] > threshold if label else outputs[0] < -threshold
        else:
            others = max(value for n, value in enumerate(outputs) if n != label)
            right += outputs[label] - others > threshold
    return right / len(z)


@pytest.mark.parametrize("widths", [(2, 5, 1), (2, 4, 3, 1), (2, 4, 3), (2, 3, 2)])
def test_the_accuracy_is_that_of_the_definition(widths: tuple[int, ...]):
    x, _ = cubist_spiral(250)
    y = (x[:, 0] > 0).long() if widths[-1] < 3 else (x[:, 0] * 3).floor().long() % 3
    ensemble = fit(MLPEnsemble(widths, models=4, seed=3), x, y, Recipe(epochs=1)).ensemble
    for engine in engines():
        spread = logit_spread(ensemble, x, engine)
        for member in range(len(ensemble)):
            z = logits(ensemble, member, x)
            assert float(spread[member]) == pytest.approx(plain_spread(z), rel=1e-5)
        for margin in MARGINS:
            measured = evaluate(ensemble, x, y, engine=engine, margin=margin)
            plain = [
                plain_accuracy(logits(ensemble, member, x), y.tolist(), margin)
                for member in range(len(ensemble))
            ]
            assert measured.accuracy.tolist() == plain
            without = evaluate(ensemble, x, y, engine=engine)
            assert torch.equal(measured.loss, without.loss)


def test_no_margin_changes_nothing():
    x, y = cubist_spiral(500)
    ensemble = MLPEnsemble((2, 4, 1), models=5, seed=1)
    for engine in engines():
        plain = engine.evaluate(ensemble, x, y.float(), "binary_cross_entropy")
        for measured in (
            evaluate(ensemble, x, y, engine=engine),
            evaluate(ensemble, x, y, engine=engine, margin=0),
        ):
            assert torch.equal(measured.accuracy, plain.accuracy)
            assert torch.equal(measured.loss, plain.loss)
    start = evolve(ensemble, x, y, generations=3)
    again = evolve(ensemble, x, y, generations=3, margin=0.0)
    assert all(torch.equal(start.params[name], again.params[name]) for name in start.params)


def test_the_margin_does_not_depend_on_the_scale_of_the_logits():
    x, y = cubist_spiral(1_000)
    ensemble = fit(MLPEnsemble((2, 8, 1), models=3, seed=0), x, y, Recipe(epochs=2)).ensemble
    last = ("layers.1.weight", "layers.1.bias")
    for scale in (1e-4, 0.125, 1e4):
        scaled = ensemble.replace(
            params={n: v * scale if n in last else v for n, v in ensemble.params.items()}
        )
        for margin in MARGINS:
            accuracies = [evaluate(e, x, y, margin=margin).accuracy for e in (ensemble, scaled)]
            assert (accuracies[0] - accuracies[1]).abs().max() <= 1 / len(x)


def test_a_tie_counts_for_no_class_once_there_is_a_margin():
    """One network whose logit is zero wherever its unit rests, one that is zero everywhere."""
    params = {
        "layers.0.weight": torch.tensor([[[1.0]], [[0.0]]]),
        "layers.0.bias": torch.zeros(2, 1),
        "layers.1.weight": torch.tensor([[[1.0]], [[0.0]]]),
        "layers.1.bias": torch.zeros(2, 1),
    }
    masks = {"layers.1.bias": torch.zeros(2, 1, dtype=torch.bool)}
    ensemble = MLPEnsemble.from_params((1, 1, 1), params, masks)
    x, y = torch.tensor([[-2.0], [-1.0], [1.0], [2.0]]), torch.tensor([0, 0, 1, 1])
    for engine in engines():
        assert evaluate(ensemble, x, y, engine=engine).accuracy.tolist() == [1.0, 0.5]
        for margin in (1e-9, 1e-3):
            measured = evaluate(ensemble, x, y, engine=engine, margin=margin)
            assert measured.accuracy.tolist() == [0.5, 0.0]


def test_a_network_that_diverged_has_nothing_right():
    ensemble = MLPEnsemble((2, 3, 1), models=2, seed=0)
    params = {name: value.clone() for name, value in ensemble.params.items()}
    params["layers.1.bias"][0] = torch.nan
    x, y = cubist_spiral(100)
    for engine in engines():
        accuracy = evaluate(ensemble.replace(params=params), x, y, engine=engine, margin=0.1)
        assert accuracy.accuracy[0] == 0
        assert accuracy.accuracy[1] > 0


def test_evolution_climbs_the_accuracy_with_a_margin():
    x, y = cubist_spiral(600)
    start = fit(MLPEnsemble((2, 6, 1), models=2, seed=0), x, y, Recipe(epochs=3)).ensemble
    evolved = evolve(start, x, y, generations=40, margin=0.3)
    before, after = (evaluate(e, x, y, margin=0.3).accuracy for e in (start, evolved))
    assert (after > before).all()


@pytest.mark.parametrize("function", [evaluate, evolve])
def test_a_wrong_margin_is_named(function: object):
    x, y = cubist_spiral(100)
    ensemble = MLPEnsemble((2, 3, 1), models=1, seed=0)
    for margin, error, message in (
        (-0.1, ValueError, "margin must be at least 0, got -0.1"),
        (math.nan, ValueError, "margin must be"),
        ("wide", TypeError, "margin must be a number"),
        (True, TypeError, "margin must be a number"),
    ):
        with pytest.raises(error, match=message):
            function(ensemble, x, y, margin=margin)
    with pytest.raises(ValueError, match="margin must be 0 for squared error"):
        function(ensemble, x, y.float().unsqueeze(1), loss="mse", margin=0.1)
