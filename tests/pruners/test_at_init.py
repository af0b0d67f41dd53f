"""Rounds at initialisation against plain loops over single weights."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from prunelimits import MLP, masks
from prunelimits.problem import problem_of
from prunelimits.pruners import (
    FORCE,
    SNIP,
    AbstractPruner,
    AtOnce,
    GraSP,
    IterSNIP,
    Magnitude,
    Method,
    Pruner,
    Seen,
    SynFlow,
    prunable,
)
from prunelimits.types import Masks, Params, Problem, Scores

WIDTHS = (2, 5, 4, 1)
NAMES = [f"layers.{layer}.weight" for layer in range(3)]


def loss(outputs: Tensor, targets: Tensor) -> Tensor:
    return functional.binary_cross_entropy_with_logits(outputs.squeeze(-1), targets)


def batches() -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(45, 2, generator=generator).double()
    return list(zip(x.split(15), (x[:, 0] > x[:, 1]).double().split(15), strict=True))


def model() -> MLP:
    result = MLP(WIDTHS).double()
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in result.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return result


def plain_forward(weights: list[Tensor], biases: list[Tensor], x: Tensor) -> Tensor:
    for layer, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        x = x @ weight.T + bias
        x = x if layer == len(weights) - 1 else x.clamp(min=0)
    return x


def plain_snip(net: MLP, kept: list[float], batch: tuple[Tensor, Tensor]) -> list[float]:
    """`|g w|` by backpropagation to variables that hold the masked weights."""
    weights, at = [], 0
    for layer in net.layers:
        size = layer.weight.numel()
        mask = torch.tensor(kept[at : at + size]).double().reshape(layer.weight.shape)
        weights.append((layer.weight.detach() * mask).requires_grad_())
        at += size
    biases = [layer.bias.detach() for layer in net.layers]
    loss(plain_forward(weights, biases, batch[0]), batch[1]).backward()
    return [
        abs(g * w)
        for weight, layer in zip(weights, net.layers, strict=True)
        for g, w in zip(
            weight.grad.flatten().tolist(), layer.weight.flatten().tolist(), strict=True
        )
    ]


def plain_synflow(net: MLP, kept: list[float], batch: tuple[Tensor, Tensor]) -> list[float]:
    """What the sum of the outputs for an input of ones owes to each weight, all made positive."""
    weights, at = [], 0
    for layer in net.layers:
        size = layer.weight.numel()
        mask = torch.tensor(kept[at : at + size]).double().reshape(layer.weight.shape)
        weights.append((layer.weight.detach().abs() * mask).requires_grad_())
        at += size
    biases = [layer.bias.detach().abs() for layer in net.layers]
    plain_forward(weights, biases, torch.ones(1, 2).double()).sum().backward()
    return [float(v) for w in weights for v in (w.grad * w.detach()).flatten()]


def plain_rounds(score, rounds: int, keep: int, revive: bool) -> list[float]:
    """The masks after all rounds, in one row of zeros and ones."""
    net, data = model(), batches()
    total = 34
    kept = [1.0] * total
    for r in range(1, rounds + 1):
        scores = score(net, kept, data[(r - 1) % len(data)])
        count = keep if r == rounds else round(total * (keep / total) ** (r / rounds))
        eligible = [i for i in range(total) if revive or kept[i]]
        best = sorted(eligible, key=lambda i: (-scores[i], i))[: max(count, keep)]
        kept = [float(i in best) for i in range(total)]
    return kept


def ours(pruner: AbstractPruner, keep: int) -> list[float]:
    net = model()
    problem, params = problem_of(net, loss, batches())
    allowed = prunable(net)
    state = pruner.init(problem, params, allowed, pruner.budget(allowed, keep))
    return masks.flatten(state.masks).double().tolist()


@pytest.mark.parametrize("keep", [1, 4, 9, 17, 30])
@pytest.mark.parametrize(
    ("pruner", "score", "revive"),
    [
        pytest.param(IterSNIP(), plain_snip, False, id="IterSNIP"),
        pytest.param(IterSNIP(rounds=3), plain_snip, False, id="IterSNIP in three rounds"),
        pytest.param(FORCE(), plain_snip, True, id="FORCE"),
        pytest.param(SynFlow(), plain_synflow, False, id="SynFlow"),
    ],
)
def test_rounds_equal_a_plain_loop(pruner: Method, score, revive: bool, keep: int):
    assert ours(pruner, keep) == plain_rounds(score, pruner.rounds, keep, revive)


def test_force_brings_weights_back_and_iterative_snip_does_not():
    net = model()
    problem, params = problem_of(net, loss, batches())
    allowed = prunable(net)
    revived: dict[str, bool] = {}
    for pruner in (FORCE(), IterSNIP()):
        history = [
            masks.flatten(kept)
            for _, kept in pruner.schedule.each_round(
                pruner.ranking, Seen(problem, params), allowed, pruner.budget(allowed, 6)
            )
        ]
        assert len(history) == 10
        revived[type(pruner).__name__] = any(
            bool((after & ~before).any()) for before, after in pairwise(history)
        )
    assert revived == {"FORCE": True, "IterSNIP": False}


def test_iterative_snip_in_one_round_is_snip():
    assert ours(IterSNIP(rounds=1), 8) == ours(SNIP(), 8)
    assert ours(IterSNIP(), 8) == ours(SNIP(rounds=10), 8)


def recorded(problem: Problem, params: Params, masks: Masks, noise: Params | None) -> Scores:
    """Notes which batches each round is given."""
    SEEN.append([float(x[0, 0]) for x, _ in problem.batches])
    return {name: params[name].abs() for name in masks}


SEEN: list[list[float]] = []


@pytest.mark.parametrize("rounds", [1, 2, 7])
def test_one_round_sees_all_batches_and_each_of_several_its_own(rounds: int):
    SEEN.clear()
    ours(Pruner(score=recorded, schedule=AtOnce(rounds=rounds)), 5)
    first = [float(x[0, 0]) for x, _ in batches()]
    expected = [first] if rounds == 1 else [[first[r % 3]] for r in range(rounds)]
    assert expected == SEEN


def test_magnitude_by_hand():
    net = MLP((2, 2, 1))
    with torch.no_grad():
        net.layers[0].weight.copy_(torch.tensor([[3.0, -1.0], [0.5, -4.0]]))
        net.layers[1].weight.copy_(torch.tensor([[2.0, -2.0]]))
    problem, params = problem_of(net)
    allowed = prunable(net)

    def kept(pruner: AbstractPruner, keep: int) -> list[list[bool]]:
        state = pruner.init(problem, params, allowed, pruner.budget(allowed, keep))
        return [mask.flatten().tolist() for mask in state.masks.values()]

    assert kept(Magnitude(), 3) == [[True, False, False, True], [True, False]]
    assert kept(Magnitude(scope="uniform"), 3) == [[True, False, False, True], [True, False]]
    assert kept(Magnitude(floor=1), 2) == [[False, False, False, True], [True, False]]
    assert kept(Magnitude(), 2) == [[True, False, False, True], [False, False]]


def test_grasp_keeps_what_the_paper_would_not_remove():
    # The paper removes the largest of -w (H g), here one loss (w x)^2 / 2 for each weight:
    # -w (H g) = -w^2 x^4, so the smallest |w| x^2 goes first.
    class Separate(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(3, 1, bias=False)

        def forward(self, x: Tensor) -> Tensor:
            return x * self.layer.weight

    net = Separate()
    with torch.no_grad():
        net.layer.weight.copy_(torch.tensor([[1.0, -3.0, 2.0]]))
    x = torch.tensor([[3.0, 1.0, 2.0]])  # |w| x^2 = 9, 3, 8
    problem, params = problem_of(net, lambda z, y: (z**2).sum() / 2, [(x, x)])
    allowed = prunable(net)
    state = GraSP().init(problem, params, allowed, torch.tensor([2]))
    assert state.masks["layer.weight"].tolist() == [[True, False, True]]


def test_survivors_of_each_round_follow_the_exponential_schedule():
    net = model()
    problem, params = problem_of(net, loss, batches())
    allowed = prunable(net)
    pruner = SynFlow(rounds=4)
    counts = [
        masks.count(kept)
        for _, kept in pruner.schedule.each_round(
            pruner.ranking, Seen(problem, params), allowed, torch.tensor([5])
        )
    ]
    assert counts == [math.floor(34 * (5 / 34) ** (r / 4) + 0.5) for r in (1, 2, 3)] + [5]
