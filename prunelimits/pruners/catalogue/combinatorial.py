"""Published methods that choose weights together, by what they do together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from prunelimits.masks import apply, flatten, unflatten
from prunelimits.progress import stage, tracked
from prunelimits.pruners.catalogue.method import Method
from prunelimits.pruners.ranking import Ranking
from prunelimits.pruners.schedules import Category, geometric
from prunelimits.pruners.schedules.curves import survivors
from prunelimits.pruners.scoring import LearnedScore
from prunelimits.pruners.selection import concrete, grouped
from prunelimits.pruners.settings import flag_setting, integer_setting, number_setting
from prunelimits.scores.fisher import sample_gradients
from prunelimits.scores.sparse_regression import Choice, SparseRegression
from prunelimits.types import Masks, Params, Problem, Scores

# Weights that are tried in vain, one after the other, before the search ends.
_FAILURES = 20


@dataclass(frozen=True, kw_only=True)
class CHITA(Method):
    """The weights that are best together by the Fisher matrix, at their best values.

    The problem of [Fast as CHITA](https://arxiv.org/abs/2302.14623): the loss to second order, with
    the empirical Fisher matrix of some samples for the Hessian, over all networks with k weights;
    see `SparseRegression`. First weights go in rounds, those whose loss is least, as in Optimal
    Brain Surgeon, the others at their best values after each. Then weights are exchanged while that
    helps, as in the [Combinatorial Brain Surgeon](https://arxiv.org/abs/2203.04466), here with the
    best values of the others counted in: the weight outside that helps most comes in, the one that
    costs least in its place goes. (The paper of the problem thresholds gradient steps instead.)

    Meant for a trained network; memory is that of `samples` gradients in float64. The weights that
    stay are changed: `prune_with_weights` gives them.

    Attributes:
        samples: At most how many samples' gradients make the matrix.
        damping: What is added to its diagonal: how much weights stay what they were.
        stages: In how many rounds weights go: after round r of R `N (k / N)^(r / R)` are left.
        swaps: How many exchanges are tried; the search ends after 20 in vain.
        renew: Whether the matrix is computed anew before each round, at the network of then.
        first_order: Whether the gradient counts too. Of a network that fits its samples the step
            it leads to is far too long.
    """

    category: ClassVar[Category] = "dense to sparse"
    rounds: int = field(default=1, init=False, repr=False)
    samples: int = 500
    damping: float = 1e-4
    stages: int = 15
    swaps: int = 200
    renew: bool = True
    first_order: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        integer_setting(self, "samples", 1)
        number_setting(self, "damping", above=0)
        integer_setting(self, "stages", 1)
        integer_setting(self, "swaps", 0)
        flag_setting(self, "renew")
        flag_setting(self, "first_order")

    @property
    def score(self) -> LearnedScore:
        """1 for what is kept, and the weights at their best values."""
        names = ("samples", "damping", "stages", "swaps", "renew", "first_order")
        options = {name: getattr(self, name) for name in names}
        return LearnedScore(_together, chooses=True, options=options)


@torch.no_grad()
def _together(
    problem: Problem,
    params: Params,
    masks: Masks,
    budget: Tensor,
    ranking: Ranking,
    noise: Params | None = None,
    *,
    samples: int,
    damping: float,
    stages: int,
    swaps: int,
    renew: bool,
    first_order: bool,
) -> tuple[Scores, Params]:  # what a learned score is given, and the numbers of CHITA
    def around(weights: Params) -> SparseRegression:
        """The loss to second order around a network, by all the weights that may be kept."""
        flat = torch.cat([weights[name].flatten().double() for name in masks])
        gradients = sample_gradients(problem, weights, masks, samples=samples)
        return SparseRegression(gradients, flat, damping=damping, first_order=first_order)

    shapes = {name: mask.shape for name, mask in masks.items()}
    weights, kept, start = apply(params, masks), masks, ranking.counts(masks, budget)
    task = around(weights)
    among = flatten(kept)
    choice = task.best(among, among)
    for number in range(1, stages + 1):
        with stage(number, of=stages + 1):
            if renew and number > 1:
                weights = {**weights, **_values(choice, weights, shapes)}
                task = around(weights)
                choice = task.best(flatten(kept), flatten(kept))
            losses = unflatten(task.losses(choice), shapes)
            left = survivors(geometric, start, budget, number / stages)
            kept = ranking.keep(losses, kept, left)
            # What is exchanged afterwards may be any; a new matrix needs the values alone.
            last, none = number == stages, torch.zeros_like(among)
            wanted = among if last else none if renew else flatten(kept)
            choice = task.best(flatten(kept), wanted)
    groups = grouped(masks, budget, ranking.groups)
    with stage(stages + 1, of=stages + 1):
        choice = _exchanged(task, choice, masks, groups, floor=ranking.floor, swaps=swaps)
    changed = _values(choice, weights, shapes)
    return unflatten(choice.kept.double(), shapes), {**params, **changed}


def _values(choice: Choice, like: Params, shapes: Mapping[str, torch.Size]) -> Params:
    """The best values of the kept weights by name, zero elsewhere."""
    values = unflatten(torch.where(choice.kept, choice.values, 0), shapes)
    return {name: value.to(like[name].dtype) for name, value in values.items()}


def _exchanged(
    task: SparseRegression,
    choice: Choice,
    masks: Masks,
    together: Sequence[Sequence[str]],
    *,
    floor: int,
    swaps: int,
) -> Choice:
    """The choice after exchanges among the layers that share a budget, each for the better."""
    sizes = [mask.numel() for mask in masks.values()]
    layers = torch.arange(len(sizes), device=choice.kept.device).repeat_interleave(
        torch.tensor(sizes, device=choice.kept.device)
    )
    places = {name: place for place, names in enumerate(together) for name in names}
    group_of = torch.tensor([places[name] for name in masks], device=choice.kept.device)
    groups = group_of.gather(0, layers)
    allowed = flatten(masks)
    tried = torch.zeros_like(choice.kept)
    failures = torch.zeros_like(choice.kept.sum())
    for _ in tracked(range(swaps)):
        open_to_come = allowed & ~choice.kept & ~tried
        gains = task.gains(choice).masked_fill(~open_to_come, -torch.inf)
        comes = gains.argmax(0, keepdim=True)
        larger = task.added(choice, comes)
        in_layer = torch.stack([part.sum() for part in choice.kept.split(sizes)])
        can_spare = (in_layer.gather(0, layers) > floor) | (layers == layers.gather(0, comes))
        may_go = choice.kept & can_spare & (groups == groups.gather(0, comes))
        losses = task.losses(larger).masked_fill(~may_go, torch.inf)
        goes = losses.argmin(0, keepdim=True)
        # More than rounding, or equals would be exchanged for ever.
        better = losses.gather(0, goes) < (1 - 1e-9) * gains.gather(0, comes)
        other = task.removed(larger, goes)
        pairs = zip(other, choice, strict=True)
        choice = Choice(*(torch.where(better, new, old) for new, old in pairs))
        came = torch.arange(len(tried), device=tried.device) == comes
        tried = torch.where(better, torch.zeros_like(tried), tried | came)
        failures = torch.where(better, 0, failures + 1)[0]
        if (concrete(failures) or 0) >= _FAILURES or concrete(open_to_come.sum()) == 0:
            break
    # Without what rounding has added up to.
    return task.best(choice.kept, torch.zeros_like(choice.kept))
