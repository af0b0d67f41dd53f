"""ProsPr: how much a weight matters for the loss after a few steps of training."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from prunelimits.arguments import checked_flag, checked_integer, checked_number
from prunelimits.masks import apply
from prunelimits.modes import in_plain_modes
from prunelimits.scores.derivatives import gradient_of
from prunelimits.scores.gradient import (
    Batch,
    batch_loss,
    check_batches,
    check_real,
    check_some,
    masked,
    trainable,
)
from prunelimits.types import Masks, Params, Problem, Scores

# Every step's graph is kept until the end.
MOST_STEPS = 10_000


@in_plain_modes
@torch.no_grad()
@sdpa_kernel(SDPBackend.MATH)  # the only attention that can be differentiated twice
def prospr(
    problem: Problem,
    params: Params,
    masks: Masks,
    noise: Params | None = None,
    *,
    steps: int = 3,
    lr: float = 0.1,
    momentum: float = 0.9,
    constant_first_step: bool = False,
) -> Scores:
    """`|dL(theta_T) / dc|` at `c = 1`, after [ProsPr](https://arxiv.org/abs/2202.08132).

    Training starts from the weights `c w` and takes `T` steps of SGD with momentum on all
    parameters, step t on batch t; the loss after it, on the next batch, is differentiated by the
    factors `c` through every step. Batches are taken in turn: with fewer than `T + 1` the first
    comes again. With `steps=0` the score is SNIP's. Pruned weights stay zero and have score zero.

    Args:
        problem: Loss and batches.
        params: Parameters and buffers by name. Floating-point ones are trained, but for BatchNorm's
            running statistics.
        masks: The weights that count.
        noise: Not used.
        steps: `T`; the paper's default is 3.
        lr: The learning rate of the steps, that of the training to come.
        momentum: Their momentum.
        constant_first_step: Whether the first step's gradient counts as a constant where there is
            momentum: the published code cuts it off the graph, and so did the published runs. The
            exact meta-gradient is the paper's definition.

    Raises:
        ValueError: If there are no batches, the loss is not one number, the masks do not fit, or
            a number is out of its range.
        TypeError: If a mask is not a bool tensor, or an argument of another kind.

    Examples:
        >>> from prunelimits.problem import problem_of
        >>> batch = (torch.tensor([[1.0]]), torch.tensor([[0.0]]))
        >>> model, mse = torch.nn.Linear(1, 1, bias=False), torch.nn.functional.mse_loss
        >>> problem, params = problem_of(model, mse, [batch])  # the loss is w^2
        >>> params["weight"] = torch.tensor([[3.0]])  # one step: w - 2 lr w = w / 2
        >>> masks = {"weight": torch.tensor([[True]])}
        >>> prospr(problem, params, masks, steps=1, lr=0.25)  # (c w / 2)^2 by c: w^2 / 2
        {'weight': tensor([[4.5000]])}
    """
    steps = checked_integer("steps", steps, 0, MOST_STEPS)
    lr = checked_number("lr", lr, least=0)
    momentum = checked_number("momentum", momentum, least=0, below=1)
    checked_flag("constant_first_step", constant_first_step)
    check_real(params, masks)
    check_some(masks)
    batches = check_batches(problem)
    weights = masked(params, masks)
    others = trainable(problem, params)

    def loss(trained: Params, batch: Batch) -> Tensor:
        return batch_loss(problem, apply({**params, **trained}, masks), batch)

    def loss_after_training(factors: Params) -> Tensor:
        trained = {**others, **{name: factors[name] * weight for name, weight in weights.items()}}
        velocity: Params = {}
        for step in range(steps):
            batch = batches[step % len(batches)]
            gradient = gradient_of(partial(loss, batch=batch), trained, differentiable=True)
            if step:
                velocity = {name: momentum * velocity[name] + g for name, g in gradient.items()}
            elif constant_first_step and momentum:
                velocity = {name: g.detach() for name, g in gradient.items()}
            else:
                velocity = gradient
            trained = {name: value - lr * velocity[name] for name, value in trained.items()}
        return loss(trained, batches[steps % len(batches)])

    meta_gradient = gradient_of(
        loss_after_training, {name: torch.ones_like(weight) for name, weight in weights.items()}
    )
    return {name: value.abs() for name, value in meta_gradient.items()}
