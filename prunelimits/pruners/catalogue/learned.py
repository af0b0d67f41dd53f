"""Published methods that learn what to keep in a training of their own."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar, Literal, TypeAlias, get_args

import torch
from torch import Tensor

from prunelimits import scores as score
from prunelimits.masks import apply
from prunelimits.progress import tracked
from prunelimits.pruners.catalogue.method import Method
from prunelimits.pruners.descent import cosine_rates, sgd_step, single_batches
from prunelimits.pruners.nan_checks import check_differentiable
from prunelimits.pruners.ranking import Ranking
from prunelimits.pruners.schedules import Category, geometric
from prunelimits.pruners.schedules.curves import survivors
from prunelimits.pruners.scopes import Scope
from prunelimits.pruners.scoring import LearnedScore
from prunelimits.pruners.settings import choice_setting, integer_setting, number_setting
from prunelimits.scores.gradient import trainable
from prunelimits.types import Masks, Params, Problem, Scores

Penalised: TypeAlias = Literal["prunable", "all"]


@dataclass(frozen=True, kw_only=True)
class EdgePopup(Method):
    """A subnetwork of the untrained weights, found by training a score for each.

    [What's hidden in a randomly weighted neural network?](https://arxiv.org/abs/1911.13299): the
    network keeps the largest `|s|` of each layer; the gradient of a score is that of its mask,
    `w dL/d(m w) sign(s)`, whether it is kept or not. SGD with momentum, the learning rate along a
    cosine.

    Attributes:
        epochs: Passes over the batches.
        lr: The learning rate at first.
        momentum: Momentum.
        weight_decay: How much scores shrink.
        scope: How the network's layers divide the budget.
    """

    rounds: int = field(default=1, init=False, repr=False)
    epochs: int = 100
    lr: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 1e-4
    scope: Scope = "uniform"

    def __post_init__(self) -> None:
        super().__post_init__()
        integer_setting(self, "epochs", 1)
        number_setting(self, "lr", least=0)
        number_setting(self, "momentum", least=0, below=1)
        number_setting(self, "weight_decay", least=0)

    @property
    def score(self) -> LearnedScore:
        """`|s|`, and the parameters as they are."""
        names = ("epochs", "lr", "momentum", "weight_decay")
        options = {name: getattr(self, name) for name in names}
        return LearnedScore(_popped, needs_noise=True, options=options)


def _popped(
    problem: Problem,
    params: Params,
    masks: Masks,
    budget: Tensor,
    ranking: Ranking,
    noise: Params | None = None,
    *,
    epochs: int,
    lr: float,
    momentum: float,
    weight_decay: float,
) -> tuple[Scores, Params]:  # what a learned score is given, and the numbers of EdgePopup
    check_differentiable(problem, params, masks)
    drawn = score.random(problem, params, masks, noise)
    # As nn.Linear's weights at first: uniform in [-1, 1] / sqrt(fan_in).
    scores = {
        name: (2 * value - 1).to(params[name].dtype) / math.sqrt(value.shape[1:].numel())
        for name, value in drawn.items()
    }

    velocity = None
    for rate in tracked(cosine_rates(lr, epochs)):
        for one in single_batches(problem):
            kept = ranking.keep(_sizes(scores), masks, budget)
            grads = score.loss_gradient(one, params, kept)
            grads = {
                name: grads[name] * params[name] * value.sign() + weight_decay * value
                for name, value in scores.items()
            }
            scores, velocity = sgd_step(scores, grads, velocity, rate=rate, momentum=momentum)
    return _sizes(scores), params


@dataclass(frozen=True, kw_only=True)
class RareGems(Method):
    """A subnetwork of the untrained weights, found by training scores that freeze at zero.

    Gem-Miner of [Rare gems](https://arxiv.org/abs/2202.12002): scores `p` in [0, 1], a weight acts
    where `p >= 1/2`; the gradient of a score is that of its mask, plus `2 l2 p`. After every
    `freeze` epochs the lowest of all scores freeze, the same share each time: after the j-th of J
    times `N (k / N)^(j / J)` are left. What never froze is kept.

    The paper's networks have weights of equal magnitude, `sign(w) gain / sqrt(fan_in)`.

    Attributes:
        epochs: Passes over the batches.
        freeze: How many epochs lie between two freezings.
        lr: The learning rate at first; it falls along a cosine.
        momentum: Momentum.
        l2: The weight of the squared scores in the loss.
    """

    rounds: int = field(default=1, init=False, repr=False)
    epochs: int = 150
    freeze: int = 5
    lr: float = 0.1
    momentum: float = 0.9
    l2: float = 1e-4

    def __post_init__(self) -> None:
        super().__post_init__()
        integer_setting(self, "epochs", 1)
        integer_setting(self, "freeze", 1)
        number_setting(self, "lr", least=0)
        number_setting(self, "momentum", least=0, below=1)
        number_setting(self, "l2", least=0)

    @property
    def score(self) -> LearnedScore:
        """The scores, -1 where frozen, and the parameters as they are."""
        names = ("epochs", "freeze", "lr", "momentum", "l2")
        options = {name: getattr(self, name) for name in names}
        return LearnedScore(_mined, needs_noise=True, options=options)


def _mined(
    problem: Problem,
    params: Params,
    masks: Masks,
    budget: Tensor,
    ranking: Ranking,
    noise: Params | None = None,
    *,
    epochs: int,
    freeze: int,
    lr: float,
    momentum: float,
    l2: float,
) -> tuple[Scores, Params]:  # what a learned score is given, and the numbers of RareGems
    check_differentiable(problem, params, masks)
    drawn = score.random(problem, params, masks, noise)
    scores = {name: value.to(params[name].dtype) for name, value in drawn.items()}
    times = max(1, (epochs - 1) // freeze)
    start, live, velocity = ranking.counts(masks, budget), masks, None
    for epoch, rate in enumerate(tracked(cosine_rates(lr, epochs)), start=1):
        for one in single_batches(problem):
            acting = {name: mask & (scores[name] >= 0.5) for name, mask in live.items()}
            # Frozen scores move on, but nothing looks at them any more.
            grads = score.loss_gradient(one, params, acting)
            grads = {
                name: grads[name] * params[name] + 2 * l2 * value for name, value in scores.items()
            }
            scores, velocity = sgd_step(scores, grads, velocity, rate=rate, momentum=momentum)
            scores = {name: value.clamp(0, 1) for name, value in scores.items()}
        if epoch % freeze == 0 and epoch < epochs:
            keep = survivors(geometric, start, budget, epoch // freeze / times)
            live = ranking.keep(scores, live, keep)
    return {name: scores[name].masked_fill(~mask, -1) for name, mask in live.items()}, params


@dataclass(frozen=True, kw_only=True)
class LOMP(Method):
    """The largest `|w|` of a network trained with `l1 |w|` in its loss.

    L1-regularised one-shot magnitude pruning of
    [How sparse can we prune a deep network](https://arxiv.org/abs/2306.05857). The training is SGD
    with momentum at one learning rate on all parameters, with the absolute values of the prunable
    weights in the loss. The numbers are the paper's for fully connected networks; the penalty of
    its code is `penalised="all"`.

    For a training of your own (BatchNorm, another optimizer), add the same term there and use
    `Magnitude`.

    Attributes:
        epochs: Passes over the batches.
        lr: The learning rate.
        momentum: Momentum.
        l1: The weight of the absolute values in the loss.
        penalised: Of which parameters: `"prunable"`, those that it prunes, or as the published code
            has it `"all"`, biases and the weights and biases of normalisation layers too.
    """

    category: ClassVar[Category] = "dense to sparse"
    rounds: int = field(default=1, init=False, repr=False)
    epochs: int = 200
    lr: float = 0.01
    momentum: float = 0.9
    l1: float = 5e-5
    penalised: Penalised = "prunable"

    def __post_init__(self) -> None:
        super().__post_init__()
        integer_setting(self, "epochs", 1)
        number_setting(self, "lr", least=0)
        number_setting(self, "momentum", least=0, below=1)
        number_setting(self, "l1", least=0)
        choice_setting(self, "penalised", get_args(Penalised))

    @property
    def score(self) -> LearnedScore:
        """`|w|` after the training, and the trained parameters."""
        names = ("epochs", "lr", "momentum", "l1", "penalised")
        options = {name: getattr(self, name) for name in names}
        return LearnedScore(_trained, options=options)


def _trained(
    problem: Problem,
    params: Params,
    masks: Masks,
    budget: Tensor,
    ranking: Ranking,
    noise: Params | None = None,
    *,
    epochs: int,
    lr: float,
    momentum: float,
    l1: float,
    penalised: Penalised,
) -> tuple[Scores, Params]:  # what a learned score is given, and the numbers of LOMP
    check_differentiable(problem, params, masks)
    trained = trainable(problem, apply(params, masks))
    everything = {
        name: masks.get(name, torch.ones_like(value, dtype=torch.bool))
        for name, value in trained.items()
    }

    shrunk = trained if penalised == "all" else masks
    velocity = None
    for _ in tracked(range(epochs)):
        for one in single_batches(problem):
            grads = score.loss_gradient(one, {**params, **trained}, everything)
            shrink = {name: l1 * trained[name].sign() for name in shrunk}
            grads = apply({n: grad + shrink.get(n, 0.0) for n, grad in grads.items()}, masks)
            trained, velocity = sgd_step(trained, grads, velocity, rate=lr, momentum=momentum)
    learned = {**params, **trained}
    return score.magnitude(problem, learned, masks), learned


def _sizes(scores: Scores) -> Scores:
    return {name: value.abs() for name, value in scores.items()}
