"""Laws of schedules, shapes, scopes and scores in any combination, on three kinds of networks."""

from __future__ import annotations

import copy
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from prunelimits import MLP, lottery_ticket, scores
from prunelimits.connectivity import coupled_units, effective_masks
from prunelimits.masks import CoupledUnits, count, make_permanent
from prunelimits.problem import problem_of
from prunelimits.pruners import (
    AtOnce,
    Blocks,
    DropGrow,
    Gradual,
    NOfM,
    Pruner,
    Rewind,
    Schedule,
    Shape,
    Tiling,
    Units,
    Weights,
    at_random,
    by_gradient,
    cosine,
    linear,
    prunable,
    prune,
)
from prunelimits.sessions import attach
from prunelimits.types import Masks


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(4, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.second = nn.Conv2d(4, 4, 3, padding=1)
        self.head = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.norm(self.first(x)))
        return self.head(functional.relu(x + self.second(x)).mean((2, 3)))


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.block = nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0, batch_first=True)
        self.head = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.block(x).mean(1))


class Rows(Tiling):
    def tiles(self, weight: Tensor) -> Tensor:
        return weight.flatten(1)


def halves_of_the_rest(shapes: Any, keep: int) -> dict[str, int]:
    """A scope of one's own: each layer as large a share as it has, the last takes what is left."""
    sizes = {name: torch.Size(shape).numel() for name, shape in shapes.items()}
    quotas = {name: keep * size // sum(sizes.values()) for name, size in sizes.items()}
    last = list(shapes)[-1]
    return quotas | {last: quotas[last] + keep - sum(quotas.values())}


NETWORKS = {
    "mlp": (lambda: MLP((4, 8, 8, 4)), (4,)),
    "residual": (Residual, (4, 3, 3)),
    "transformer": (Block, (3, 4)),
}
SCHEDULES: dict[str, Schedule] = {
    "at once": AtOnce(),
    "in rounds": AtOnce(rounds=3),
    "revived": AtOnce(rounds=3, revive=True, curve=linear),
    "gradual": Gradual(rounds=3, start=0.2, end=0.8),
    "late": Gradual(rounds=2, curve=cosine, start=3, end=7),
    "set": DropGrow(grow=at_random, rounds=3, end=0.8, decay="constant"),
    "rigl": DropGrow(grow=by_gradient, rounds=3, end=0.8, fraction=0.5),
}
# "units" are those of the network.
SHAPES: dict[str, Shape] = {
    "weights": Weights(), "2:4": NOfM(2, 4), "blocks": Blocks(2, 2), "rows": Rows(),
}  # fmt: skip
SCOPES: dict[str, Any] = {
    "global": "global", "erk": "erk", "own": halves_of_the_rest, "by groups": "groups",
    "uniform": "uniform",
}  # fmt: skip
SCORES = {"magnitude": scores.magnitude, "snip": scores.snip, "synflow": scores.synflow}


@cache
def made(kind: str) -> tuple[nn.Module, tuple[int, ...]]:
    torch.manual_seed(0)
    make, shape = NETWORKS[kind]
    return make(), shape


def network(kind: str) -> tuple[nn.Module, list[tuple[Tensor, Tensor]]]:
    model, shape = made(kind)
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(24, *shape, generator=generator)
    y = torch.randint(4, (24,), generator=generator)
    return copy.deepcopy(model), list(zip(x.split(8), y.split(8), strict=True))


@cache
def units_of(kind: str) -> CoupledUnits:
    model, batches = network(kind)
    return coupled_units(model, inputs=batches[0][0][:1])


def shape_of(kind: str, shape: str) -> Shape:
    return Units(units_of(kind)) if shape == "units" else SHAPES[shape]


def combinations() -> list[Any]:
    """All that make sense: each score goes round, so that not every one is in every place."""
    cases: list[Any] = []
    for schedule in SCHEDULES:
        for shape in (*SHAPES, "units"):
            for scope in SCOPES:
                if (shape == "units") != (scope == "uniform") and (
                    scope == "uniform" or scope in ("erk", "own")
                ):
                    continue
                if shape == "units" and schedule in ("set", "rigl"):
                    continue
                if shape == "2:4" and scope != "global":
                    continue
                if schedule in ("set", "rigl") and scope == "global" and shape != "2:4":
                    continue
                score = list(SCORES)[len(cases) % 3]
                cases.append(pytest.param(schedule, shape, scope, score, id=" ".join(
                    (schedule, shape, scope, score))))  # fmt: skip
    return cases


def pruner_of(kind: str, schedule: str, shape: str, scope: str, score: str) -> Pruner:
    rule = SCOPES[scope]
    if scope == "by groups":  # moves are shares of layers, so groups are divided among these
        rule = "uniform" if isinstance(SCHEDULES[schedule], DropGrow) else "global"
    return Pruner(
        score=SCORES[score],
        schedule=SCHEDULES[schedule],
        shape=shape_of(kind, shape),
        scope=rule,
        floor=1,
    )


def asked_of(model: nn.Module, shape: str, scope: str) -> dict[str, Any]:
    """Half of the weights; by groups, a quarter of the last layer."""
    if shape == "2:4":
        return {}
    if shape == "units" and scope == "by groups":
        return {"keep": {"*": 0.5}}
    names = list(prunable(model))
    return {"keep": {names[-1]: 0.25, "*": 0.5}} if scope == "by groups" else {"sparsity": 0.5}


def is_whole(shape: str, mask: Tensor) -> bool:
    """Whether a mask is of a shape, by a plain loop."""
    rows = mask.shape[0]
    if shape == "rows":
        return all(len(set(mask[row].flatten().tolist())) == 1 for row in range(rows))
    if shape == "blocks":
        return all(
            len(set(mask[r : r + 2, c : c + 2].flatten().tolist())) == 1
            for r in range(0, rows, 2)
            for c in range(0, mask.shape[1], 2)
        )
    return True


def is_two_of_four(mask: Tensor) -> bool:
    lines = mask.movedim(1, -1).reshape(-1, 4)
    return all(int(line.sum()) == 2 for line in lines)


def train(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    batches: list[tuple[Tensor, Tensor]],
    steps: range,
) -> None:
    for step in steps:
        x, y = batches[step % len(batches)]
        optimizer.zero_grad()
        functional.cross_entropy(model(x), y).backward()
        optimizer.step()


@pytest.mark.slow
@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.parametrize(("schedule", "shape", "scope", "score"), combinations())
def test_budgets_nesting_zeros_and_resumption(
    kind: str, schedule: str, shape: str, scope: str, score: str
):
    model, batches = network(kind)
    pruner = pruner_of(kind, schedule, shape, scope, score)
    dense = prunable(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    asked: dict[str, Any] = {**asked_of(model, shape, scope), "steps": 10}
    data: dict[str, Any] = {"loss": functional.cross_entropy, "batches": batches}
    whole = None
    with attach(pruner, model, optimizer, **asked, **data) as session:
        before = session.masks
        for step in range(10):
            if step == 5:
                whole = copy.deepcopy((model, optimizer.state_dict(), session.state_dict()))
            train(model, optimizer, batches, range(step, step + 1))
            masks = session.masks
            for name, mask in masks.items():
                assert not model.get_parameter(name)[~mask].any()
                if not isinstance(SCHEDULES[schedule], DropGrow):
                    assert not (mask & ~before[name]).any()
                assert is_whole(shape, mask)
            before = masks
            if shape == "units":
                check_units(kind, model, masks)
    if shape == "units":
        check_budget_of_units(kind, before, dense, scope)
    else:
        check_budget(before, dense, shape, scope)
    # What was saved in the middle goes on to the same masks and weights.
    assert whole is not None
    again, state, saved = whole
    other = torch.optim.SGD(again.parameters(), lr=0.05, momentum=0.9)
    other.load_state_dict(state)
    with attach(pruner, again, other, **asked, **data, resume=saved) as resumed:
        train(again, other, batches, range(5, 10))
    assert all(torch.equal(mask, resumed.masks[name]) for name, mask in before.items())
    for name, value in model.state_dict().items():
        assert torch.equal(value, again.state_dict()[name])


def check_budget(masks: Masks, dense: Masks, shape: str, scope: str) -> None:
    if shape == "2:4":
        assert all(is_two_of_four(mask) for mask in masks.values())
        return
    names = list(dense)
    wanted = count(dense) // 2
    if scope == "by groups":
        last = dense[names[-1]].numel()
        parts = {names[-1]: last // 4, "the rest": (count(dense) - last + 1) // 2}
        assert int(masks[names[-1]].sum()) == parts[names[-1]]
        wanted = sum(parts.values())
    # Tiles of several sizes need not fill a budget: less than one is missing, for each budget.
    tiling = SHAPES[shape]
    largest = 1
    if isinstance(tiling, Tiling):
        largest = max(tiling.tiles(mask).shape[1] for mask in dense.values())
    missing = len(names) * (largest - 1)
    assert wanted - missing <= count(masks) <= wanted


def check_units(kind: str, model: nn.Module, masks: Masks) -> None:
    """Whole units, with biases and normalisations that are zero with them."""
    units = units_of(kind)
    whole = units.masks(units.kept(masks))
    for name, mask in whole.items():
        assert name not in masks or torch.equal(mask, masks[name])
        assert not model.get_parameter(name)[~mask].any()


def check_budget_of_units(kind: str, masks: Masks, dense: Masks, scope: str) -> None:
    """At most the weights asked for, as close as a unit allows; or half of the units."""
    model, batches = network(kind)
    units = units_of(kind)
    kept = units.kept(masks)
    assert all(bool(k.any()) for k in kept.values())
    effective = effective_masks(model, masks, inputs=batches[0][0][:1])
    assert all(torch.equal(effective[name], mask) for name, mask in masks.items())
    if scope == "by groups":
        total = sum(group.size for group in units.groups)
        assert sum(int(k.sum()) for k in kept.values()) == (total + 1) // 2
        return
    # The largest unit: all that it holds in weights.
    largest = max(
        sum(
            dense[part.parameter].select(part.axis, part.units.index(0)).numel()
            * part.units.count(0)
            for part in group.slices
            if part.parameter in dense
        )
        for group in units.groups
    )
    groups = len(units.groups) if scope == "uniform" else 1
    assert count(dense) // 2 - groups * largest < count(masks) <= (count(dense) + 1) // 2


@pytest.mark.filterwarnings("ignore:.*leaves no weight")
@pytest.mark.parametrize("shape", [*SHAPES, "units"])
@pytest.mark.parametrize("kind", NETWORKS)
def test_budgets_in_one_ranking_give_nested_masks(kind: str, shape: str):
    model, _ = network(kind)
    before = None
    for sparsity in (0.6 if shape == "units" else 0.9, 0.55, 0.5, 0.3) if shape != "2:4" else ():
        pruner = Pruner(score=scores.magnitude, shape=shape_of(kind, shape))
        masks = prune(model, pruner, sparsity=sparsity)
        if before is not None:
            assert all(not (mask & ~masks[name]).any() for name, mask in before.items())
        before = masks
    for n in (1, 2, 3):
        fewer, more = (
            prune(model, Pruner(score=scores.magnitude, shape=NOfM(m, 4))) for m in (n, n + 1)
        )
        assert all(not (mask & ~more[name]).any() for name, mask in fewer.items())


@pytest.mark.parametrize("shape", [*SHAPES, "units"])
def test_many_models_at_once_equal_one_at_a_time(shape: str):
    model, batches = network("mlp")
    generator = torch.Generator().manual_seed(2)
    dense = prunable(model)
    problem, params = problem_of(model, functional.cross_entropy, batches)
    many = {n: torch.randn(3, *v.shape, generator=generator) for n, v in params.items()}
    allowed = {n: mask.expand(3, *mask.shape) for n, mask in dense.items()}
    pruner = Pruner(
        score=scores.snip, schedule=AtOnce(rounds=2), shape=shape_of("mlp", shape), scope="global"
    )
    keeps = [None] * 3 if shape == "2:4" else [32, 64, 96]
    budgets = torch.stack([pruner.budget(dense, keep) for keep in keeps])
    together = torch.vmap(lambda *a: pruner.init(problem, *a))(many, allowed, budgets)
    for index in range(3):
        one = {name: value[index] for name, value in many.items()}
        alone = pruner.init(problem, one, dense, budgets[index])
        for name, mask in alone.masks.items():
            assert torch.equal(mask, together.masks[name][index])


def two_of_four(outputs: int, inputs: int) -> Tensor:
    """A pruned weight, as sparse kernels shall take it."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(inputs, outputs, bias=False))
    masks = prune(model, Pruner(score=scores.magnitude, shape=NOfM(2, 4)))
    assert is_two_of_four(masks["0.weight"])
    make_permanent(model, masks)
    return model[0].weight.detach()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize(("outputs", "inputs"), [(32, 64), (64, 192), (128, 128)])
def test_what_semi_structured_kernels_store_is_all_of_two_of_four(
    outputs: int, inputs: int, dtype: torch.dtype
):
    """By torch's own conversion, which also runs where its kernels do not."""
    form = pytest.importorskip("torch.sparse._semi_structured_conversions")
    stored, restored = (
        getattr(form, f"sparse_semi_structured_{way}_dense_cutlass") for way in ("from", "to")
    )
    weight = two_of_four(outputs, inputs).to(dtype)
    values, places = stored(weight)
    assert values.shape == (outputs, inputs // 2)
    assert torch.equal(restored(values, places), weight)
    assert values.count_nonzero() == weight.count_nonzero() == outputs * inputs // 2
    # Of as many weights anywhere some would be lost.
    elsewhere = weight.flatten()[torch.randperm(weight.numel())].view_as(weight)
    assert not torch.equal(restored(*stored(elsewhere)), elsewhere)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_semi_structured_kernels_take_two_of_four():
    half = two_of_four(128, 128).half().cuda()
    sparse = torch.sparse.to_sparse_semi_structured(half)
    assert torch.equal(sparse.to_dense(), half)
    x = torch.randn(128, 128, device="cuda", dtype=torch.float16)
    torch.testing.assert_close(functional.linear(x, sparse), functional.linear(x, half))


@pytest.mark.parametrize("shape", ["weights", "2:4", "blocks", "units"])
def test_a_ticket_may_go_back_to_a_later_step(shape: str):
    model, batches = network("mlp")
    calls: list[tuple[int, int | None]] = []
    begun: list[Tensor] = []

    def trained(net: nn.Module, masks: Masks, start: int, stop: int | None) -> None:
        calls.append((start, stop))
        begun.append(net.get_parameter("layers.0.weight").detach().clone())
        optimizer = torch.optim.SGD(net.parameters(), lr=0.05)
        with attach(masks, net, optimizer):
            train(net, optimizer, batches, range(start, 8 if stop is None else stop))

    pruner = Pruner(
        score=scores.magnitude, schedule=Rewind(rounds=2, to=3), shape=shape_of("mlp", shape)
    )
    masks = lottery_ticket(model, trained, pruner, keep=None if shape == "2:4" else 40)
    assert calls == [(0, 3), (3, None), (3, None)]
    early = copy.deepcopy(model)
    trained(early, prunable(model), 0, 3)
    assert torch.equal(begun[1], early.get_parameter("layers.0.weight"))
    kept = begun[2] != 0
    assert torch.equal(begun[2][kept], begun[1][kept])
    if shape == "units":
        assert 30 < count(masks) <= 40
    else:
        assert count(masks) == (64 if shape == "2:4" else 40)
