"""From recipes to a plan: which steps, with which learning rates, on which samples."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor

from prunelimits.arguments import checked_integer, shown
from prunelimits.randomness import derive
from prunelimits.training.engine import Loss, Plan
from prunelimits.training.recipe import Recipe

# Orders of up to so many samples are cached, 64 MB of them at most.
_RECENT_SAMPLES = 1 << 17


def check_batch_size(batch_size: int, samples: int) -> None:
    """Raises if there is no whole batch.

    Raises:
        ValueError: Naming `batch_size`.
    """
    if batch_size > samples:
        raise ValueError(
            f"batch_size must be at most {samples}, the samples to train on, got {batch_size}"
        )


def make_plan(
    recipes: Sequence[Recipe],
    samples: int,
    *,
    loss: Loss,
    seed: int = 0,
    start: int = 0,
    stop: int | None = None,
) -> Plan:
    """The plan for members with these recipes, one each, and so many samples.

    Args:
        recipes: From `one_recipe_each`.
        samples: In the data.
        loss: The training loss.
        seed: Decides the order of the samples in every epoch.
        start: First step to take.
        stop: First step not to take; None: to the end.

    Raises:
        ValueError: If a batch is larger than the data, or the steps are not those of the recipe.
        TypeError: If the seed or a step is not an integer.
    """
    seed, start = checked_integer("seed", seed), checked_integer("start", start)
    first = recipes[0]
    check_batch_size(first.batch_size, samples)
    steps_per_epoch = samples // first.batch_size
    steps = first.epochs * steps_per_epoch
    stop = steps if stop is None else checked_integer("stop", stop)
    if not 0 <= start <= stop <= steps:
        raise ValueError(
            f"start and stop must satisfy 0 <= start <= stop <= {steps}, "
            f"got {shown(start)} and {shown(stop)}"
        )
    # Few recipes serve many members: one schedule each, then an index.
    distinct = {recipe: number for number, recipe in enumerate(dict.fromkeys(recipes))}
    which = torch.tensor([distinct[recipe] for recipe in recipes], device="cpu")
    return Plan(
        loss=loss,
        batch_size=first.batch_size,
        steps_per_epoch=steps_per_epoch,
        lr=_numbers([recipe.learning_rates() for recipe in distinct]).T[:, which],
        momentum=_numbers([recipe.momentum for recipe in distinct])[which],
        weight_decay=_numbers([recipe.weight_decay for recipe in distinct])[which],
        start=start,
        stop=stop,
        order=lambda epoch: sample_order(samples, seed, epoch),
    )


def one_recipe_each(recipe: Recipe | Sequence[Recipe] | None, models: int) -> Sequence[Recipe]:
    """The recipe of every member, from one for all, one each, or None for the defaults.

    Raises:
        ValueError: If there are not as many as members, or their epochs or batch sizes differ.
        TypeError: If one is not a `Recipe`.
    """
    if recipe is None or isinstance(recipe, Recipe):
        return [recipe or Recipe()] * models
    if not isinstance(recipe, Sequence) or not all(isinstance(r, Recipe) for r in recipe):
        raise TypeError(f"recipe must be a Recipe or a sequence of them, got {shown(recipe)}")
    if len(recipe) != models:
        raise ValueError(f"recipe must be one or {models}, one a member, got {len(recipe)}")
    for name in ("epochs", "batch_size"):
        values = sorted({getattr(r, name) for r in recipe})
        if len(values) > 1:
            raise ValueError(f"recipes trained together must have the same {name}, got {values}")
    return recipe


def sample_order(samples: int, seed: int, epoch: int) -> Tensor:
    """The order in which an epoch visits the samples: a permutation, int64 `(samples,)`.

    It may be shared with other trainings: it is read and never written.
    """
    order = _recent_order if samples <= _RECENT_SAMPLES else _recent_order.__wrapped__
    return order(samples, seed, epoch)


# A search trains thousands of ensembles in the same orders, and torch draws one on a single core.
@lru_cache(maxsize=64)
def _recent_order(samples: int, seed: int, epoch: int) -> Tensor:
    generator = torch.Generator("cpu").manual_seed(int(derive(seed, epoch)[0] >> 1))
    return torch.randperm(samples, generator=generator, device="cpu")


def _numbers(values: Sequence[float] | Sequence[Sequence[float]]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64, device="cpu")
