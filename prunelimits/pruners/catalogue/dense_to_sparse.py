"""Published methods that prune a dense network during or after its training."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor
from typing_extensions import override

from prunelimits import scores
from prunelimits.masks import flatten
from prunelimits.progress import stage, tracked
from prunelimits.pruners.catalogue.method import Method
from prunelimits.pruners.nan_checks import check_scores
from prunelimits.pruners.ranking import Ranking
from prunelimits.pruners.schedules import Category, Gradual, Rewind
from prunelimits.pruners.scoring import LearnedScore, Score
from prunelimits.pruners.selection import concrete
from prunelimits.pruners.settings import flag_setting, integer_setting, number_setting
from prunelimits.scores.obd import MOST_PROBES
from prunelimits.types import Masks, Params, Problem, Scores


@dataclass(frozen=True, kw_only=True)
class Magnitude(Method):
    """The largest `|w|`, once, of whatever network it is given.

    [Learning both weights and connections](https://arxiv.org/abs/1506.02626).
    """

    category: ClassVar[Category] = "dense to sparse"

    @property
    def score(self) -> Score:
        """`scores.magnitude`."""
        return Score(scores.magnitude)


@dataclass(frozen=True, kw_only=True)
class LAMP(Method):
    """The largest `w^2` beside those of its layer that are larger still.

    [Layer-adaptive sparsity for the magnitude-based pruning](https://arxiv.org/abs/2010.07611).
    """

    category: ClassVar[Category] = "dense to sparse"

    @property
    def score(self) -> Score:
        """`scores.lamp`."""
        return Score(scores.lamp)


@dataclass(frozen=True, kw_only=True)
class OBD(Method):
    """The largest `h_ii w^2 / 2`: optimal brain damage.

    [Optimal brain damage](https://proceedings.neurips.cc/paper/1989/hash/6c9882bbac1c7093bd25041881277658-Abstract.html);
    meant for a trained network.

    Attributes:
        probes: How many random vectors estimate the diagonal; 0 computes it, a product a weight.
        gauss_newton: Whether the diagonal is that of the Gauss-Newton matrix, never negative.
    """

    category: ClassVar[Category] = "dense to sparse"
    probes: int = 0
    gauss_newton: bool = False

    def __post_init__(self) -> None:
        integer_setting(self, "probes", 0, MOST_PROBES)
        super().__post_init__()
        flag_setting(self, "gauss_newton")

    @property
    def score(self) -> Score:
        """`scores.obd`, with noise where random vectors estimate the diagonal."""
        return Score(
            scores.obd,
            needs_data=True,
            needs_noise=self.probes > 0,
            options={"probes": self.probes, "gauss_newton": self.gauss_newton},
        )


@dataclass(frozen=True, kw_only=True)
class OBS(Method):
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
    rounds: int = field(default=1, init=False, repr=False)
    at_once: int = 1
    damping: float = 1e-4
    gauss_newton: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        integer_setting(self, "at_once", 1)
        number_setting(self, "damping", least=0)
        flag_setting(self, "gauss_newton")

    @property
    def score(self) -> LearnedScore:
        """How long each weight stayed, and the weights after surgery."""
        names = ("at_once", "damping", "gauss_newton")
        return LearnedScore(_surgery, options={name: getattr(self, name) for name in names})


def _surgery(
    problem: Problem,
    params: Params,
    masks: Masks,
    budget: Tensor,
    ranking: Ranking,
    noise: Params | None = None,
    *,
    at_once: int,
    damping: float,
    gauss_newton: bool,
) -> tuple[Scores, Params]:  # what a learned score is given, and OBS's three numbers
    left, weights = masks, params
    stayed = {name: torch.zeros_like(params[name]) for name in masks}
    start = ranking.counts(masks, budget)
    ends = range(at_once, len(flatten(masks)) + at_once, at_once)
    most = concrete((start - budget).max())
    for gone in tracked(ends if most is None else ends[: -(-most // at_once)]):
        if concrete((start - gone + at_once - budget).clamp(min=0).sum()) == 0:
            break
        keep = (start - gone).maximum(budget)
        with stage(1, of=2):
            found = scores.obs(problem, weights, left, damping=damping, gauss_newton=gauss_newton)
        check_scores(found, left, "OBS", problem, weights)
        chosen = ranking.keep(found, left, keep)
        with stage(2, of=2):
            corrected = scores.obs_correction(
                problem, weights, left, chosen, damping=damping, gauss_newton=gauss_newton
            )
        weights, left = {**weights, **corrected}, chosen
        stayed = {name: value + left[name] for name, value in stayed.items()}
    return stayed, weights


@dataclass(frozen=True, kw_only=True)
class _GradualMagnitude(Method):
    """What the two below share: magnitudes, along a cubic curve."""

    category: ClassVar[Category] = "dense to sparse"
    rounds: int = 199
    until: float

    def __post_init__(self) -> None:
        number_setting(self, "until", least=0, most=1)
        if not self.until:
            raise ValueError(f"until must be above 0, got {self.until}: rounds need some training")
        super().__post_init__()

    @property
    def score(self) -> Score:
        """`scores.magnitude`."""
        return Score(scores.magnitude)

    @property
    @override
    def schedule(self) -> Gradual:
        """Along a cubic curve."""
        return Gradual(rounds=self.rounds, end=float(self.until))


@dataclass(frozen=True, kw_only=True)
class GMP(_GradualMagnitude):
    """The largest `|w|`, little by little during training: gradual magnitude pruning.

    [To prune, or not to prune](https://arxiv.org/abs/1710.01878), as
    [Sparsest Models Elude Pruning](https://arxiv.org/abs/2407.04075) runs it: 199 rounds, spread
    over the training.

    Attributes:
        rounds: How often to prune in a training.
        until: The share of the training after which the last round falls.
    """

    until: float = 199 / 200


@dataclass(frozen=True, kw_only=True)
class EarlyGMP(_GradualMagnitude):
    """GMP that is done early: what is left has most of the training to recover.

    As [To prune, or not to prune](https://arxiv.org/abs/1710.01878), but for the time after the
    last cut, which is not published. `GMP` makes that cut when hardly a step is left; the same cuts
    in the first 15 % cost a third and leave more accurate networks, see the page on real tasks.
    0.15 is what the choosing rows of real tasks preferred of 0.05, 0.15, 0.3, 0.5, 0.7 and 0.995:
    few weights want it earlier, many later.

    Attributes:
        rounds: How often to prune in a training.
        until: The share of the training after which the last round falls.

    Examples:
        >>> EarlyGMP(rounds=3).update_steps(1000)
        [50, 100, 150]
    """

    until: float = 0.15


@dataclass(frozen=True, kw_only=True)
class LTH(Method):
    """The largest `|w|` of trained networks, trained again from the start: lottery tickets.

    [The lottery ticket hypothesis](https://arxiv.org/abs/1803.03635), as
    [Sparsest Models Elude Pruning](https://arxiv.org/abs/2407.04075) runs it: five trainings.

    Attributes:
        rounds: How often to prune: one training more than that.
    """

    category: ClassVar[Category] = "dense to sparse"
    rounds: int = 4
    until: float = field(default=1.0, init=False, repr=False)

    @property
    def score(self) -> Score:
        """`scores.magnitude`."""
        return Score(scores.magnitude)

    @property
    @override
    def schedule(self) -> Rewind:
        """After each training, back to the start."""
        return Rewind(rounds=self.rounds)
