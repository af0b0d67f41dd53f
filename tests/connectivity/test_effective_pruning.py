from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from prunelimits import masks as pm
from prunelimits.connectivity import (
    analyze,
    compact,
    effective_masks,
    effective_sparsity,
    prune_to_effective,
)
from prunelimits.models.mlp import parameter_shapes
from prunelimits.types import Params

from .networks import sparse_model


def random_scores(seed: int) -> Params:
    generator = torch.Generator().manual_seed(seed)
    shapes = parameter_shapes((2, 6, 6, 1))
    # Rounded: ties are common.
    return {
        n: (8 * torch.rand(s, generator=generator)).round()
        for n, s in shapes.items()
        if n.endswith("weight")
    }


@pytest.mark.slow
@settings(max_examples=40)
@given(st.integers(0, 2**31), st.sampled_from([0.0, 0.3, 0.5, 0.8, 0.9, 1.0]))
def test_no_smaller_budget_would_do(seed: int, target: float):
    scores = random_scores(seed)
    found = prune_to_effective(scores, effective_sparsity=target)
    fitting = [
        keep
        for keep in range(pm.flatten(scores).numel() + 1)
        if effective_sparsity(pm.top(scores, keep)) <= target + 1e-12
    ]
    assert pm.count(found) == fitting[0]
    assert all(torch.equal(found[n], mask) for n, mask in pm.top(scores, fitting[0]).items())


def test_a_pruner_that_is_a_function():
    scores = random_scores(3)
    by_function = prune_to_effective(
        lambda keep: pm.top(scores, keep), effective_sparsity=0.7, weights=54
    )
    by_scores = prune_to_effective(scores, effective_sparsity=0.7)
    assert all(torch.equal(by_function[n], by_scores[n]) for n in by_scores)


def test_a_convolutional_network():
    model, x = sparse_model("LeNet", 1.0, 0)
    scores = {n: p.detach().abs() for n, p in model.named_parameters() if n.endswith("weight")}
    masks = prune_to_effective(scores, effective_sparsity=0.95, model=model, inputs=x)
    found = effective_sparsity(model, masks, inputs=x)
    assert found <= 0.95
    fewer = pm.top(scores, pm.count(masks) - 1)
    assert effective_sparsity(model, fewer, inputs=x) > 0.95


def test_bad_arguments():
    scores = random_scores(0)
    with pytest.raises(ValueError, match="effective_sparsity must be at least 0 and at most 1"):
        prune_to_effective(scores, effective_sparsity=1.5)
    with pytest.raises(ValueError, match="weights is needed with a function"):
        prune_to_effective(lambda keep: pm.top(scores, keep), effective_sparsity=0.5)
    with pytest.raises(ValueError, match="weights belong to a function"):
        prune_to_effective(scores, effective_sparsity=0.5, weights=3)
    with pytest.raises(TypeError, match="inputs belong to a model"):
        prune_to_effective(scores, effective_sparsity=0.5, inputs=torch.zeros(1, 2))
    with pytest.raises(ValueError, match="must be reached with every weight kept"):
        prune_to_effective(lambda _: pm.top(scores, 0), effective_sparsity=0.5, weights=54)


@pytest.mark.parametrize("share", [True, "0.5", None, torch.tensor(0.5)])
def test_a_share_that_is_no_number_is_refused(share: object):
    with pytest.raises(TypeError, match="effective_sparsity must be a number"):
        prune_to_effective({"0.weight": torch.ones(2, 2)}, effective_sparsity=share)


@pytest.mark.parametrize("masks", [torch.ones(2), [torch.ones(2).bool()], "weight", 3])
@pytest.mark.parametrize("function", [analyze, compact, effective_masks, effective_sparsity])
def test_masks_of_a_model_are_bool_tensors_by_name(function: Callable[..., object], masks: object):
    with pytest.raises(TypeError, match="masks must be bool tensors by name"):
        function(torch.nn.Linear(2, 2), masks)
