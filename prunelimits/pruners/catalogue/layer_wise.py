"""Published methods that look at what comes into each layer, and prune it for its outputs' sake."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from prunelimits import scores as score
from prunelimits.masks import apply
from prunelimits.progress import stage, tracked
from prunelimits.pruners.catalogue.method import Method
from prunelimits.pruners.ranking import Ranking
from prunelimits.pruners.schedules import Category
from prunelimits.pruners.scopes import Scope
from prunelimits.pruners.scoring import LearnedScore, Score
from prunelimits.pruners.settings import flag_setting, integer_setting, number_setting
from prunelimits.scores.layer_inputs import LayerInputs, divided
from prunelimits.scores.obc import layer_grams, refitted, removal_scores
from prunelimits.scores.sparsegpt import sparsegpt
from prunelimits.types import Masks, Params, Problem, Scores


@dataclass(frozen=True, kw_only=True)
class Wanda(Method):
    """The largest `|W_ij| ||X_j||` of each output, with X what comes into the layer.

    [A simple and effective pruning approach for large language
    models](https://arxiv.org/abs/2306.11695); meant for a trained network. Needs batches, but no
    loss.

    Attributes:
        per_output: Whether each output keeps the same share of its weights, as in the paper; else
            all weights of a layer, or of the model by `scope`, are ranked together.
        scope: How the layers divide the budget.
    """

    category: ClassVar[Category] = "dense to sparse"
    per_output: bool = True
    scope: Scope = "uniform"

    def __post_init__(self) -> None:
        super().__post_init__()
        flag_setting(self, "per_output")

    @property
    def score(self) -> Score:
        """`scores.wanda`, with all batches: it looks at what comes in."""
        return Score(score.wanda, batches=None, options={"per_output": self.per_output})


@dataclass(frozen=True, kw_only=True)
class OBC(Method):
    """What costs each layer's outputs least, weight after weight, the others making up for it.

    ExactOBS of [Optimal Brain Compression](https://arxiv.org/abs/2208.11580); meant for a trained
    network. Needs batches, but no loss. The weights that stay are changed: `prune_with_weights`
    gives them.

    Attributes:
        damping: What is added to the diagonal of `X X^T`, as a share of its mean.
        scope: How the layers divide the budget; among the outputs of a layer one ranking decides.
    """

    category: ClassVar[Category] = "dense to sparse"
    rounds: int = field(default=1, init=False, repr=False)
    damping: float = 0.01
    scope: Scope = "uniform"

    def __post_init__(self) -> None:
        super().__post_init__()
        number_setting(self, "damping", least=0)

    @property
    def score(self) -> LearnedScore:
        """The losses of `scores.obc`, and the weights after the change."""
        return LearnedScore(_by_obc, needs_data=False, options={"damping": self.damping})


@torch.no_grad()
def _by_obc(
    problem: Problem,
    params: Params,
    masks: Masks,
    budget: Tensor,
    ranking: Ranking,
    noise: Params | None = None,
    *,
    damping: float,
) -> tuple[Scores, Params]:
    with stage(1, of=3):
        found = layer_grams(problem, params, masks, damping)
    weights = apply(params, masks)
    with stage(2, of=3):
        losses = {n: removal_scores(weights[n], masks[n], found[n]) for n in tracked(list(masks))}
    kept = ranking.keep(losses, masks, budget)
    with stage(3, of=3):
        changed = {n: refitted(weights[n], kept[n], found[n]) for n in tracked(list(kept))}
    return losses, {**params, **changed}


@dataclass(frozen=True, kw_only=True)
class SparseGPT(Method):
    """One sweep over the inputs of each layer: what goes is made up for by the weights behind it.

    [SparseGPT](https://arxiv.org/abs/2301.00774); meant for a trained network. Needs batches, but
    no loss. Every layer has a quota, and so has every block of its inputs. The weights that stay
    are changed: `prune_with_weights` gives them.

    Attributes:
        block: How many inputs are chosen for together.
        damping: What is added to the diagonal of `X X^T`, as a share of its mean.
        sequential: Whether a layer sees what the pruned layers before it give, as in the paper:
            a forward pass a layer. False: what the dense ones gave, one forward pass in all.
        scope: How the layers divide the budget; not `"global"`, as nothing ranks them together.
    """

    category: ClassVar[Category] = "dense to sparse"
    rounds: int = field(default=1, init=False, repr=False)
    block: int = 128
    damping: float = 0.01
    sequential: bool = True
    scope: Scope = "uniform"

    def __post_init__(self) -> None:
        super().__post_init__()
        integer_setting(self, "block", 1)
        number_setting(self, "damping", least=0)
        flag_setting(self, "sequential")
        if self.scope == "global":
            raise ValueError(
                "scope must be a quota for each layer, such as 'uniform', got 'global': SparseGPT "
                "prunes a layer by itself"
            )

    @property
    def score(self) -> LearnedScore:
        """1 for what is kept, and the weights after the sweeps."""
        names = ("block", "damping", "sequential")
        options = {name: getattr(self, name) for name in names}
        return LearnedScore(_by_sweeps, needs_data=False, chooses=True, options=options)


@torch.no_grad()
def _by_sweeps(
    problem: Problem,
    params: Params,
    masks: Masks,
    budget: Tensor,
    ranking: Ranking,
    noise: Params | None = None,
    *,
    block: int,
    damping: float,
    sequential: bool,
) -> tuple[Scores, Params]:  # what a learned score is given, and SparseGPT's three numbers
    parts = 1 + len(masks)
    with stage(1, of=parts):
        found = layer_grams(problem, params, masks, damping)
    quotas = dict(zip(masks, budget, strict=True))
    weights, kept = apply(params, masks), masks
    for number, name in enumerate(list(found), start=2):  # in the order in which they are used
        with stage(number, of=parts):
            if sequential and kept is not masks:
                found |= layer_grams(problem, weights, {name: masks[name]}, damping)
            mask, weight = _swept(weights[name], masks[name], quotas[name], found[name], block)
            kept, weights = {**kept, name: mask}, {**weights, name: weight}
    return {name: kept[name].to(params[name].dtype) for name in masks}, weights


def _swept(
    weight: Tensor, allowed: Tensor, quota: Tensor, inputs: LayerInputs, block: int
) -> tuple[Tensor, Tensor]:
    """A layer's mask and weights; groups of outputs divide the quota by what is allowed."""
    groups = inputs.rows(allowed)
    swept = [
        sparsegpt(rows, gram, some, keep, block=block)
        for rows, gram, some, keep in zip(
            inputs.rows(weight).double(), inputs.sums, groups, divided(quota, groups), strict=True
        )
    ]
    masks, weights = (torch.stack(part) for part in zip(*swept, strict=True))
    return inputs.like(masks, weight), inputs.like(weights, weight).to(weight.dtype)
