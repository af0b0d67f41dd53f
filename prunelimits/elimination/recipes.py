"""How to train where the caller does not say: by how many samples there are."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from prunelimits.training import Recipe

# A pass over the data takes at least so many steps, and a training at least so many in all.
_STEPS_A_PASS = 8
_DENSE_STEPS = 800
_RECOVERY_STEPS = 160


class Recipes(NamedTuple):
    """The two trainings of an elimination.

    Attributes:
        dense: Of the networks at the start.
        recovery: After something was removed. It has a small learning rate: with one as large as
            the dense training's, a small network loses what it has learnt.
    """

    dense: Recipe
    recovery: Recipe


LARGE = Recipes(Recipe(epochs=10), Recipe(epochs=5, batch_size=32, lr=0.01))
"""For data of tens of thousands of samples: chosen by measurement on the Cubist Spiral."""


def fitting_recipes(samples: int) -> Recipes:
    """`LARGE`, adapted where there are few samples.

    Batches have at most an eighth of the samples, so that a pass takes at least 8 steps; and there
    are at least as many passes as make up 800 steps of the dense training and 160 of a recovery.
    From 10,240 samples on (80 batches of 128 a pass, 10 passes), this changes nothing.

    Examples:
        >>> fitting_recipes(50_000) == LARGE
        True
        >>> [(recipe.epochs, recipe.batch_size) for recipe in fitting_recipes(105)]
        [(100, 13), (20, 13)]
    """
    return Recipes(
        _fitting(LARGE.dense, samples, _DENSE_STEPS),
        _fitting(LARGE.recovery, samples, _RECOVERY_STEPS),
    )


def _fitting(recipe: Recipe, samples: int, steps: int) -> Recipe:
    batch_size = max(1, min(recipe.batch_size, samples // _STEPS_A_PASS))
    a_pass = samples // batch_size
    return replace(recipe, batch_size=batch_size, epochs=max(recipe.epochs, -(-steps // a_pass)))
