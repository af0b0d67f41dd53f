from __future__ import annotations

import math
from copy import deepcopy

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from prunelimits.models import MLP
from prunelimits.models.mlp import leading_block, parameter_shapes
from prunelimits.training import MLPEnsemble
from prunelimits.training.initialisation import initial_params, member_seeds
from prunelimits.types import Masks, Params

WIDTHS = (2, 4, 3, 1)


def equal(left: Params, right: Params) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[n], right[n]) for n in left)


def random_masks(models: int | None = None, seed: int = 0) -> Masks:
    generator = torch.Generator().manual_seed(seed)
    lead = () if models is None else (models,)
    return {
        name: torch.rand(*lead, *shape, generator=generator) < 0.6
        for name, shape in parameter_shapes(WIDTHS).items()
    }


@pytest.mark.parametrize("init_width", [None, 16])
def test_parameters_are_uniform_in_linears_range(init_width: int | None) -> None:
    widths = (3, 7, 5, 2)
    params = initial_params(widths, range(2000), init_width=init_width, dtype=torch.float64)
    for layer in range(3):
        fan_in = 3 if layer == 0 else init_width or widths[layer]
        for kind in ("weight", "bias"):
            values = params[f"layers.{layer}.{kind}"] * math.sqrt(fan_in)
            assert values.abs().max() <= 1
            assert stats.kstest(values.flatten().numpy(), "uniform", args=(-1, 2)).pvalue > 0.01


def test_the_range_is_that_of_torchs_own_layers() -> None:
    ours = initial_params((7, 1000), [0])
    with torch.random.fork_rng():
        torch.manual_seed(0)
        theirs = torch.nn.Linear(7, 1000)
    for kind in ("weight", "bias"):
        largest = theirs.get_parameter(kind).detach().abs().max()
        assert float(ours[f"layers.0.{kind}"].abs().max()) == pytest.approx(
            float(largest), rel=0.01
        )


def test_all_parameters_of_all_members_are_distinct_and_uncorrelated() -> None:
    params = initial_params(WIDTHS, range(500), init_width=16, dtype=torch.float64)
    scaled = torch.cat([v.flatten(1) * (2 if "s.0" not in n else 1) for n, v in params.items()], 1)
    assert len(scaled.unique()) == scaled.numel()
    correlations = torch.corrcoef(scaled.T) - torch.eye(scaled.shape[1])
    assert correlations.abs().max() < 5 / math.sqrt(500)


@given(
    wide=st.lists(st.integers(1, 9), min_size=1, max_size=3),
    narrow=st.data(),
    seed=st.integers(-(2**70), 2**70),
)
def test_a_narrow_network_is_the_leading_block_of_a_wide_one_of_its_seed(
    wide: list[int], narrow: st.DataObject, seed: int
) -> None:
    widths = (2, *wide, 1)
    part = (2, *(narrow.draw(st.integers(1, width)) for width in wide), 1)
    large = initial_params(widths, [seed], init_width=9)
    assert equal(initial_params(part, [seed], init_width=9), leading_block(large, part))
    # Without a common init_width they differ by the scale alone.
    own, theirs = (initial_params(w, [seed], dtype=torch.float64) for w in (part, widths))
    for name, value in leading_block(theirs, part).items():
        layer = int(name.split(".")[1])
        scale = math.sqrt(widths[layer] / part[layer])
        torch.testing.assert_close(own[name], value * scale, rtol=1e-14, atol=0)


def test_a_member_depends_on_its_own_seed_alone() -> None:
    together = initial_params(WIDTHS, [5, -1, 2**63 + 1, 5])
    for place, seed in enumerate([5, -1, 2**63 + 1, 5]):
        alone = initial_params(WIDTHS, [seed])
        assert equal({n: v[place : place + 1] for n, v in together.items()}, alone)


def test_a_larger_ensemble_begins_with_the_smaller_one_of_its_seed() -> None:
    small, large = MLPEnsemble(WIDTHS, 3, seed=7), MLPEnsemble(WIDTHS, 10, seed=7)
    assert equal(small.params, large[:3].params)
    assert not equal(small.params, MLPEnsemble(WIDTHS, 3, seed=8).params)
    seeds = member_seeds(7, 10)
    assert len(set(seeds)) == 10
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert equal(MLPEnsemble(WIDTHS, seeds=seeds[4:6]).params, large[4:6].params)


def test_initialisation_draws_nothing_from_the_global_random_state() -> None:
    state = torch.get_rng_state()
    MLPEnsemble(WIDTHS, 3)
    assert torch.equal(torch.get_rng_state(), state)


def test_float32_is_float64_rounded() -> None:
    single, double = (initial_params(WIDTHS, [3], dtype=d) for d in (torch.float32, torch.float64))
    assert equal(single, {n: v.float() for n, v in double.items()})


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("models", [None, 5])
def test_pruned_parameters_start_at_zero_and_kept_ones_unchanged(
    models: int | None, dtype: torch.dtype
) -> None:
    masks = random_masks(models)
    masks.pop("layers.2.bias")
    ensemble = MLPEnsemble(WIDTHS, 5, masks=masks, dtype=dtype)
    whole = MLPEnsemble(WIDTHS, 5, dtype=dtype)
    assert len(ensemble) == 5
    assert ensemble.dtype == dtype
    assert ensemble.device.type == "cpu"
    assert ensemble.masks["layers.2.bias"].all()
    for name, shape in parameter_shapes(WIDTHS).items():
        mask = ensemble.masks[name]
        assert mask.shape == ensemble.params[name].shape == (5, *shape)
        if name in masks:
            assert torch.equal(mask, masks[name].expand(5, *shape))
        assert torch.equal(ensemble.params[name], whole.params[name] * mask)
        assert torch.equal(ensemble.momentum[name], torch.zeros(5, *shape, dtype=dtype))
    expected = [sum(int(mask[i].sum()) for mask in ensemble.masks.values()) for i in range(5)]
    assert ensemble.nonzeros().tolist() == expected
    assert ensemble.nonzeros().dtype == torch.int64
    assert repr(ensemble) == f"MLPEnsemble((2, 4, 3, 1), models=5, dtype={dtype})"


def test_the_callers_tensors_are_copied() -> None:
    params, masks = initial_params(WIDTHS, range(3)), random_masks(3)
    kept_params, kept_masks = deepcopy(params), deepcopy(masks)
    ensemble = MLPEnsemble.from_params(WIDTHS, params, masks)
    for tensor in (*ensemble.params.values(), *ensemble.masks.values()):
        tensor.zero_()
    assert equal(params, kept_params)
    assert equal(masks, kept_masks)


def test_every_member_can_start_from_one_network() -> None:
    one = {name: value[0].requires_grad_() for name, value in initial_params(WIDTHS, [0]).items()}
    ensemble = MLPEnsemble.from_params(WIDTHS, {n: v.expand(4, *v.shape) for n, v in one.items()})
    for name, value in ensemble.params.items():
        assert not value.requires_grad
        value[0] = 7.0  # storage of its own, so the others stay
        assert torch.equal(value[3], one[name])


def test_nan_outside_the_mask_is_zero() -> None:
    params = {n: torch.full_like(v, math.nan) for n, v in initial_params(WIDTHS, range(2)).items()}
    ensemble = MLPEnsemble.from_params(WIDTHS, params, random_masks(2))
    ensemble = ensemble.replace(momentum=params)
    for part in (ensemble.params, ensemble.momentum):
        for name, value in part.items():
            assert torch.equal(value.isnan(), ensemble.masks[name])
            assert (value[~ensemble.masks[name]] == 0).all()


def test_member_is_an_ordinary_model() -> None:
    ensemble = MLPEnsemble(WIDTHS, 4, masks=random_masks(4), dtype=torch.float64)
    for index in (0, 2, -1):
        model, masks = ensemble.member(index)
        assert type(model) is MLP
        assert model.widths == WIDTHS
        for name, parameter in model.named_parameters():
            assert torch.equal(parameter, ensemble.params[name][index])
            assert torch.equal(masks[name], ensemble.masks[name][index])
    with torch.no_grad():
        model.layers[0].weight.fill_(7.0)
    masks["layers.0.weight"].fill_(True)
    assert not (ensemble.params["layers.0.weight"] == 7.0).any()
    assert not ensemble.masks["layers.0.weight"][-1].all()
    with pytest.raises(IndexError):
        ensemble.member(4)


@pytest.mark.parametrize(
    "members",
    [
        slice(1, 4),
        slice(None, None, 2),
        torch.tensor([4, 0, 0]),
        torch.tensor([False, True, False, True, True]),
    ],
)
def test_some_members(members: slice | torch.Tensor) -> None:
    ensemble = MLPEnsemble(WIDTHS, 5, masks=random_masks(5))
    ensemble = ensemble.replace(momentum=initial_params(WIDTHS, range(10, 15)))
    part = ensemble[members]
    for own, whole in (
        (part.params, ensemble.params),
        (part.masks, ensemble.masks),
        (part.momentum, ensemble.momentum),
    ):
        assert equal(own, {name: value[members] for name, value in whole.items()})
        for value in own.values():
            value.zero_()
    assert ensemble.nonzeros().gt(0).all()


def test_replace() -> None:
    ensemble = MLPEnsemble(WIDTHS, 3, masks=random_masks(3))
    ensemble = ensemble.replace(momentum=initial_params(WIDTHS, range(5, 8)))
    before = deepcopy(ensemble)

    same = ensemble.replace()
    assert equal(same.params, ensemble.params)
    assert equal(same.masks, ensemble.masks)
    assert equal(same.momentum, ensemble.momentum)

    still = ensemble.without_momentum()
    assert equal(still.params, ensemble.params)
    assert equal(still.masks, ensemble.masks)
    assert all((value == 0).all() for value in still.momentum.values())

    fresh = initial_params(WIDTHS, range(20, 23))
    changed = ensemble.replace(params=fresh)
    assert equal(changed.params, {n: v * ensemble.masks[n] for n, v in fresh.items()})

    other = random_masks(3, seed=1)
    moved = ensemble.replace(masks=other)
    assert equal(moved.masks, other)
    for old, new in ((ensemble.params, moved.params), (ensemble.momentum, moved.momentum)):
        assert equal(new, {n: v * other[n] for n, v in old.items()})  # reborn ones are zero

    whole = ensemble.replace(masks={})
    assert whole.nonzeros().tolist() == [4 * 2 + 4 + 4 * 3 + 3 + 3 + 1] * 3

    for part in (same, still, changed, moved, whole):
        for value in (*part.params.values(), *part.masks.values(), *part.momentum.values()):
            value.zero_()
    assert equal(ensemble.params, before.params)
    assert equal(ensemble.masks, before.masks)
    assert equal(ensemble.momentum, before.momentum)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"widths": (2,), "models": 1}, ValueError, r"widths .*got \(2,\)"),
        ({"models": None}, ValueError, "models must be given.*got None"),
        ({"models": 0}, ValueError, "models must be at least 1.*got 0"),
        ({"models": 2.0}, TypeError, r"models must be an integer, got 2\.0"),
        (
            {"models": 3, "seeds": [1, 2]},
            ValueError,
            "models must be the number of seeds, 2, got 3",
        ),
        ({"models": True}, TypeError, "models must be an integer, got True"),
        ({"seeds": []}, ValueError, "at least one member"),
        ({"seeds": 3}, TypeError, "seeds must be a sequence of integers, got 3"),
        ({"widths": "231", "models": 1}, TypeError, "widths must be a sequence of integers"),
        ({"widths": (2, 0, 1), "models": 1}, ValueError, r"widths\[1\] must be at least 1, got 0"),
        ({"models": 1, "masks": []}, TypeError, r"masks must be bool tensors by name, got \[\]"),
        ({"models": 1, "dtype": "float32"}, TypeError, "dtype must be .*'float32'"),
        ({"seeds": [0.5]}, TypeError, "integer"),
        ({"models": 2, "seed": 0.5}, TypeError, "integer"),
        ({"models": 1, "init_width": 3}, ValueError, r"init_width .*\(2, 4, 3, 1\), got 3"),
        ({"models": 1, "init_width": 16.0}, TypeError, r"init_width must be .*got 16\.0"),
        ({"models": 1, "dtype": torch.float16}, TypeError, r"dtype must be .*torch\.float16"),
        ({"models": 1, "dtype": torch.int64}, TypeError, r"dtype must be .*torch\.int64"),
        (
            {"models": 2, "masks": {"layers.0.bias": torch.ones(3).bool()}},
            ValueError,
            r"layers\.0\.bias.*must have shape \(4,\) or \(2, 4\), got \(3,\)",
        ),
        (
            {"models": 2, "masks": {"layers.0.bias": torch.ones(3, 4).bool()}},
            ValueError,
            r"layers\.0\.bias.*must have shape \(4,\) or \(2, 4\), got \(3, 4\)",
        ),
        ({"models": 2, "masks": {"layers.0.bias": torch.ones(4)}}, TypeError, "layers.0.bias"),
        ({"models": 2, "masks": {"layers.0.bias": [True] * 4}}, TypeError, "layers.0.bias.*list"),
        ({"models": 2, "masks": {"bias": torch.ones(4).bool()}}, ValueError, "masks names.*'bias'"),
    ],
)
def test_bad_arguments(arguments: dict, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        MLPEnsemble(**{"widths": WIDTHS, **arguments})


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"layers.0.bias": None}, ValueError, "must name"),
        ({"more": torch.zeros(3, 1)}, ValueError, "must name .*more"),
        ({"layers.0.bias": torch.zeros(4)}, ValueError, r"\(3, 4\) for widths .*got \(4,\)"),
        ({"layers.0.bias": torch.zeros(2, 4)}, ValueError, r"\(3, 4\) for widths .*got \(2, 4\)"),
        ({"layers.0.weight": torch.tensor(1.0)}, ValueError, r"layers\.0\.weight.*got \(\)"),
        (
            {"layers.0.bias": torch.zeros(3, 4).double()},
            TypeError,
            r"must all be .*'torch.float64'\]",
        ),
        ({"layers.0.bias": [0.0]}, TypeError, "floating-point tensor, got list"),
    ],
)
@pytest.mark.parametrize("how", ["from_params", "params", "momentum"])
def test_bad_parameters(change: dict, error: type[Exception], message: str, how: str) -> None:
    params = {**initial_params(WIDTHS, range(3)), **change}
    params = {name: value for name, value in params.items() if value is not None}
    argument = "momentum" if how == "momentum" else "params"
    ensemble = MLPEnsemble(WIDTHS, 3)
    make = {
        "from_params": lambda: MLPEnsemble.from_params(WIDTHS, params),
        "params": lambda: ensemble.replace(params=params),
        "momentum": lambda: ensemble.replace(momentum=params),
    }[how]
    with pytest.raises(error, match=f"{argument}.*{message}"):
        make()


def test_members_that_are_none_or_one_number() -> None:
    ensemble = MLPEnsemble(WIDTHS, 3)
    with pytest.raises(ValueError, match="at least one member"):
        ensemble[3:]
    with pytest.raises(ValueError, match="at least one member"):
        ensemble[torch.zeros(3, dtype=torch.bool)]
    with pytest.raises(TypeError, match=r"got 1; see member\(\)"):
        ensemble[1]  # type: ignore[index]
    for wrong in (np.int64(1), [1, 2], torch.tensor(1), torch.zeros(1, 1).long(), None, "1"):
        with pytest.raises(TypeError, match="members must be a slice or a tensor"):
            ensemble[wrong]  # type: ignore[index]
    with pytest.raises(ValueError, match="members must be 3 bools, got 1"):
        ensemble[torch.tensor([True])]
    with pytest.raises(TypeError, match=r"members must be indices or bools, got torch\.float32"):
        ensemble[torch.tensor([0.5])]
    for outside in (3, -4):
        with pytest.raises(
            IndexError, match=f"members must be below 3, their number, got {outside}"
        ):
            ensemble[torch.tensor([0, outside])]
    assert equal(ensemble[torch.tensor([-1])].params, ensemble[2:].params)
    with pytest.raises(IndexError, match="index must be below 3, the number of members, got 3"):
        ensemble.member(3)
    with pytest.raises(TypeError, match=r"index must be an integer, got 1\.0"):
        ensemble.member(1.0)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="at least one member"):
        MLPEnsemble.from_params(WIDTHS, {n: v[:0] for n, v in ensemble.params.items()})
