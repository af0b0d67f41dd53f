"""What a method sees of a model at once: the task, the weights that may be kept, the noise."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from prunelimits.arguments import checked_callable, checked_generator, checked_instance
from prunelimits.masks import check_masks
from prunelimits.problem import problem_of
from prunelimits.progress import OnProgress, reporting
from prunelimits.pruners.nan_checks import check_weights
from prunelimits.pruners.noise import draw_noise
from prunelimits.pruners.parts import Part
from prunelimits.pruners.prunable import prunable
from prunelimits.pruners.pruner import AbstractPruner
from prunelimits.scores.gradient import check_batches, check_real
from prunelimits.sharding import sharded_names
from prunelimits.structure import Normalise, Structure
from prunelimits.types import Masks, Params, Problem


class PruningTask(NamedTuple):
    """What `AbstractPruner.init` is given beside a budget; see there."""

    problem: Problem
    params: Params
    allowed: Masks
    noise: Params | None


@contextmanager
def task_of(
    pruner: AbstractPruner,
    model: nn.Module,
    loss: Callable[[Any, Any], Tensor] | None,
    batches: Iterable[Any],
    step: Callable[[nn.Module, Any], Tensor] | None,
    *,
    include: Iterable[Part],
    ignore: Iterable[Part],
    masks: Masks | None,
    normalise: Normalise | None,
    generator: torch.Generator | None,
    on_progress: OnProgress | None,
) -> Generator[PruningTask]:  # what `prune` and its kin are given, passed on as it is
    """The task of a method, checked; the global random state is as it was when the block ends."""
    check_can_run(pruner, model)
    if on_progress is not None:
        checked_callable("on_progress", on_progress, "a function or None")
    allowed = allowed_of(prunable(model, ignore, include), masks)
    # A data loader draws from the global random state when it starts.
    with torch.no_grad(), torch.random.fork_rng(cuda_devices(allowed)):
        problem, params = problem_of(
            model, loss, batches, step=step, normalise=normalise or pruner.normalise
        )
        check_needs(pruner, problem, loss, step)
        check_real(params, allowed)
        check_weights(params, allowed)
        checked_generator("generator", generator)
        noise = draw_noise(allowed, generator) if pruner.needs_noise else None
        with reporting(on_progress):
            yield PruningTask(problem, params, allowed, noise)


def check_needs(
    pruner: AbstractPruner,
    problem: Problem,
    loss: Callable[[Any, Any], Tensor] | None,
    step: Callable[[nn.Module, Any], Tensor] | None,
) -> None:
    """Raises `ValueError` if a method that scores with data has no loss or no batches."""
    if not pruner.needs_data:
        return
    name = pruner.name
    if loss is None and step is None:
        raise ValueError(f"loss is needed by {name}, got None")
    if not problem.batches:
        raise ValueError(f"batches must hold at least one pair (x, y) for {name}, got none")
    check_batches(problem)


def check_can_run(pruner: AbstractPruner, model: nn.Module) -> None:
    """Raises if a method scores with data, and the model cannot be run for it.

    Raises:
        ValueError: If it is sharded over processes.
        TypeError: If it holds something that cannot be copied.
    """
    checked_instance("model", model, nn.Module, "an nn.Module")
    if pruner.needs_data and sharded_names(model):
        raise ValueError(
            f"{pruner.name} runs the model, which is sharded over processes (DTensor): "
            "prune it before it is sharded, and attach the masks afterwards"
        )
    if pruner.needs_data:
        Structure(model, "running").check()


def allowed_of(dense: Masks, masks: Masks | None) -> Masks:
    """What may be kept: all of `dense` but what `masks` prune, on the devices of the weights.

    Raises:
        ValueError: If a mask names no prunable weight or has another shape.
        TypeError: If a mask is not a bool tensor.
    """
    check_masks(dense, masks or {})
    return {name: (masks or {}).get(name, mask).to(mask.device) for name, mask in dense.items()}


def cuda_devices(masks: Masks) -> list[torch.device]:
    """The CUDA devices that masks are on."""
    devices = {mask.device for mask in masks.values()}
    return [device for device in devices if device.type == "cuda"]
