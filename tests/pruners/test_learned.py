"""Methods with a training of their own, against the same training by torch's optimizers."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from prunelimits import MLP, masks, scores
from prunelimits.problem import problem_of
from prunelimits.pruners import (
    LAMP,
    LOMP,
    OBD,
    OBS,
    EdgePopup,
    Magnitude,
    Method,
    RareGems,
    State,
    draw_noise,
    prunable,
    prune,
    prune_with_weights,
)
from prunelimits.types import Params

WIDTHS = (2, 5, 4, 1)


def loss(outputs: Tensor, targets: Tensor) -> Tensor:
    return functional.binary_cross_entropy_with_logits(outputs.squeeze(-1), targets)


def batches() -> list[tuple[Tensor, Tensor]]:
    x = torch.randn(60, 2, generator=torch.Generator().manual_seed(1)).double()
    return list(zip(x.split(20), (x[:, 0] > x[:, 1]).double().split(20), strict=True))


def model() -> MLP:
    result = MLP(WIDTHS).double()
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in result.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return result


def ours(pruner: Method, keep: int) -> tuple[State, Params]:
    net = model()
    problem, params = problem_of(net, loss, batches())
    allowed = prunable(net)
    noise = draw_noise(allowed)
    return pruner.init(problem, params, allowed, pruner.budget(allowed, keep), noise), noise


class StraightThrough(torch.autograd.Function):
    """Any mask in the forward pass, the identity in the backward one."""

    @staticmethod
    def forward(ctx, scores: Tensor, mask: Tensor) -> Tensor:
        return mask

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None]:
        return grad, None


def test_edge_popup_equals_torch_s_autograd_and_optimizer():
    pruner = EdgePopup(epochs=5, lr=2.0, weight_decay=0.01)
    state, noise = ours(pruner, 12)
    net = model()
    layers = list(net.layers)
    quotas = pruner.budget(prunable(net), 12).tolist()
    learned = [
        ((2 * drawn.double() - 1) / math.sqrt(drawn.shape[1])).requires_grad_()
        for drawn in noise.values()
    ]
    optimizer = torch.optim.SGD(learned, lr=2.0, momentum=0.9, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 5)

    def best(score: Tensor, count: int) -> Tensor:
        chosen = score.abs().flatten().argsort(descending=True, stable=True)[:count]
        return torch.zeros(score.numel()).double().scatter(0, chosen, 1.0).reshape(score.shape)

    first = [best(score.detach(), count) for score, count in zip(learned, quotas, strict=True)]
    for _ in range(5):
        for x, y in batches():
            optimizer.zero_grad()
            for index, (layer, score, count) in enumerate(
                zip(layers, learned, quotas, strict=True)
            ):
                mask = StraightThrough.apply(score.abs(), best(score.detach(), count))
                x = functional.linear(x, layer.weight.detach() * mask, layer.bias.detach())
                x = x if index == 2 else x.relu()
            loss(x, y).backward()
            optimizer.step()
        schedule.step()
    last = [best(score.detach(), count) for score, count in zip(learned, quotas, strict=True)]
    assert any(not torch.equal(a, b) for a, b in zip(first, last, strict=True))  # it learned
    for mask, expected in zip(state.masks.values(), last, strict=True):
        assert torch.equal(mask.double(), expected)
    for name, value in net.named_parameters():  # the weights are frozen
        assert torch.equal(state.memory[name], value)


def test_rare_gems_equals_torch_s_autograd_and_optimizer():
    pruner = RareGems(epochs=7, freeze=2, lr=3.0, l2=0.01)
    keep, total = 8, 34
    state, noise = ours(pruner, keep)
    net = model()
    layers = list(net.layers)
    learned = [drawn.double().requires_grad_() for drawn in noise.values()]
    frozen = [torch.zeros_like(score).bool() for score in learned]
    outside = 0
    optimizer = torch.optim.SGD(learned, lr=3.0, momentum=0.9)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 7)
    for epoch in range(1, 8):
        for x, y in batches():
            optimizer.zero_grad()
            for index, (layer, score, ice) in enumerate(zip(layers, learned, frozen, strict=True)):
                acting = (score.detach() >= 0.5).double()
                mask = StraightThrough.apply(score, acting) * ~ice
                x = functional.linear(x, layer.weight.detach() * mask, layer.bias.detach())
                x = x if index == 2 else x.relu()
            penalty = sum(0.01 * (score**2).sum() for score in learned)
            (loss(x, y) + penalty).backward()
            optimizer.step()
            with torch.no_grad():
                for score in learned:
                    outside += int(((score < 0) | (score > 1)).sum())
                    score.clamp_(0, 1)
        schedule.step()
        if epoch % 2 == 0:  # three times: 34 (8 / 34)^(1/3), 34 (8 / 34)^(2/3), 8
            left = round(total * (keep / total) ** (epoch // 2 / 3))
            flat = torch.cat([score.detach().flatten() for score in learned])
            ice = torch.cat([part.flatten() for part in frozen])
            ranked = flat.masked_fill(ice, -1).argsort(descending=True, stable=True)
            ice = torch.ones(total).bool().scatter(0, ranked[:left], False)
            sizes = [score.numel() for score in learned]
            frozen = [
                part.reshape(score.shape)
                for part, score in zip(ice.split(sizes), learned, strict=True)
            ]
    assert outside  # so that the bounds matter
    for mask, ice in zip(state.masks.values(), frozen, strict=True):
        assert torch.equal(mask, ~ice)


def test_lomp_equals_torch_s_autograd_and_optimizer():
    state, _ = ours(LOMP(epochs=6, lr=0.1, l1=0.02), 10)
    net = model()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    for _ in range(6):
        for x, y in batches():
            optimizer.zero_grad()
            (
                loss(net(x), y) + 0.02 * sum(layer.weight.abs().sum() for layer in net.layers)
            ).backward()
            optimizer.step()
    for name, value in net.named_parameters():
        torch.testing.assert_close(state.memory[name], value.detach())
    expected = prune(net, Magnitude(), keep=10)
    assert all(torch.equal(state.masks[name], mask) for name, mask in expected.items())


def test_the_published_penalty_covers_biases_and_normalisation_as_torch_s_autograd_has_it():
    def net() -> nn.Sequential:
        made = nn.Sequential(nn.Linear(2, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 1))
        made = made.double().eval()
        generator = torch.Generator().manual_seed(4)
        with torch.no_grad():
            for parameter in made.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator))
        return made

    mine, theirs = net(), net()
    problem, params = problem_of(mine, loss, batches())
    allowed = prunable(mine)
    pruner = LOMP(epochs=5, lr=0.05, l1=0.03, penalised="all")
    state = pruner.init(problem, params, allowed, pruner.budget(allowed, 9))
    optimizer = torch.optim.SGD(theirs.parameters(), lr=0.05, momentum=0.9)
    for _ in range(5):
        for x, y in batches():
            optimizer.zero_grad()
            penalty = sum(parameter.abs().sum() for parameter in theirs.parameters())
            (loss(theirs(x), y) + 0.03 * penalty).backward()
            optimizer.step()
    for name, value in theirs.named_parameters():
        torch.testing.assert_close(state.memory[name], value.detach())
    weights_alone = LOMP(epochs=5, lr=0.05, l1=0.03).init(
        problem, params, allowed, pruner.budget(allowed, 9)
    )
    for name in ("0.bias", "1.weight", "1.bias", "3.bias"):
        assert not torch.allclose(state.memory[name], weights_alone.memory[name])
    with pytest.raises(
        ValueError, match=r"penalised must be one of .*prunable.*all.*, got 'biases'"
    ):
        LOMP(penalised="biases")  # pyright: ignore[reportArgumentType]


def test_optimal_brain_surgeon_equals_a_plain_loop_on_a_quadratic():
    # The loss |x w - y|^2 has the Hessian 2 x^T x / n exactly, so each step has a closed form.
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(20, 6, generator=generator).double()
    y = torch.randn(20, 1, generator=generator).double()
    net = nn.Linear(6, 1, bias=False).double()
    solution = torch.linalg.lstsq(x, y).solution.T
    with torch.no_grad():
        net.weight.copy_(solution)
    problem, params = problem_of(net, functional.mse_loss, [(x, y)])
    allowed = prunable(net)
    hessian = 2 * x.T @ x / 20
    weights, kept = solution.flatten().clone(), list(range(6))
    for keep in (5, 4, 3, 2, 1):
        inside = torch.tensor(kept)
        inverse = torch.linalg.inv(hessian[inside][:, inside])
        saliency = weights[inside] ** 2 / (2 * inverse.diagonal())
        worst = int(saliency.argmin())
        weights[inside] -= weights[inside][worst] / inverse[worst, worst] * inverse[:, worst]
        weights[kept[worst]] = 0.0
        del kept[worst]
        state = OBS(damping=0.0).init(problem, params, allowed, torch.tensor([keep]))
        assert state.masks["weight"].flatten().nonzero().flatten().tolist() == kept
        torch.testing.assert_close(state.memory["weight"].flatten(), weights)
        # At a minimum of the quadratic, what is left is the best there is on its support.
        best = torch.linalg.lstsq(x[:, kept], y).solution.flatten()
        torch.testing.assert_close(weights[kept], best)


def test_optimal_brain_damage_by_hand():
    # h = (2, 8) for the loss (w x)^2 at x = (1, 2): h w^2 / 2 = 9, 4
    net = nn.Linear(2, 1, bias=False)
    with torch.no_grad():
        net.weight.copy_(torch.tensor([[3.0, -1.0]]))
    batch = (torch.tensor([[1.0, 2.0]]), torch.tensor([[0.0]]))
    found = prune(net, OBD(), keep=1, loss=functional.mse_loss, batches=[batch])
    assert found["weight"].tolist() == [[True, False]]
    with torch.no_grad():
        net.weight.copy_(torch.tensor([[1.5, -1.0]]))  # 2.25, 4: magnitude would choose otherwise
    found = prune(net, OBD(), keep=1, loss=functional.mse_loss, batches=[batch])
    assert found["weight"].tolist() == [[False, True]]


def test_lamp_ranks_all_layers_by_its_score():
    net = model()
    found = prune(net, LAMP(), keep=11)
    problem, params = problem_of(net)
    expected = masks.top(scores.lamp(problem, params, prunable(net)), 11)
    assert all(torch.equal(found[name], mask) for name, mask in expected.items())
    assert all(mask.any() for mask in found.values())


@pytest.mark.parametrize(
    "make",
    [
        lambda: EdgePopup(epochs=0),
        lambda: RareGems(epochs=0),
        lambda: RareGems(freeze=0),
        lambda: LOMP(epochs=0),
        lambda: OBS(at_once=0),
    ],
)
def test_numbers_below_one_are_refused(make):
    with pytest.raises(ValueError, match=r"(epochs|freeze|at_once) must be at least 1, got 0"):
        make()


def test_a_training_that_diverges_is_named():
    net, data = model(), [(1e30 * x, y) for x, y in batches()]
    with pytest.raises(ValueError, match=r"scores of LOMP must be numbers"):
        prune(net, LOMP(epochs=60, lr=1e30), keep=9, loss=squares, batches=data)


def squares(outputs: Tensor, targets: Tensor) -> Tensor:
    return (outputs.squeeze(-1) - targets).square().mean()


def test_lomp_trains_neither_buffers_nor_frozen_layers():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    model[0].register_buffer("scale", torch.ones(4))
    model[1].requires_grad_(False)
    model[2].weight.requires_grad_(False)
    x = torch.randn(12, 3)
    batches = [(x, x[:, :2])]
    result = prune_with_weights(
        model, LOMP(epochs=3), keep=6, loss=nn.functional.mse_loss, batches=batches
    )
    assert list(result.masks) == ["0.weight"]
    for name, value in {**dict(model.named_parameters()), **dict(model.named_buffers())}.items():
        left_alone = name not in ("0.weight", "0.bias", "2.bias")
        assert torch.equal(result.params[name], value) == left_alone, name
