"""The laws of effective masks, folding and compacting, for models of many kinds."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from functools import cache

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from prunelimits import masks as pm
from prunelimits.connectivity import (
    analyze,
    compact,
    effective_masks,
    effective_sparsity,
    fold_constants,
)
from prunelimits.types import Params

from .networks import MODELS, LeNet, sparse_model

# The same for all tests that leave a model as it is.
case = cache(sparse_model)
CASES = [(name, density, seed) for name in MODELS for density in (0.15, 0.3, 0.6) for seed in (0,)]


def output(model: nn.Module, x: Tensor, params: Params | None = None) -> Tensor:
    with torch.no_grad():
        return model(x) if params is None else functional_call(model, params, (x,))


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.slow
@pytest.mark.usefixtures("followed_once")
@pytest.mark.parametrize("keep_constants", [False, True])
@pytest.mark.parametrize(("name", "density", "seed"), CASES)
def test_effective_masks_are_contained_and_idempotent(
    name: str, density: float, seed: int, keep_constants: bool
):
    model, x = case(name, density, seed)
    found = effective_masks(model, inputs=x, keep_constants=keep_constants)
    masks = pm.nonzero_masks(dict(model.named_parameters()))
    assert found.keys() == masks.keys()
    assert all(not (found[n] & ~masks[n]).any() for n in masks)
    again = effective_masks(model, found, inputs=x, keep_constants=keep_constants)
    assert all(torch.equal(again[n], found[n]) for n in found)


@pytest.mark.slow
@pytest.mark.usefixtures("followed_once")
@pytest.mark.parametrize(("name", "density", "seed"), CASES)
def test_removing_what_carries_nothing_changes_no_output(name: str, density: float, seed: int):
    model, x = case(name, density, seed)
    left = effective_masks(model, inputs=x, keep_constants=True)
    params = pm.apply(dict(model.named_parameters()), left)
    close(output(model, x, params), output(model, x))


@pytest.mark.slow
@pytest.mark.usefixtures("followed_once")
@pytest.mark.parametrize(("name", "density", "seed"), CASES)
def test_folding_changes_no_output(name: str, density: float, seed: int):
    model, x = case(name, density, seed)
    params, masks = fold_constants(model, inputs=x)
    close(output(model, x, params), output(model, x))
    assert all(not value[~masks[n]].any() for n, value in params.items())
    if name == "MLP":
        plain, plain_masks = fold_constants({n: p.detach() for n, p in model.named_parameters()})
        assert all(torch.equal(plain_masks[n], masks[n]) for n in masks)
        assert all(torch.allclose(plain[n], params[n], atol=1e-12) for n in params)


@pytest.mark.slow
@pytest.mark.usefixtures("followed_once")
@pytest.mark.parametrize("keep_constants", [False, True])
@pytest.mark.parametrize(("name", "density", "seed"), CASES)
def test_the_core_computes_the_same(name: str, density: float, seed: int, keep_constants: bool):
    model, x = case(name, density, seed)
    before = copy.deepcopy(model.state_dict())
    core = compact(model, inputs=x, keep_constants=keep_constants)
    close(output(core, x), output(model, x))
    sizes = [sum(p.numel() for p in m.parameters()) for m in (core, model)]
    assert sizes[0] <= sizes[1]
    if name != "SkipMLP" and density == 0.15:
        assert sizes[0] < sizes[1]
    # The core is a network of its own: training it leaves the model alone.
    with torch.no_grad():
        for parameter in core.parameters():
            parameter.add_(1)
    assert all(torch.equal(model.state_dict()[n], v) for n, v in before.items())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["MLP", "LeNet", "ResNet", "SkipMLP"])
@pytest.mark.parametrize("density", [0.2, 0.4])
@pytest.mark.parametrize("seed", range(3))
def test_against_gradients_of_a_positive_network(name: str, density: float, seed: int):
    """Without biases and means, a weight has a gradient if and only if it is on a path."""
    model, x = sparse_model(name, density, seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter_name, parameter in model.named_parameters():
            # Small: a saturated tanh has no gradient.
            parameter.abs_().mul_(0.1)
            if parameter_name.endswith("bias"):
                parameter.zero_()
    for buffer_name, buffer in model.named_buffers():
        if buffer_name.endswith("running_mean"):
            buffer.zero_()
    # Many inputs: each element is the largest of its window for one of them.
    x = torch.rand(256, *x.shape[1:], generator=generator, dtype=torch.float64)
    result = model(x)
    weighting = torch.rand(result.shape, generator=generator, dtype=torch.float64)
    weights = {n: p for n, p in model.named_parameters() if n.endswith("weight")}
    gradients = torch.autograd.grad((result * weighting).sum(), list(weights.values()))
    found = effective_masks(model, inputs=x)
    for (n, weight), gradient in zip(weights.items(), gradients, strict=True):
        assert torch.equal(found[n], (gradient != 0) & (weight != 0)), n


@pytest.mark.slow
@pytest.mark.usefixtures("followed_once")
@pytest.mark.parametrize(("name", "density", "seed"), CASES)
def test_the_report_agrees_with_the_masks(name: str, density: float, seed: int):
    model, x = case(name, density, seed)
    report = analyze(model, inputs=x)
    kept, effective = (
        pm.nonzero_masks(dict(model.named_parameters())),
        effective_masks(model, inputs=x),
    )
    carrying = effective_masks(model, inputs=x, keep_constants=True)
    assert report.nonzeros == pm.count(kept)
    assert report.effective_nonzeros == pm.count(effective)
    assert report.carrying_nonzeros == pm.count(carrying)
    matrices = [n for n, mask in kept.items() if mask.dim() > 1]
    share = sum(int(effective[n].sum()) for n in matrices) / sum(kept[n].numel() for n in matrices)
    assert report.effective_sparsity == pytest.approx(1 - share)
    assert effective_sparsity(model, inputs=x) == pytest.approx(1 - share)
    for layer in report.layers:
        causes = layer.cut_off_from_input + layer.cut_off_from_output + layer.constant
        assert causes == layer.dead == layer.units - layer.connected
        assert sum(paths > 0 for paths in layer.paths) == layer.connected
    if name in ("MLP", "LeNet", "Sequential"):
        # In a chain every path goes through every layer.
        assert all(sum(r.paths) == report.paths for r in report.layers if r.units)


def test_a_core_without_paths_is_a_constant():
    model, x = sparse_model("LeNet", 0.3, 0)
    masks = {n: torch.ones_like(p).bool() for n, p in model.named_parameters()}
    masks["conv2.weight"].zero_()
    core = compact(model, masks, inputs=x)
    params = pm.apply(dict(model.named_parameters()), masks)
    close(output(core, x), output(model, x, params))
    assert output(core, x).std(0).max() < 1e-12
    report = analyze(model, masks, inputs=x)
    assert (report.paths, report.effective_weights) == (0, 0)
    assert report.effective_compression == float("inf")
    assert core.get_parameter("fc1.weight").shape == (1, 9)


def test_border_of_a_padded_convolution_counts():
    """On one pixel only the middle of a padded kernel is ever used."""
    model = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1, bias=False))
    with torch.no_grad():
        model[0].weight.fill_(1)
    alone = effective_masks(model, inputs=torch.zeros(1, 1, 1, 1))["0.weight"][0, 0]
    assert alone.nonzero().tolist() == [[1, 1]]
    wide = effective_masks(model, inputs=torch.zeros(1, 1, 1, 2))["0.weight"][0, 0]
    assert wide.nonzero().tolist() == [[1, 0], [1, 1], [1, 2]]


def test_constants_beside_padding_stay():
    """A constant channel adds less at the border, which no bias can say."""
    model = nn.Sequential(nn.Conv2d(1, 2, 1), nn.ReLU(), nn.Conv2d(2, 1, 3, padding=1))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(1)
        model[0].weight[1] = 0
    model = model.double()
    x = torch.linspace(-1, 1, 50, dtype=torch.float64).reshape(2, 1, 5, 5)
    params, masks = fold_constants(model, inputs=x)
    close(output(model, x, params), output(model, x))
    assert masks["2.weight"][0, 1].all()
    assert analyze(model, inputs=x).layers[0].constant == 1
    # Without padding it moves into the bias.
    model[2].padding = (0, 0)
    params, masks = fold_constants(model, inputs=x)
    close(output(model, x, params), output(model, x))
    assert not masks["2.weight"][0, 1].any()
    assert params["2.bias"].item() == 10.0


def test_a_zero_scale_cuts_and_a_shift_is_a_bias():
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.ReLU(), nn.Linear(3, 1)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(1)
        model[1].weight[0] = 0
        model[1].weight[1] = 0
        model[1].bias[1] = 0
    report = analyze(model)
    assert report.widths == (2, 1, 1)
    assert (report.layers[0].constant, report.layers[0].cut_off_from_output) == (0, 2)
    carrying = effective_masks(model, keep_constants=True)
    assert carrying["1.bias"].tolist() == [True, False, True]
    assert carrying["3.weight"].tolist() == [[True, False, True]]


def test_pruned_by_torch_and_by_masks_and_by_zeros_agree():
    from torch.nn.utils import prune as torch_prune

    model, x = sparse_model("LeNet", 1.0, 0)
    generator = torch.Generator().manual_seed(5)
    masks = {
        n: torch.rand(p.shape, generator=generator) < 0.3
        for n, p in model.named_parameters()
        if n.endswith("weight")
    }
    by_masks = analyze(model, masks, inputs=x)
    zeros = copy.deepcopy(model)
    pm.make_permanent(zeros, masks)
    assert analyze(zeros, inputs=x) == by_masks
    pm.to_torch_prune(model, masks)
    assert analyze(model, inputs=x) == by_masks
    assert torch_prune.is_pruned(model)
    core = compact(model, inputs=x)
    assert not torch_prune.is_pruned(core)
    close(output(core, x), output(zeros, x))


def test_the_model_and_the_random_state_stay_as_they_are():
    model, x = sparse_model("ResNet", 0.4, 0)
    model.train()
    before = copy.deepcopy(model.state_dict())
    state = torch.random.get_rng_state()
    modes = [module.training for module in model.modules()]
    effective_masks(model, inputs=x)
    fold_constants(model, inputs=x)
    analyze(model, inputs=x)
    core = compact(model, inputs=x)
    assert core.training
    assert torch.equal(torch.random.get_rng_state(), state)
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(model.state_dict()[n], v) for n, v in before.items())
    assert all(p.grad is None and p.requires_grad for p in model.parameters())


def test_bad_arguments():
    model = nn.Sequential(nn.Linear(3, 2))
    with pytest.raises(ValueError, match="masks names 'other'"):
        effective_masks(model, {"other": torch.ones(2).bool()})
    with pytest.raises(ValueError, match=r"masks\['0.weight'\] must have shape \(2, 3\)"):
        effective_masks(model, {"0.weight": torch.ones(2).bool()})
    with pytest.raises(TypeError, match="must be a bool tensor"):
        effective_masks(model, {"0.weight": torch.ones(2, 3)})
    with pytest.raises(ValueError, match="inputs is needed"):
        analyze(LeNet())
    with pytest.raises(TypeError, match="inputs must be a tensor"):
        analyze(LeNet(), inputs=[1, 2])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"must be a torch\.nn\.Module"):
        analyze(3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="masks and inputs belong to a model"):
        analyze({"a.weight": torch.ones(1, 1).bool()}, {})
    with torch.no_grad():
        model[0].weight[0, 0] = torch.nan
    with pytest.raises(ValueError, match=r"must be finite, '0\.weight' is not"):
        effective_masks(model)


@pytest.mark.parametrize("function", [analyze, compact, effective_masks, fold_constants])
def test_what_cannot_be_copied_in_a_model_is_named(function: Callable[..., object]):
    model = LeNet()
    model.add_module("guarded", nn.ReLU())
    model.get_submodule("guarded").lock = threading.Lock()  # type: ignore[assignment]
    with pytest.raises(TypeError, match=r"copy\.deepcopy takes, but it has 'guarded\.lock'"):
        function(model, inputs=torch.randn(2, 1, 28, 28))
