"""Training a whole ensemble at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import overload

import torch
from torch import Tensor

from prunelimits.arguments import checked_instance, checked_integers
from prunelimits.modes import in_plain_modes
from prunelimits.pruners import AbstractPruner, Keep, Part
from prunelimits.pruners.parts import checked_parts
from prunelimits.training.cost import Cost, training_cost
from prunelimits.training.data import check_data, default_loss
from prunelimits.training.engine import AbstractEngine, Evaluation, Loss, Training
from prunelimits.training.engines import default_engine
from prunelimits.training.ensemble import MLPEnsemble
from prunelimits.training.initialisation import member_seeds
from prunelimits.training.live_units import without_dead_units
from prunelimits.training.margins import accuracy_beyond, checked_margin
from prunelimits.training.plan import make_plan, one_recipe_each
from prunelimits.training.pruned import one_keep_each, prunable_of, train_pruned
from prunelimits.training.recipe import Recipe


@dataclass(frozen=True)
class FitResult:
    """The trained ensemble, what it reaches, and what the training cost.

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

    def __repr__(self) -> str:
        widths = "-".join(map(str, self.ensemble.widths))
        best, worst = float(self.accuracy.max()), float(self.accuracy.min())
        return (
            f"<FitResult: {len(self.ensemble):,} networks {widths}, accuracy {worst:.2%} to "
            f"{best:.2%}, loss {float(self.loss.min()):.4g} at least, "
            f"{int(self.diverged.sum())} diverged>"
        )


@overload
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
) -> FitResult: ...


@overload
def fit(
    ensemble: MLPEnsemble,
    x: Tensor,
    y: Tensor,
    recipe: Recipe | Sequence[Recipe] | None = None,
    *,
    loss: Loss | None = None,
    seed: int = 0,
    engine: AbstractEngine | None = None,
    pruner: AbstractPruner,
    keep: Keep | Sequence[Keep] | None = None,
    include: Iterable[Part] = (),
    ignore: Iterable[Part] = (),
    pruner_seeds: Sequence[int] | None = None,
) -> FitResult: ...


# Two functions behind one name: a training, or a part of one, and a training with a pruner. Users
# add a pruner to the call that they have; which arguments belong together, the overloads say.
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
    keep: Keep | Sequence[Keep] | None = None,
    include: Iterable[Part] = (),
    ignore: Iterable[Part] = (),
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
        keep: Only with a pruner: how many weights survive, one number or one a member, or numbers
            by layer as in `prune`, naming the same layers for all. After the last round, units from
            which no output can be reached are left out of the training; their parameters stay as
            they are.
        include: Only with a pruner: as in `prune`, of one member, such as `["layers.0.bias"]`;
            biases that are named do not follow the weights.
        ignore: Only with a pruner: as in `prune`; these weights stay whole and do not count.
        pruner_seeds: Only with a pruner: one integer a member for its random numbers. None: from
            `seed` and the member's position.

    Raises:
        ValueError: If data, loss, recipes, steps, engine or budgets do not fit.
        TypeError: If an argument is of another kind.

    Examples:
        >>> from prunelimits.datasets import cubist_spiral
        >>> x, y = cubist_spiral(1000)
        >>> ensemble = MLPEnsemble((2, 16, 16, 16, 1), models=4, seed=0)
        >>> result = fit(ensemble, x, y, Recipe(epochs=1))
        >>> result.accuracy.shape
        torch.Size([4])
    """
    loss, engine = _checked_means(ensemble, loss, engine)
    recipes = one_recipe_each(recipe, len(ensemble))
    x, y = _check_data(ensemble, x, y, loss)
    plan = make_plan(recipes, len(x), loss=loss, seed=seed, start=start, stop=stop)
    training = Training(engine, x, y, plan)
    if pruner is None:
        given = {"keep": keep, "include": include or None, "ignore": ignore or None}
        for name, value in {**given, "pruner_seeds": pruner_seeds}.items():
            if value is not None:
                raise ValueError(f"{name} is given without a pruner")
        return _fit(ensemble, training)
    steps = len(plan.lr) * plan.steps_per_epoch
    if (plan.start, plan.stop) != (0, steps):
        raise ValueError(
            "start and stop must be those of the whole training for a pruner, "
            f"got {plan.start} and {plan.stop} of {steps} steps"
        )
    if pruner_seeds is None:
        pruner_seeds = member_seeds(seed, len(ensemble))
    parts = checked_parts("include", include), checked_parts("ignore", ignore)
    return _fit_pruned(ensemble, training, pruner, keep, parts, pruner_seeds)


def _fit(ensemble: MLPEnsemble, training: Training) -> FitResult:
    plan = training.plan
    trained = training.engine.train(ensemble, training.x, training.y, plan)
    cost = training_cost(ensemble, plan.stop - plan.start, plan.batch_size)
    return _measured(trained, trained, training, cost)


def _fit_pruned(
    ensemble: MLPEnsemble,
    training: Training,
    pruner: AbstractPruner,
    keep: Keep | Sequence[Keep] | None,
    parts: tuple[Iterable[Part], Iterable[Part]],
    seeds: Sequence[int],
) -> FitResult:
    checked_instance("pruner", pruner, AbstractPruner, "a pruner, such as SNIP()")
    if not all(bool(mask.all()) for mask in ensemble.masks.values()):
        raise ValueError(f"ensemble must have no pruned parameters for a pruner, got {ensemble}")
    keeps = one_keep_each(pruner, keep, len(ensemble))
    seeds = checked_integers("pruner_seeds", seeds, length=len(ensemble))
    names = prunable_of(ensemble, *parts)
    trained, cost = train_pruned(ensemble, training, pruner, keeps, names, seeds)
    return _measured(trained, without_dead_units(trained), training, cost)


def _measured(
    trained: MLPEnsemble, alike: MLPEnsemble, training: Training, cost: Cost
) -> FitResult:
    """The result, measured on `alike`: an ensemble of the same functions, maybe a smaller one."""
    measured = training.engine.evaluate(alike, training.x, training.y, training.plan.loss)
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
    margin: float = 0.0,
) -> Evaluation:
    """Loss and accuracy of every member on any data, without training.

    Without a margin a sample is right as in the paper: for one output, class 1 where the logit is
    above zero, class 0 otherwise, so that a logit of exactly zero counts for class 0. With a
    margin, a sample is right only if its logits are clear of a tie: with s the standard deviation
    of the member's logits over all samples (and outputs), one of class 1 counts if its logit is
    above `margin` s and one of class 0 if it is below -`margin` s. For several outputs the logit of
    its class has to exceed every other by more than `margin` s. The loss is that without a margin.

    Args:
        ensemble: What is measured.
        x: Inputs, `(n, inputs)`.
        y: Labels or targets, as `loss` wants them.
        loss: As in `fit`.
        engine: As in `fit`.
        margin: In standard deviations of the logits; at least 0, which is no margin, and 0 for
            squared error.

    Raises:
        ValueError: If the data does not fit the ensemble or the loss, the engine the ensemble, or
            `margin` is below 0, or above 0 for squared error.
        TypeError: If an argument is of another kind.

    Examples:
        >>> params = {"layers.0.weight": torch.ones(1, 1, 1), "layers.0.bias": torch.zeros(1, 1)}
        >>> line = MLPEnsemble.from_params((1, 1), params)
        >>> x, y = torch.tensor([[-1.0], [0.0], [0.1], [1.0]]), torch.tensor([0, 0, 1, 1])
        >>> evaluate(line, x, y).accuracy.item(), evaluate(line, x, y, margin=0.2).accuracy.item()
        (1.0, 0.5)
    """
    loss, engine = _checked_means(ensemble, loss, engine)
    x, y = _check_data(ensemble, x, y, loss)
    margin = checked_margin(margin, loss)
    measured = engine.evaluate(ensemble, x, y, loss)
    if margin:
        accuracy = accuracy_beyond(margin, ensemble, x, y, loss, engine)
        measured = replace(measured, accuracy=accuracy)
    return measured


def diverged_members(ensemble: MLPEnsemble) -> Tensor:
    """Members that hold a parameter that is NaN or infinite, bool `(models,)`."""
    finite = [value.isfinite().flatten(1).all(1) for value in ensemble.params.values()]
    return ~torch.stack(finite).all(0)


def _checked_means(
    ensemble: MLPEnsemble, loss: Loss | None, engine: AbstractEngine | None
) -> tuple[Loss, AbstractEngine]:
    """The loss and the engine, chosen where the caller chose none."""
    checked_instance("ensemble", ensemble, MLPEnsemble, "an MLPEnsemble")
    if engine is None:
        engine = default_engine(ensemble)
    elif not checked_instance(
        "engine", engine, AbstractEngine, "an engine, such as TorchEngine()"
    ).supports(ensemble):
        raise ValueError(f"engine {engine.name} does not support {ensemble} on {ensemble.device}")
    return default_loss(ensemble.widths[-1]) if loss is None else loss, engine


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
