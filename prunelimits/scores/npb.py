"""Node-path balance: masks with many paths through the network that leave out few of its nodes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from typing_extensions import override

from prunelimits.arguments import checked_number, checked_tensor
from prunelimits.modes import in_plain_modes
from prunelimits.progress import stage
from prunelimits.scores.balance import balanced_mask
from prunelimits.scores.gradient import (
    check_batches,
    check_noise,
    check_outputs,
    check_real,
    check_some,
)
from prunelimits.scores.layer_inputs import LayerInputs, check_followed, check_matrices, divided
from prunelimits.scores.synflow import double, one_input
from prunelimits.scores.uses import Use, Watch
from prunelimits.types import Masks, Params, Problem
from prunelimits.versions import quiet_vmap


@in_plain_modes
@torch.no_grad()
def npb(
    problem: Problem,
    params: Params,
    masks: Masks,
    budget: Tensor,
    noise: Params | None = None,
    *,
    alpha: float = 0.01,
    beta: float = 1.0,
) -> Masks:
    """The masks of node-path balancing, layer by layer from the inputs on.

    From [Towards data-agnostic pruning at
    initialization](https://openreview.net/forum?id=xdOoCWCYaY). With P the number of paths that
    arrive at each input of a layer through the masks before it, the layer's mask is the best of its
    size by

        alpha nodes / all nodes + (1 - alpha) paths / most paths + beta kernels / weights

    where *nodes* are the inputs and outputs with a weight (here only inputs that a path reaches),
    *paths* the sum of P over the weights, and *kernels* the pairs of channels with a weight: for
    linear layers that is a constant. The paper gives this to a solver of integer programs. It needs
    none, see `balanced_mask`.

    Neither weights nor data matter. Activations and normalisations let every path pass.

    Args:
        problem: Only the shape of the first batch's inputs is used; the loss is not.
        params: Parameters and buffers by name.
        masks: The weights that may be kept.
        budget: How many weights of each layer are kept, in the order of the masks: int64,
            `(layers,)`.
        noise: Uniform in [0, 1), shaped like the masks: which outputs, among equals.
        alpha: How much nodes count beside paths, 0 to 1.
        beta: How much kernels count.

    Raises:
        ValueError: If there are no batches, masks, budget or noise do not fit, there are more paths
            than numbers, or what comes in at a weight is not known; see `layer_inputs`.
        TypeError: If a mask is not a bool tensor, or the budget is not int64.

    Examples:
        >>> from prunelimits.problem import problem_of
        >>> model = torch.nn.Sequential(torch.nn.Linear(4, 2), torch.nn.Linear(2, 2))
        >>> problem, params = problem_of(model, batches=[(torch.zeros(5, 4), torch.zeros(5))])
        >>> masks = {n: torch.ones_like(params[n]).bool() for n in ("0.weight", "1.weight")}
        >>> noise = {name: torch.rand(mask.shape) for name, mask in masks.items()}
        >>> found = npb(problem, params, masks, torch.tensor([3, 3]), noise)
        >>> found["0.weight"].sum(1).sort().values, found["1.weight"].sum().item()
        (tensor([1, 2]), 3)
    """
    settings = {
        "alpha": checked_number("alpha", alpha, least=0, most=1),
        "beta": checked_number("beta", beta, least=0),
    }
    check_batches(problem)
    check_outputs(problem, "NPB")
    check_real(params, masks)
    check_some(masks)
    check_matrices(masks)
    quotas = _quotas(budget, masks)
    drawn, found = check_noise(noise, masks), dict[str, Tensor]()

    def choose(use: Use) -> Tensor:
        name = use.name
        if name not in found:
            with stage(len(found) + 1, of=len(masks)):
                found[name] = _layer_mask(use, masks[name], quotas[name], drawn[name], settings)
        return found[name].double()

    ones = {name: _one(name, value) for name, value in params.items()}
    watched = {name: ones[name] for name in masks}
    watch = Watch(watched, choose)
    inputs = one_input(check_batches(problem)[0][0])
    with _LettingThrough(), watch:
        problem.apply({**ones, **watched}, inputs)
    check_followed(watch.unknown, masks, set(found))
    return {name: found[name] for name in masks}


def _layer_mask(
    use: Use, allowed: Tensor, quota: Tensor, noise: Tensor, settings: dict[str, float]
) -> Tensor:
    """The mask of a layer, by the paths that arrive; each group of outputs has one of its own."""
    paths = torch.stack([torch.stack([rows.sum(0) for rows in part]) for part in use.inputs]).sum(0)
    if _any(~paths.isfinite()):
        raise ValueError(f"masks names {use.name!r}, to which there are more paths than numbers")
    layer = LayerInputs(paths.clamp(min=0), use.flipped)
    size = 1 if use.flipped else allowed[0, 0].numel()
    groups, numbers = (layer.rows(value).unflatten(-1, (-1, size)) for value in (allowed, noise))
    parts = zip(layer.sums, groups, divided(quota, groups), numbers, strict=True)
    with quiet_vmap():
        chosen = [
            balanced_mask(counts.unflatten(0, (-1, size)).mean(1), *rest, **settings)
            for counts, *rest in parts
        ]
    return layer.like(torch.stack(chosen).flatten(-2), allowed)


def _one(name: str, value: Tensor) -> Tensor:
    """What stands for a parameter or buffer: 1, as every path counts 1, or 0 for what shifts."""
    if not value.is_floating_point():
        return value
    is_shift = name.endswith(("bias", "running_mean"))
    return torch.full_like(double(value), 0.0 if is_shift else 1.0)


def _quotas(budget: object, masks: Masks) -> dict[str, Tensor]:
    """How many weights of each layer are kept, checked where values can be read."""
    numbers = checked_tensor("budget", budget)
    if numbers.dtype != torch.int64:
        raise TypeError(f"budget must be int64, got {numbers.dtype}")
    if numbers.shape != (len(masks),):
        raise ValueError(f"budget must have shape ({len(masks)},), got {tuple(numbers.shape)}")
    most = torch.stack([mask.sum() for mask in masks.values()])
    if _any((numbers < 0) | (numbers > most.to(numbers.device))):
        raise ValueError(f"budget must be between 0 and {most.tolist()}, got {numbers.tolist()}")
    return dict(zip(masks, numbers, strict=True))


def _any(values: Tensor) -> bool:
    """Whether one is True; False under `torch.vmap`, where no value can be read."""
    try:
        return bool(values.any())
    except RuntimeError:
        return False


_PASSED: frozenset[Any] = frozenset({
    functional.batch_norm, functional.layer_norm, functional.group_norm, functional.instance_norm,
    torch.relu, Tensor.relu, functional.relu, functional.relu6, functional.leaky_relu,
    functional.gelu, functional.silu, functional.elu, functional.selu, functional.celu,
    functional.softplus, functional.hardswish, functional.hardtanh, functional.mish,
    torch.tanh, Tensor.tanh, functional.tanh, torch.sigmoid, Tensor.sigmoid, functional.sigmoid,
    functional.rms_norm,
})  # fmt: skip


class _LettingThrough(TorchFunctionMode):
    """Activations and normalisations give what they are given."""

    @override
    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        named = kwargs or {}
        if func in _PASSED:
            return args[0] if args else named["input"]
        return func(*args, **named)
