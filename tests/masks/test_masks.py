from __future__ import annotations

import math
from collections.abc import Callable
from copy import deepcopy
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils import prune as torch_prune

from prunelimits import masks as pm
from prunelimits.models import MLP
from prunelimits.types import Masks, Params

VALUES = [0.0, -0.0, 1.0, 1.0, 2.0, -3.0, math.inf, -math.inf, math.nan]


@st.composite
def score_tensors(draw: st.DrawFn) -> Params:
    """One to four tensors of zero to three axes, full of ties, NaN and infinities."""
    shapes = draw(st.lists(st.lists(st.integers(1, 4), max_size=3), min_size=1, max_size=4))
    return {f"p{i}": draw(tensor_of(shape)) for i, shape in enumerate(shapes)}


def tensor_of(shape: list[int]) -> st.SearchStrategy[Tensor]:
    size = math.prod(shape)
    values = st.lists(st.sampled_from(VALUES), min_size=size, max_size=size)
    return values.map(lambda v: torch.tensor(v).reshape(shape))


def sorted_top(scores: Params, keep: int) -> Masks:
    """The oracle: sort (score, index) pairs in plain Python, NaN as minus infinity."""
    values = [v for score in scores.values() for v in score.flatten().tolist()]
    values = [-math.inf if math.isnan(v) else v for v in values]
    best = set(sorted(range(len(values)), key=lambda i: (-values[i], i))[:keep])
    kept = iter([i in best for i in range(len(values))])
    return {
        name: torch.tensor([next(kept) for _ in range(score.numel())]).reshape(score.shape)
        for name, score in scores.items()
    }


def equal(left: Params, right: Params) -> bool:
    return list(left) == list(right) and all(torch.equal(left[n], right[n]) for n in left)


@given(score_tensors())
def test_top_equals_a_plain_sort_for_every_budget(scores: Params) -> None:
    before = deepcopy(scores)
    total = sum(score.numel() for score in scores.values())
    for keep in range(total + 1):
        chosen = pm.top(scores, keep)
        assert equal(chosen, sorted_top(scores, keep))
        assert pm.count(chosen) == keep
    assert all(torch.equal(scores[n], before[n]) or scores[n].isnan().any() for n in scores)


def test_top_breaks_ties_by_index_through_many_equal_scores() -> None:
    # Long enough that an unstable sort would not pass by luck.
    scores = {"a": torch.zeros(37, 41), "b": torch.ones(1000), "c": torch.zeros(2000)}
    flat = pm.flatten(pm.top(scores, 1500))
    assert flat[: 37 * 41].nonzero().flatten().tolist() == list(range(500))
    assert flat[37 * 41 :][:1000].all()
    assert not flat[37 * 41 + 1000 :].any()


@pytest.mark.parametrize("dtype", [torch.int64, torch.float64, torch.float16])
def test_top_ranks_other_dtypes(dtype: torch.dtype) -> None:
    scores = {"a": torch.tensor([3, 1, 3, 2], dtype=dtype)}
    assert pm.top(scores, 2)["a"].tolist() == [True, False, True, False]


def test_top_under_vmap_with_a_budget_a_model_equals_the_loop() -> None:
    generator = torch.Generator().manual_seed(0)
    # Rounded, so that every model has many ties.
    scores = {
        "w": (3 * torch.randn(12, 4, 5, generator=generator)).round(),
        "b": (3 * torch.randn(12, 3, generator=generator)).round(),
    }
    scores["w"][0, 0, 0] = math.nan
    keep = torch.tensor([0, 1, 2, 3, 5, 8, 11, 14, 17, 20, 22, 23])
    together = torch.vmap(pm.top)(scores, keep)
    for model in range(12):
        alone = pm.top({n: s[model] for n, s in scores.items()}, int(keep[model]))
        assert equal({n: m[model] for n, m in together.items()}, alone)
        assert equal(alone, sorted_top({n: s[model] for n, s in scores.items()}, int(keep[model])))


@pytest.mark.parametrize(
    ("keep", "error", "message"),
    [
        (-1, ValueError, "keep must be between 0 and the 4 scores, got -1"),
        (5, ValueError, "keep must be between 0 and the 4 scores, got 5"),
        (0.5, TypeError, "keep must be an integer, got 0.5"),
        (True, TypeError, "keep must be an integer, got True"),
        (torch.tensor(0.5), TypeError, "keep must be an integer, got a tensor of torch.float32"),
        (torch.tensor([1, 2]), ValueError, r"keep must be one number.*got \(2,\)"),
    ],
)
def test_top_refuses_a_wrong_budget(keep: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        pm.top({"a": torch.zeros(4)}, keep)  # type: ignore[arg-type]


def test_top_refuses_no_scores() -> None:
    with pytest.raises(ValueError, match="scores must hold at least one tensor"):
        pm.top({}, 0)


@st.composite
def weight_masks(draw: st.DrawFn) -> Masks:
    widths = draw(st.lists(st.integers(1, 4), min_size=2, max_size=5))
    models = draw(st.sampled_from([(), (3,), (2, 2)]))
    seed = draw(st.integers(0, 2**31))
    generator = torch.Generator().manual_seed(seed)
    return {
        f"layers.{i}.weight": torch.rand(*models, d_out, d_in, generator=generator) < 0.4
        for i, (d_in, d_out) in enumerate(pairwise(widths))
    }


def plain_bias(
    rule: str, weight: list[list[bool]], following: list[list[bool]] | None
) -> list[bool]:
    """The paper's two rules, unit by unit."""
    result: list[bool] = []
    for unit in range(len(weight)):
        if rule == "incoming":
            result.append(any(weight[unit]))
        elif following is None:
            result.append(True)
        else:
            result.append(any(row[unit] for row in following))
    return result


@given(weight_masks(), st.sampled_from(["incoming", "outgoing"]))
def test_bias_rules_equal_plain_loops(masks: Masks, rule: pm.BiasRule) -> None:
    full = pm.with_biases(masks, rule)
    names = list(masks)
    weights_and_biases = [[n, n.replace("weight", "bias")] for n in names]
    assert list(full) == [name for pair in weights_and_biases for name in pair]
    models = masks[names[0]].shape[:-2]
    for index in torch.cartesian_prod(*(torch.arange(m) for m in models)) if models else [[]]:
        place = tuple(int(i) for i in torch.as_tensor(index).reshape(-1))
        plain = [masks[name][place].tolist() for name in names]
        for layer, name in enumerate(names):
            following = plain[layer + 1] if layer + 1 < len(names) else None
            bias = full[name.replace("weight", "bias")][place]
            assert bias.tolist() == plain_bias(rule, plain[layer], following)
            assert torch.equal(full[name], masks[name])


def test_bias_rules_by_hand() -> None:
    masks = {
        "layers.0.weight": torch.tensor([[1, 0], [0, 0], [1, 1]]).bool(),
        "layers.1.weight": torch.tensor([[0, 1, 1]]).bool(),
    }
    outgoing = pm.with_biases(masks)
    assert outgoing["layers.0.bias"].tolist() == [False, True, True]
    assert outgoing["layers.1.bias"].tolist() == [True]
    incoming = pm.with_biases(masks, "incoming")
    assert incoming["layers.0.bias"].tolist() == [True, False, True]
    empty = {n: torch.zeros_like(m) for n, m in masks.items()}
    assert pm.with_biases(empty, "outgoing")["layers.1.bias"].tolist() == [True]
    assert pm.with_biases(empty, "incoming")["layers.1.bias"].tolist() == [False]


def test_bias_masks_that_are_there_are_replaced() -> None:
    masks = {"0.weight": torch.eye(2).bool(), "0.bias": torch.zeros(2).bool()}
    assert pm.with_biases(masks)["0.bias"].tolist() == [True, True]


@pytest.mark.parametrize(
    ("masks", "rule", "error", "message"),
    [
        ({"0.weight": torch.ones(2, 2).bool()}, "both", ValueError, "rule must be one of .*'both'"),
        ({}, "incoming", ValueError, "masks must hold at least one weight mask"),
        ({"0.bias": torch.ones(2).bool()}, "incoming", ValueError, "at least one weight mask"),
        ({"0.weight": torch.ones(2).bool()}, "incoming", ValueError, r"0\.weight.*\(2,\)"),
        ({"0.weight": torch.ones(2, 2)}, "incoming", TypeError, r"0\.weight.*torch.float32"),
        ({"0.kernel": torch.ones(2, 2).bool()}, "incoming", ValueError, r"0\.kernel"),
        (
            {"0.weight": torch.ones(2, 2).bool(), "1.weight": torch.ones(1, 3).bool()},
            "outgoing",
            ValueError,
            r"'0\.weight' has 2 outputs but '1\.weight' 3 inputs",
        ),
        (
            {"0.weight": torch.ones(4, 2, 2).bool(), "1.weight": torch.ones(1, 2).bool()},
            "outgoing",
            ValueError,
            "same leading axes",
        ),
    ],
)
def test_bias_rules_refuse(
    masks: Masks, rule: pm.BiasRule, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        pm.with_biases(masks, rule)


def mlp() -> nn.Module:
    return MLP((2, 4, 3, 1))


class Nested(nn.Module):
    """Convolutions in a block in a model, one layer without a bias, a batch norm."""

    def __init__(self) -> None:
        super().__init__()
        self.block = nn.Sequential(nn.Conv2d(2, 3, 2, bias=False), nn.BatchNorm2d(3), nn.ReLU())
        self.deeper = nn.ModuleDict({"head": nn.Sequential(nn.Flatten(), nn.Linear(12, 2))})

    def forward(self, x: Tensor) -> Tensor:
        return self.deeper["head"](self.block(x))


MODELS = [
    pytest.param(mlp, torch.Size([5, 2]), id="mlp"),
    pytest.param(Nested, torch.Size([5, 2, 3, 3]), id="nested"),
    pytest.param(lambda: nn.Linear(3, 2), torch.Size([5, 3]), id="bare layer"),
]
Build = Callable[[], nn.Module]


def random_masks(model: nn.Module, seed: int = 0) -> Masks:
    """Masks for every parameter but the last, weights and biases alike."""
    generator = torch.Generator().manual_seed(seed)
    names = [(n, p.shape) for n, p in model.named_parameters()][:-1]
    return {n: torch.rand(shape, generator=generator) < 0.5 for n, shape in names}


def built(build: Build) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return build().eval()


@pytest.mark.parametrize(("build", "shape"), MODELS)
def test_three_ways_to_apply_masks_agree_with_torchs_own(build: Build, shape: torch.Size) -> None:
    model, x = built(build), torch.linspace(-1, 1, shape.numel()).reshape(shape)
    masks = random_masks(model)
    kept_masks, kept_state = deepcopy(masks), deepcopy(model.state_dict())

    theirs = deepcopy(model)
    for name, mask in masks.items():
        path, _, parameter = name.rpartition(".")
        torch_prune.custom_from_mask(theirs.get_submodule(path), parameter, mask)
    expected = theirs(x)
    assert not torch.equal(expected, model(x))

    functional = pm.apply(dict(model.named_parameters()), masks)
    assert torch.equal(torch.func.functional_call(model, functional, (x,)), expected)
    assert equal(dict(model.state_dict()), dict(kept_state))

    ours = deepcopy(model)
    pm.to_torch_prune(ours, masks)
    assert torch.equal(ours(x), expected)
    assert {n for n, _ in ours.named_parameters()} == {n for n, _ in theirs.named_parameters()}

    permanent = deepcopy(model)
    pm.make_permanent(permanent, masks)
    assert torch.equal(permanent(x), expected)
    assert list(permanent.state_dict()) == list(model.state_dict())
    for name, parameter in permanent.named_parameters():
        assert isinstance(parameter, nn.Parameter)
        assert parameter.requires_grad
        if name in masks:
            assert (parameter[~masks[name]] == 0).all()
    assert equal(masks, kept_masks)


@pytest.mark.parametrize(("build", "shape"), MODELS)
def test_torch_prune_form_and_back(build: Build, shape: torch.Size) -> None:
    model, x = built(build), torch.linspace(-1, 1, shape.numel()).reshape(shape)
    masks = random_masks(model)
    pm.to_torch_prune(model, masks)
    found = pm.from_torch_prune(model)
    assert found.keys() == masks.keys()
    assert all(torch.equal(found[n], masks[n]) for n in masks)

    kept, plain = pm.nonzero_masks(model), dict(built(build).named_parameters())
    assert kept.keys() == plain.keys()
    for name, value in plain.items():
        assert torch.equal(kept[name], masks[name] & (value != 0) if name in masks else value != 0)

    expected, names = model(x), {n for n, _ in built(build).named_parameters()}
    pm.make_permanent(model)
    assert {n for n, _ in model.named_parameters()} == names
    assert pm.from_torch_prune(model) == {}
    assert torch.equal(model(x), expected)


def test_masks_of_torchs_pruners_are_read() -> None:
    model = built(Nested)
    head = model.get_submodule("deeper.head.1")
    torch_prune.l1_unstructured(head, "weight", amount=5)
    torch_prune.random_unstructured(head, "weight", amount=3)  # a container of two
    found = pm.from_torch_prune(model)
    assert list(found) == ["deeper.head.1.weight"]
    assert pm.count(found) == 24 - 8
    found["deeper.head.1.weight"].fill_(False)
    assert pm.count(pm.from_torch_prune(model)) == 16  # the caller got a copy


def test_make_permanent_adds_masks_to_what_torch_pruned() -> None:
    model = nn.Sequential(nn.Linear(2, 2))
    with torch.no_grad():
        model[0].weight.fill_(1.0)
    pm.to_torch_prune(model, {"0.weight": torch.tensor([[True, False], [True, True]])})
    pm.make_permanent(model, {"0.weight": torch.tensor([[False, True], [True, True]])})
    assert model[0].weight.tolist() == [[0.0, 0.0], [1.0, 1.0]]


def test_nan_is_pruned_to_zero() -> None:
    mask = torch.tensor([True, False, False])
    broken = torch.tensor([1.0, math.nan, -math.inf])
    applied = pm.apply({"bias": broken}, {"bias": mask})["bias"]
    assert applied.tolist() == [1.0, 0.0, 0.0]
    for form in ("plain", "torch"):
        model = nn.Linear(1, 3)
        with torch.no_grad():
            model.bias.copy_(broken)
        if form == "torch":
            pm.to_torch_prune(model, {"bias": mask})
            assert pm.nonzero_masks(model)["bias"].tolist() == [True, False, False]
        pm.make_permanent(model, {"bias": mask} if form == "plain" else None)
        assert model.bias.tolist() == [1.0, 0.0, 0.0]


def test_apply_is_differentiable_and_vmaps() -> None:
    weights = torch.randn(6, 3, 2, generator=torch.Generator().manual_seed(0), requires_grad=True)
    masks = torch.rand(6, 3, 2, generator=torch.Generator().manual_seed(1)) < 0.5
    together = torch.vmap(lambda w, m: pm.apply({"w": w}, {"w": m})["w"])(weights, masks)
    assert torch.equal(together, weights * masks)
    together.sum().backward()
    assert weights.grad is not None
    assert torch.equal(weights.grad, masks.float())


def test_a_parameter_without_a_mask_is_returned_as_it_is() -> None:
    params = {"a": torch.ones(2), "b": torch.ones(2)}
    applied = pm.apply(params, {"a": torch.tensor([True, False])})
    assert applied["b"] is params["b"]
    assert params["a"].tolist() == [1.0, 1.0]


def test_nonzero_masks_of_params_and_plain_models() -> None:
    assert pm.nonzero_masks({"a": torch.tensor([0.0, -0.0, 1e-45, math.nan])})["a"].tolist() == [
        False,
        False,
        True,
        True,
    ]
    model = built(mlp)
    masks = random_masks(model)
    pm.make_permanent(model, masks)
    found = pm.nonzero_masks(model)
    assert list(found) == [n for n, _ in model.named_parameters()]
    assert all(torch.equal(found[n], masks[n]) for n in masks)


BAD_MASKS = [
    ({"nothing": torch.ones(2, 2).bool()}, ValueError, "'nothing', which is not among"),
    ({"0.weight": torch.ones(2, 3).bool()}, ValueError, r"must have shape \(2, 2\), got \(2, 3\)"),
    ({"0.weight": torch.ones(2, 2)}, TypeError, "bool tensor, got torch.float32"),
    ({"0.weight": [[True] * 2] * 2}, TypeError, "bool tensor, got list"),
]


@pytest.mark.parametrize(("masks", "error", "message"), BAD_MASKS)
@pytest.mark.parametrize("function", ["apply", "make_permanent", "to_torch_prune"])
def test_masks_that_do_not_fit_change_nothing(
    masks: Masks, error: type[Exception], message: str, function: str
) -> None:
    model = nn.Sequential(nn.Linear(2, 2))
    before = deepcopy(model.state_dict())
    good_then_bad = {"0.bias": torch.zeros(2).bool(), **masks}
    target = dict(model.named_parameters()) if function == "apply" else model
    with pytest.raises(error, match=message):
        getattr(pm, function)(target, good_then_bad)
    assert equal(dict(model.state_dict()), dict(before))


def test_make_permanent_needs_something_to_do() -> None:
    with pytest.raises(ValueError, match="masks is needed"):
        pm.make_permanent(nn.Linear(2, 2))


@given(score_tensors())
def test_flatten_and_unflatten_are_inverse(tensors: Params) -> None:
    masks = {name: value > 0 for name, value in tensors.items()}
    flat = pm.flatten(masks)
    assert flat.tolist() == [entry for m in masks.values() for entry in m.flatten().tolist()]
    assert equal(pm.unflatten(flat, {n: m.shape for n, m in masks.items()}), masks)


def test_unflatten_keeps_leading_axes() -> None:
    flat = torch.arange(24).reshape(2, 3, 4) % 3 == 0
    parts = pm.unflatten(flat, {"w": (1, 2), "b": (2,)})
    assert parts["w"].shape == (2, 3, 1, 2)
    assert parts["b"].shape == (2, 3, 2)
    for i in range(2):
        for j in range(3):
            alone = pm.unflatten(flat[i, j], {"w": (1, 2), "b": (2,)})
            assert equal({n: p[i, j] for n, p in parts.items()}, alone)


def test_flat_rows_of_a_wrong_length_and_no_masks_are_refused() -> None:
    with pytest.raises(ValueError, match=r"flat must have 3 entries, got a tensor \(4,\)"):
        pm.unflatten(torch.ones(4).bool(), {"a": (3,)})
    with pytest.raises(ValueError, match="masks must hold at least one tensor"):
        pm.flatten({})
