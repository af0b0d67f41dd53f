"""Training a whole ensemble at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from prunelimits.arguments import checked_integer
from prunelimits.modes import in_plain_modes
from prunelimits.pruners import AbstractPruner
from prunelimits.randomness import derive
from prunelimits.training.cost import training_cost
from prunelimits.training.data import check_data, default_loss
from prunelimits.training.engine import AbstractEngine, Evaluation, Loss, Plan
from prunelimits.training.engines import default_engine
from prunelimits.training.ensemble import MLPEnsemble, member_seeds
from prunelimits.training.live_units import without_dead_units
from prunelimits.training.pruned import train_pruned
from prunelimits.training.recipe import Recipe

# Orders of up to so many samples are kept, 64 MB of them at most.
_RECENT_SAMPLES = 1 << 17


@dataclass(frozen=True)
class FitResult:
    """What a training left.

    Attributes:
        ensemble: The trained members with their momentum.
        loss: Mean loss over all the data, float64 `(models,)`.
        accuracy: Share of the data classified right, float64 `(models,)`; 0 for a diverged member,
            otherwise NaN for squared error.
        diverged: Members with a parameter or a loss that is not finite, bool `(models,)`.
        parameter_samples: The cost by the paper's accounting: kept parameters, weights and biases,
            times the samples they were trained on, float64 `(models,)`.
        operations: The cost in floating-point operations, see `training_cost`, float64 `(models,)`.
    """

    ensemble: MLPEnsemble
    loss: Tensor
    accuracy: Tensor
    diverged: Tensor
    parameter_samples: Tensor
    operations: Tensor


@in_plain_modes
def fit(
    ensemble: MLPEnsemble,
    x: Tensor,
    y: Tensor,
    recipe: Recipe | Sequence[Recipe] | None = None,
    *,
    loss: Loss | None = None,
    seed: int = 0,
    start: int = 0,
    stop: int | None = None,
    engine: AbstractEngine | None = None,
    pruner: AbstractPruner | None = None,
    keep: int | Sequence[int] | None = None,
    pruner_seeds: Sequence[int] | None = None,
) -> FitResult:
    """Trains every member on the same batches and measures it on all the data.

    With a pruner, each member is pruned to a number of weights of its own; biases follow the
    weights by `masks.with_biases`. Methods that score with data get the first batches of the
    training, `AbstractPruner.batches` of them.

    Args:
        ensemble: Where to start from; it stays as it is.
        x: Inputs, `(n, inputs)`.
        y: Labels or targets, as `loss` wants them.
        recipe: One for all, or one a member with the same epochs and batch size. None: the
            defaults of `Recipe`.
        loss: The training loss. None: binary cross-entropy for one output, cross-entropy for more.
        seed: Decides the order of the samples in every epoch, and nothing else.
        start: First step of the recipe to take. With `stop`, a training runs in segments: the
            schedule and the order of the samples are those of the whole, momentum is carried in
            the ensemble.
        stop: First step not to take. None: to the end.
        engine: Who computes. None: the fastest that supports the ensemble.
        pruner: Prunes before or during the training, the whole of it: from an ensemble in which
            every weight is kept, without `start` and `stop`.
        keep: How many weights survive: one number, or one a member. After the last round, units
            from which no output can be reached are left out of the training; their parameters
            stay as they are.
        pruner_seeds: One integer a member for the pruner's random numbers. None: from `seed` and
            the member's position.

    Raises:
        ValueError: If data, loss, recipes, steps, engine or budgets do not fit.
        TypeError: If data are not tensors or a recipe is not a `Recipe`.

    Examples:
        >>> from prunelimits.datasets import cubist_spiral
        >>> x, y = cubist_spiral(1000)
        >>> ensemble = MLPEnsemble((2, 16, 16, 16, 1), models=4, seed=0)
        >>> result = fit(ensemble, x, y, Recipe(epochs=1))
        >>> result.accuracy.shape
        torch.Size([4])
    """
    recipes = _one_each(recipe, len(ensemble))
    first = recipes[0]
    loss = loss or default_loss(ensemble.widths[-1])
    x, y = _check_data(ensemble, x, y, loss)
    if first.batch_size > len(x):
        raise ValueError(f"batch_size is {first.batch_size} but the data has {len(x)} samples")
    steps_per_epoch = len(x) // first.batch_size
    steps = first.epochs * steps_per_epoch
    stop = steps if stop is None else stop
    if not 0 <= start <= stop <= steps:
        raise ValueError(
            f"start and stop must satisfy 0 <= start <= stop <= {steps}, got {start} and {stop}"
        )
    # Few recipes serve many members: one schedule each, then an index.
    distinct = list(dict.fromkeys(recipes))
    which = torch.tensor([distinct.index(r) for r in recipes], device="cpu")
    plan = Plan(
        loss=loss,
        batch_size=first.batch_size,
        steps_per_epoch=steps_per_epoch,
        lr=torch.tensor(
            [r.learning_rates() for r in distinct], dtype=torch.float64, device="cpu"
        ).T[:, which],
        momentum=torch.tensor([r.momentum for r in distinct], dtype=torch.float64, device="cpu")[
            which
        ],
        weight_decay=torch.tensor(
            [r.weight_decay for r in distinct], dtype=torch.float64, device="cpu"
        )[which],
        start=start,
        stop=stop,
        order=lambda epoch: sample_order(len(x), seed, epoch),
    )
    engine = _engine(engine, ensemble)
    if pruner is None:
        if keep is not None:
            raise ValueError(f"keep is given, {keep}, without a pruner")
        trained = reduced = engine.train(ensemble, x, y, plan)
        cost = training_cost(ensemble, stop - start, plan.batch_size)
    else:
        if not isinstance(pruner, AbstractPruner):
            raise TypeError(f"pruner must be a pruner, such as SNIP(), got {pruner!r}")
        if not all(bool(mask.all()) for mask in ensemble.masks.values()):
            raise ValueError(
                f"ensemble must have no pruned parameters for a pruner, got {ensemble}"
            )
        if (start, stop) != (0, steps):
            raise ValueError(f"a pruner needs the whole training, got steps {start} to {stop}")
        models = len(ensemble)
        keeps = (
            [keep] * models if isinstance(keep, int) else _one_integer_each("keep", keep, models)
        )
        seeds = _one_integer_each(
            "pruner_seeds", pruner_seeds or member_seeds(seed, models), models
        )
        trained, cost = train_pruned(engine, ensemble, x, y, plan, pruner, keeps, seeds)
        reduced = without_dead_units(trained)
    measured = engine.evaluate(reduced, x, y, loss)
    diverged = diverged_members(trained) | ~measured.loss.isfinite()
    return FitResult(
        ensemble=trained,
        loss=measured.loss,
        accuracy=measured.accuracy.masked_fill(diverged, 0.0),
        diverged=diverged,
        parameter_samples=cost.parameter_samples,
        operations=cost.operations,
    )


@in_plain_modes
def evaluate(
    ensemble: MLPEnsemble,
    x: Tensor,
    y: Tensor,
    *,
    loss: Loss | None = None,
    engine: AbstractEngine | None = None,
) -> Evaluation:
    """Loss and accuracy of every member on any data, without training.

    Raises:
        ValueError: If the data does not fit the ensemble or the loss, or the engine the ensemble.
        TypeError: If data are not tensors.
    """
    loss = loss or default_loss(ensemble.widths[-1])
    x, y = _check_data(ensemble, x, y, loss)
    return _engine(engine, ensemble).evaluate(ensemble, x, y, loss)


def sample_order(samples: int, seed: int, epoch: int) -> Tensor:
    """The order in which an epoch visits the samples: a permutation, int64 `(samples,)`."""
    order = _recent_order if samples <= _RECENT_SAMPLES else _recent_order.__wrapped__
    return order(samples, seed, epoch)


# A search trains thousands of ensembles in the same orders, and torch draws one on a single core.
@lru_cache(maxsize=64)
def _recent_order(samples: int, seed: int, epoch: int) -> Tensor:
    generator = torch.Generator().manual_seed(int(derive(seed, epoch)[0] >> 1))
    return torch.randperm(samples, generator=generator, device="cpu")


def diverged_members(ensemble: MLPEnsemble) -> Tensor:
    """Members that hold a parameter that is NaN or infinite, bool `(models,)`."""
    finite = [value.isfinite().flatten(1).all(1) for value in ensemble.params.values()]
    return ~torch.stack(finite).all(0)


def _check_data(ensemble: MLPEnsemble, x: Tensor, y: Tensor, loss: Loss) -> tuple[Tensor, Tensor]:
    return check_data(
        x,
        y,
        inputs=ensemble.widths[0],
        outputs=ensemble.widths[-1],
        loss=loss,
        dtype=ensemble.dtype,
        device=ensemble.device,
    )


def _engine(engine: AbstractEngine | None, ensemble: MLPEnsemble) -> AbstractEngine:
    if engine is None:
        return default_engine(ensemble)
    if not engine.supports(ensemble):
        raise ValueError(f"engine {engine.name} does not support {ensemble} on {ensemble.device}")
    return engine


def _one_integer_each(name: str, values: Sequence[int] | None, models: int) -> Sequence[int]:
    if values is None or len(values) != models:
        got = None if values is None else len(values)
        raise ValueError(f"{name} must hold one integer for each of {models} members, got {got}")
    for value in values:
        checked_integer(name, value, 0)
    return values


def _one_each(recipe: Recipe | Sequence[Recipe] | None, models: int) -> Sequence[Recipe]:
    if recipe is None or isinstance(recipe, Recipe):
        return [recipe or Recipe()] * models
    if not isinstance(recipe, Sequence) or not all(isinstance(r, Recipe) for r in recipe):
        raise TypeError(f"recipe must be a Recipe or a sequence of them, got {recipe!r}")
    if len(recipe) != models:
        raise ValueError(f"recipe must be one or {models}, one a member, got {len(recipe)}")
    for name in ("epochs", "batch_size"):
        values = sorted({getattr(r, name) for r in recipe})
        if len(values) > 1:
            raise ValueError(f"recipes trained together must have the same {name}, got {values}")
    return recipe
