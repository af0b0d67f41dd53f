"""Effective masks of MLPs against the enumeration of their paths, and folded constants."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise, product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from prunelimits.connectivity import effective_masks, fold_constants
from prunelimits.masks import apply, unflatten
from prunelimits.models.mlp import parameter_shapes
from prunelimits.types import Masks, Params


def effective_by_paths(masks: Masks, *, keep_constants: bool) -> Masks:
    """The oracle for one network: every path from a source to an output, edge by edge."""
    weights = [masks[name] for name in masks if name.endswith("weight")]
    names = [name.removesuffix("weight") for name in masks if name.endswith("weight")]
    result = {name: torch.zeros_like(mask) for name, mask in masks.items()}
    last = len(weights)
    used: set[tuple[int, int]] = set()

    def paths(depth: int, unit: int) -> Iterator[list[tuple[int, int]]]:
        if depth == last:
            yield [(depth, unit)]
            return
        for after in range(len(weights[depth])):
            if weights[depth][after, unit]:
                for rest in paths(depth + 1, after):
                    yield [(depth, unit), *rest]

    def bias(depth: int, unit: int) -> bool:
        mask = masks.get(names[depth - 1] + "bias")
        return mask is None or bool(mask[unit])

    sources = [(0, unit) for unit in range(weights[0].shape[1])]
    if keep_constants:
        sources += [
            (depth, unit)
            for depth in range(1, last + 1)
            for unit in range(len(weights[depth - 1]))
            if bias(depth, unit)
        ]
    for source in sources:
        for path in paths(*source):
            used.update(path)
            for (depth, unit), (_, after) in pairwise(path):
                result[names[depth] + "weight"][after, unit] = True
    used.update((last, unit) for unit in range(len(weights[-1])))
    for depth in range(1, last + 1):
        name = names[depth - 1] + "bias"
        for unit in range(len(weights[depth - 1])):
            if name in masks and (depth, unit) in used:
                result[name][unit] = masks[name][unit]
    return result


@st.composite
def mlp_masks(draw: st.DrawFn, models: tuple[int, ...] = ()) -> Masks:
    widths = draw(st.lists(st.integers(1, 4), min_size=2, max_size=5))
    density = draw(st.sampled_from([0.15, 0.3, 0.6]))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    biases = draw(st.booleans())
    return {
        name: torch.rand(*models, *shape, generator=generator) < density
        for name, shape in parameter_shapes(widths).items()
        if biases or name.endswith("weight")
    }


def equal(left: Params, right: Params) -> bool:
    return list(left) == list(right) and all(torch.equal(left[n], right[n]) for n in left)


@pytest.mark.parametrize("keep_constants", [False, True])
@pytest.mark.parametrize("widths", [(2, 2, 1), (1, 2, 2), (1, 2, 1, 1)])
def test_all_masks_of_tiny_networks(widths: tuple[int, ...], keep_constants: bool):
    shapes = parameter_shapes(widths)
    entries = sum(torch.Size(shape).numel() for shape in shapes.values())
    flat = torch.tensor(list(product([False, True], repeat=entries)))
    together = effective_masks(unflatten(flat, shapes), keep_constants=keep_constants)
    for model, row in enumerate(flat):
        alone = effective_by_paths(unflatten(row, shapes), keep_constants=keep_constants)
        assert equal({name: mask[model] for name, mask in together.items()}, alone)


@settings(max_examples=400)
@given(mlp_masks(), st.booleans())
def test_random_masks(masks: Masks, keep_constants: bool):
    found = effective_masks(masks, keep_constants=keep_constants)
    assert equal(found, effective_by_paths(masks, keep_constants=keep_constants))
    # Idempotent, and contained in the masks.
    assert equal(effective_masks(found, keep_constants=keep_constants), found)
    assert all(not (found[name] & ~mask).any() for name, mask in masks.items())


@given(mlp_masks(models=(3, 2)), st.booleans())
def test_leading_axes_equal_the_loop(masks: Masks, keep_constants: bool):
    together = effective_masks(masks, keep_constants=keep_constants)
    for place in product(range(3), range(2)):
        alone = {name: mask[place] for name, mask in masks.items()}
        alone = effective_masks(alone, keep_constants=keep_constants)
        assert equal({name: mask[place] for name, mask in together.items()}, alone)


def test_blocks_of_models_are_put_together(monkeypatch: pytest.MonkeyPatch):
    generator = torch.Generator().manual_seed(0)
    shapes = parameter_shapes((2, 5, 4, 1))
    masks = {n: torch.rand(50, *s, generator=generator) < 0.3 for n, s in shapes.items()}
    whole = effective_masks(masks)
    monkeypatch.setattr("prunelimits.connectivity.dense_chain._BLOCK_ENTRIES", 300)
    assert equal(effective_masks(masks), whole)


def outputs(params: Params, x: Tensor, activation=torch.relu) -> Tensor:
    """The MLPs' outputs `(models, batch, outputs)`, layer by layer."""
    names = [name.removesuffix("weight") for name in params if name.endswith("weight")]
    for depth, name in enumerate(names):
        x = x @ params[f"{name}weight"].mT
        if f"{name}bias" in params:
            x = x + params[f"{name}bias"].unsqueeze(-2)
        if depth < len(names) - 1:
            x = activation(x)
    return x


def random_params(masks: Masks, generator: torch.Generator) -> Params:
    return {
        name: torch.randn(mask.shape, generator=generator, dtype=torch.float64)
        for name, mask in masks.items()
    }


@given(mlp_masks(models=(4,)), st.integers(0, 2**31))
def test_what_keeps_constants_computes_the_same(masks: Masks, seed: int):
    generator = torch.Generator().manual_seed(seed)
    params = random_params(masks, generator)
    x = torch.randn(4, 6, masks["layers.0.weight"].shape[-1], generator=generator).double()
    kept = effective_masks(masks, keep_constants=True)
    before, after = outputs(apply(params, masks), x), outputs(apply(params, kept), x)
    torch.testing.assert_close(after, before, rtol=1e-12, atol=1e-12)


@given(mlp_masks(models=(4,)), st.integers(0, 2**31))
def test_without_biases_what_is_effective_computes_the_same(masks: Masks, seed: int):
    generator = torch.Generator().manual_seed(seed)
    masks = {name: mask for name, mask in masks.items() if name.endswith("weight")}
    params = random_params(masks, generator)
    x = torch.randn(4, 6, masks["layers.0.weight"].shape[-1], generator=generator).double()
    kept = effective_masks(masks)
    before, after = outputs(apply(params, masks), x), outputs(apply(params, kept), x)
    torch.testing.assert_close(after, before, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("activation", [torch.relu, torch.sigmoid])
@given(mlp_masks(models=(4,)), st.integers(0, 2**31))
def test_folded_constants_compute_the_same(activation, masks: Masks, seed: int):
    generator = torch.Generator().manual_seed(seed)
    widths = [mask.shape[-1] for name, mask in masks.items() if name.endswith("weight")]
    last = [mask for name, mask in masks.items() if name.endswith("weight")][-1]
    shapes = parameter_shapes([*widths, last.shape[-2]])
    everywhere = {name: torch.ones(4, *shape) for name, shape in shapes.items()}
    masks = {n: masks.get(n, torch.ones_like(v, dtype=torch.bool)) for n, v in everywhere.items()}
    params = random_params(masks, generator)
    x = torch.randn(4, 6, widths[0], generator=generator).double()
    folded, left = fold_constants(params, masks, activation=activation)
    before = outputs(apply(params, masks), x, activation)
    torch.testing.assert_close(outputs(folded, x, activation), before, rtol=1e-10, atol=1e-10)
    # All that is left is effective: no constant hides in it, and nothing stands outside the masks.
    assert equal(effective_masks(left), left)
    assert equal(apply(folded, left), folded)
    # Weights are those on a path; only biases change.
    on_path = effective_masks(masks)
    for name in masks:
        if name.endswith("weight"):
            assert torch.equal(left[name], on_path[name])
            assert torch.equal(folded[name], params[name] * on_path[name])


def test_folding_takes_zeros_as_the_mask_and_changes_nothing_given():
    shapes = parameter_shapes((2, 3, 1))
    params = {n: torch.ones(s) for n, s in shapes.items()}
    params["layers.0.weight"][1] = 0
    before = {name: value.clone() for name, value in params.items()}
    folded, masks = fold_constants(params)
    assert equal(params, before)
    assert folded["layers.1.bias"].tolist() == [2.0]
    assert masks["layers.0.bias"].tolist() == [True, False, True]


@pytest.mark.parametrize(
    ("masks", "error", "message"),
    [
        ({}, ValueError, "masks must name at least one weight"),
        ({"a.weight": torch.ones(2, 2)}, TypeError, r"masks\['a.weight'\] must be a bool tensor"),
        ({"a.weight": torch.ones(2).bool()}, ValueError, r"must be \(..., d_out, d_in\)"),
        ({"a.weight": torch.ones(0, 2).bool()}, ValueError, "must have inputs and outputs"),
        (
            {"a.weight": torch.ones(3, 2).bool(), "b.weight": torch.ones(1, 4).bool()},
            ValueError,
            "'a.weight' has 3 outputs but 'b.weight' 4 inputs",
        ),
        (
            {"a.weight": torch.ones(3, 2).bool(), "a.bias": torch.ones(2).bool()},
            ValueError,
            r"'a.bias' must have shape \(3,\), got \(2,\)",
        ),
        (
            {"a.weight": torch.ones(5, 3, 2).bool(), "b.weight": torch.ones(1, 3).bool()},
            ValueError,
            "leading axes",
        ),
        (
            {"a.weight": torch.ones(3, 2).bool(), "scale": torch.ones(2).bool()},
            ValueError,
            r"names must end in weight, or in bias beside a weight, got \['scale'\]",
        ),
    ],
)
def test_bad_masks(masks: Masks, error: type[Exception], message: str):
    with pytest.raises(error, match=message):
        effective_masks(masks)


def test_folding_refuses_what_is_not_finite_and_layers_without_biases():
    params = {"a.weight": torch.tensor([[1.0]]), "a.bias": torch.tensor([torch.nan])}
    with pytest.raises(ValueError, match=r"'a\.bias' is not"):
        fold_constants(params)
    masks = {"a.bias": torch.tensor([False])}
    assert fold_constants(params, masks)[0]["a.bias"].tolist() == [0.0]
    with pytest.raises(ValueError, match=r"a bias in every layer, got none beside \['a.weight'\]"):
        fold_constants({"a.weight": torch.ones(1, 1)})


def test_what_an_activation_does_to_what_it_is_given_is_not_taken_for_a_bias():
    params = {
        "0.weight": torch.tensor([[1.0], [0.0]]), "0.bias": torch.tensor([-2.0, -3.0]),
        "2.weight": torch.tensor([[1.0, 2.0]]), "2.bias": torch.tensor([0.5]),
    }  # fmt: skip
    shifted = lambda v: v.add_(5)  # noqa: E731
    folded, _ = fold_constants(params, activation=shifted)
    assert folded["0.bias"].tolist() == [-2, 0]
    assert folded["2.bias"].tolist() == [0.5 + 2 * (-3 + 5)]


@pytest.mark.parametrize(
    ("activation", "error", "message"),
    [
        (torch.log, ValueError, "must be finite for units without inputs, of which '2.weight'"),
        (lambda v: v * 1j, TypeError, "must return a tensor of torch.float32, .* torch.complex64"),
        (lambda v: v.long(), TypeError, "must return a tensor of torch.float32, .* torch.int64"),
        (lambda v: v.sum(), TypeError, "must return a tensor of the shape it is given"),
    ],
)
def test_activations_that_give_no_numbers_are_refused(
    activation: Callable[[Tensor], Tensor], error: type[Exception], message: str
):
    params = {
        "0.weight": torch.tensor([[1.0], [0.0]]), "0.bias": torch.tensor([-2.0, -3.0]),
        "2.weight": torch.tensor([[1.0, 2.0]]), "2.bias": torch.tensor([-0.5]),
    }  # fmt: skip
    with pytest.raises(error, match=f"activation {message}"):
        fold_constants(params, activation=activation)
    # What it makes of live units and of outputs is not asked.
    params["0.bias"][1] = 1.0
    if activation is torch.log:
        assert fold_constants(params, activation=activation)[0]["2.bias"].tolist() == [-0.5]
