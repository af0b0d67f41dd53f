"""Published methods that prune a dense network during or after its training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from typing_extensions import override

from prunelimits import scores as score
from prunelimits.masks import flatten
from prunelimits.progress import stage, tracked
from prunelimits.pruners.at_init import AtInit
from prunelimits.pruners.base import Category
from prunelimits.pruners.gradual import Gradual
from prunelimits.pruners.learned_mask import LearnedMask
from prunelimits.pruners.nan_checks import check_scores
from prunelimits.pruners.rewind import Rewind
from prunelimits.pruners.selection import concrete, counts, select
from prunelimits.pruners.settings import flag_setting, integer_setting, number_setting
from prunelimits.scores.obd import MOST_PROBES
from prunelimits.types import Masks, Params, Problem, Scores


@dataclass(frozen=True, kw_only=True)
class Magnitude(AtInit):
    """The largest `|w|`, once, of whatever network it is given.

    [Learning both weights and connections](https://arxiv.org/abs/1506.02626).
    """

    category: ClassVar[Category] = "dense to sparse"

    def scores(
        self, problem: Problem, params: Params, masks: Masks, noise: Params | None = None
    ) -> Scores:
        """See `scores.magnitude`."""
        return score.magnitude(problem, params, masks)


@dataclass(frozen=True, kw_only=True)
class LAMP(AtInit):
    """The largest `w^2` beside those of its layer that are larger still.

    [Layer-adaptive sparsity for the magnitude-based pruning](https://arxiv.org/abs/2010.07611).
    """

    category: ClassVar[Category] = "dense to sparse"

    def scores(
        self, problem: Problem, params: Params, masks: Masks, noise: Params | None = None
    ) -> Scores:
        """See `scores.lamp`."""
        return score.lamp(problem, params, masks)


@dataclass(frozen=True, kw_only=True)
class OBD(AtInit):
    """The largest `h_ii w^2 / 2`: optimal brain damage.

    [Optimal brain damage](https://proceedings.neurips.cc/paper/1989/hash/6c9882bbac1c7093bd25041881277658-Abstract.html);
    meant for a trained network.

    Attributes:
        probes: How many random vectors estimate the diagonal; 0 computes it, a product a weight.
        gauss_newton: Whether the diagonal is that of the Gauss-Newton matrix, never negative.
    """

    category: ClassVar[Category] = "dense to sparse"
    needs_data: ClassVar[bool] = True
    probes: int = 0
    gauss_newton: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        integer_setting(self, "probes", 0, MOST_PROBES)
        flag_setting(self, "gauss_newton")

    @property
    @override
    def needs_noise(self) -> bool:
        """Where random vectors estimate the diagonal."""
        return self.probes > 0

    def scores(
        self, problem: Problem, params: Params, masks: Masks, noise: Params | None = None
    ) -> Scores:
        """See `scores.obd`."""
        return score.obd(
            problem, params, masks, noise, probes=self.probes, gauss_newton=self.gauss_newton
        )


@dataclass(frozen=True, kw_only=True)
class OBS(LearnedMask):
    """One weight after the other, the others changed to make up for it: optimal brain surgeon.

    [Second order derivatives for network pruning](https://proceedings.neurips.cc/paper/1992/hash/303ed4c69846ab36c2904d3ba8573050-Abstract.html):
    the weight with the least `w^2 / (2 [H^-1]_ii)` goes, the others take its place as well as they
    can, and `H` is computed anew. Meant for a trained network of up to some thousand weights.

    Attributes:
        at_once: How many weights go before `H` is computed anew.
        damping: What is added to the diagonal of `H`.
        gauss_newton: Whether `H` is the Gauss-Newton matrix.
    """

    category: ClassVar[Category] = "dense to sparse"
    at_once: int = 1
    damping: float = 1e-4
    gauss_newton: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        integer_setting(self, "at_once", 1)
        number_setting(self, "damping", least=0)
        flag_setting(self, "gauss_newton")

    def learn(
        self,
        problem: Problem,
        params: Params,
        masks: Masks,
        budget: Tensor,
        noise: Params | None = None,
    ) -> tuple[Scores, Params]:
        """See `LearnedMask.learn`: how long each weight stayed, and the weights after surgery."""
        left, weights = masks, params
        stayed = {name: torch.zeros_like(params[name]) for name in masks}
        start = counts(masks, budget)
        ends = range(self.at_once, len(flatten(masks)) + self.at_once, self.at_once)
        most = concrete((start - budget).max())
        for gone in tracked(ends if most is None else ends[: -(-most // self.at_once)]):
            if concrete((start - gone + self.at_once - budget).clamp(min=0).sum()) == 0:
                break
            keep = (start - gone).maximum(budget)
            with stage(1, of=2):
                scores = score.obs(
                    problem, weights, left, damping=self.damping, gauss_newton=self.gauss_newton
                )
            check_scores(scores, left, type(self).__name__, problem, weights)
            chosen = select(scores, left, keep, floor=self.floor)
            with stage(2, of=2):
                corrected = score.obs_correction(
                    problem, weights, left, chosen,
                    damping=self.damping, gauss_newton=self.gauss_newton,
                )  # fmt: skip
            weights, left = {**weights, **corrected}, chosen
            stayed = {name: value + left[name] for name, value in stayed.items()}
        return stayed, weights


@dataclass(frozen=True, kw_only=True)
class GMP(Gradual):
    """The largest `|w|`, little by little during training: gradual magnitude pruning.

    [To prune, or not to prune](https://arxiv.org/abs/1710.01878), as
    [Sparsest Models Elude Pruning](https://arxiv.org/abs/2407.04075) runs it: 199 rounds, spread
    over the training.
    """

    def scores(
        self, problem: Problem, params: Params, masks: Masks, noise: Params | None = None
    ) -> Scores:
        """See `scores.magnitude`."""
        return score.magnitude(problem, params, masks)


@dataclass(frozen=True, kw_only=True)
class LTH(Rewind):
    """The largest `|w|` of trained networks, trained again from the start: lottery tickets.

    [The lottery ticket hypothesis](https://arxiv.org/abs/1803.03635), as
    [Sparsest Models Elude Pruning](https://arxiv.org/abs/2407.04075) runs it: five trainings.
    """

    def scores(
        self, problem: Problem, params: Params, masks: Masks, noise: Params | None = None
    ) -> Scores:
        """See `scores.magnitude`."""
        return score.magnitude(problem, params, masks)
