"""Masks that fit nothing and numbers that mean nothing are refused before anything is computed."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch

from prunelimits import limits
from prunelimits.types import Masks, Params, Problem


def task() -> tuple[limits.Hessian, Params, Problem]:
    x, y = torch.eye(4), torch.zeros(4)
    problem = Problem(lambda p, x: x @ p["w"], torch.nn.functional.mse_loss, [(x, y)])
    weights = {"w": torch.tensor([0.1, 0.2, 1.0, 2.0])}
    return limits.Hessian(problem, weights), weights, problem


CALLS: dict[str, Callable[[Masks], object]] = {
    "sorted_magnitudes": lambda masks: limits.sorted_magnitudes(task()[1], masks),
    "magnitude_masks": lambda masks: limits.magnitude_masks(task()[1], 1, masks),
    "magnitude_sweep": lambda masks: limits.magnitude_sweep(
        task()[2], task()[1], ["w"], masks=masks
    ),
    "constructive_prediction": lambda masks: limits.constructive_prediction(
        *task()[:2], 0.1, masks=masks
    ),
    "directed_prediction": lambda masks: limits.directed_prediction(
        task()[0], limits.exact_spectrum(task()[0]), task()[1], 0.1, masks=masks
    ),
    "Hessian": lambda masks: limits.Hessian(task()[2], task()[1], masks=masks),
}


@pytest.mark.parametrize("name", CALLS)
def test_masks_that_fit_no_weight_are_refused(name: str):
    half = torch.tensor([True, False, True, True])
    CALLS[name]({"w": half})
    CALLS[name]({})
    with pytest.raises(ValueError, match="masks names 'weight', which is not among"):
        CALLS[name]({"weight": half})
    with pytest.raises(ValueError, match=r"masks\['w'\] must have shape \(4,\), got \(2,\)"):
        CALLS[name]({"w": half[:2]})
    for wrong in ([half], "w", half):
        with pytest.raises(TypeError, match="masks must be"):
            CALLS[name](wrong)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"masks\['w'\] must be a bool tensor"):
        CALLS[name]({"w": half.float()})


@pytest.mark.parametrize("epsilon", [math.nan, math.inf, -math.inf, 0.0, -1.0])
def test_a_sublevel_set_has_a_size(epsilon: float):
    hessian, weights, _ = task()
    spectrum = limits.exact_spectrum(hessian)
    magnitudes = limits.sorted_magnitudes(weights)
    for call in (
        lambda: limits.constructive_prediction(hessian, weights, epsilon),
        lambda: limits.directed_prediction(hessian, spectrum, weights, epsilon),
        lambda: limits.published_prediction(spectrum, magnitudes, epsilon),
        lambda: limits.exact_prediction(spectrum, magnitudes, epsilon),
        lambda: limits.published_removed(spectrum, magnitudes, epsilon),
        lambda: limits.effective_distance(spectrum, 1.0, epsilon),
    ):
        with pytest.raises(ValueError, match="epsilon must be positive and finite"):
            call()


def test_numbers_out_of_range_are_refused_by_their_own_names():
    hessian, weights, _ = task()
    spectrum = limits.exact_spectrum(hessian)
    magnitudes = limits.sorted_magnitudes(weights)
    for slack in (-5, math.nan, math.inf):
        with pytest.raises(ValueError, match=r"slack must be (finite and )?at least 0"):
            limits.exact_prediction(spectrum, magnitudes, 0.1, slack)
    for removed in (-1, 5):
        with pytest.raises(ValueError, match="removed must be from 0 to 4"):
            limits.magnitude_masks(weights, removed)
    for wrong in (torch.tensor([1, 2]), torch.tensor(2.0), torch.tensor(True)):
        with pytest.raises(TypeError, match="removed must be an integer, got"):
            limits.magnitude_masks(weights, wrong)
    with pytest.raises(ValueError, match="magnitudes must be at least 0 and ascend"):
        limits.published_prediction(spectrum, magnitudes.flip(0), 0.1)
    with pytest.raises(ValueError, match="distance must be at least 0"):
        limits.statistical_dimension(spectrum, math.nan, 0.1)
