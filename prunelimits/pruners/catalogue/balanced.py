"""Published methods whose masks balance what a sparse network is made of."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from prunelimits.pruners.catalogue.method import Method
from prunelimits.pruners.ranking import Ranking
from prunelimits.pruners.scopes import Scope
from prunelimits.pruners.scoring import LearnedScore
from prunelimits.pruners.settings import number_setting
from prunelimits.scores.npb import npb
from prunelimits.types import Masks, Params, Problem, Scores


@dataclass(frozen=True, kw_only=True)
class NPB(Method):
    """Many paths through the network, and few nodes that none leads through: node-path balance.

    [Towards data-agnostic pruning at initialization: what makes a good sparse
    mask?](https://proceedings.neurips.cc/paper_files/paper/2023/hash/fd5013ea0c3f96931dec77174eaf9d80-Abstract-Conference.html)
    Neither weights nor data matter, but the shape of one batch's inputs. Each layer's mask is the
    exact best of its objective.

    Attributes:
        alpha: How much nodes count beside paths, 0 to 1.
        beta: How much kernels of convolutions count.
        scope: How the layers divide the budget; not `"global"`, as nothing ranks them together.
    """

    rounds: int = field(default=1, init=False, repr=False)
    alpha: float = 0.01
    beta: float = 1.0
    scope: Scope = "erk"

    def __post_init__(self) -> None:
        super().__post_init__()
        number_setting(self, "alpha", least=0, most=1)
        number_setting(self, "beta", least=0)
        if self.scope == "global":
            raise ValueError(
                "scope must be a quota for each layer, such as 'erk', got 'global': NPB balances a "
                "layer by itself"
            )

    @property
    def score(self) -> LearnedScore:
        """1 for what is kept, at random among equals, and the parameters as they are."""
        options = {"alpha": self.alpha, "beta": self.beta}
        return LearnedScore(
            _balanced,
            needs_data=False,
            needs_noise=True,
            batches=1,  # for its shape
            chooses=True,
            options=options,
        )


def _balanced(
    problem: Problem,
    params: Params,
    masks: Masks,
    budget: Tensor,
    ranking: Ranking,
    noise: Params | None = None,
    *,
    alpha: float,
    beta: float,
) -> tuple[Scores, Params]:  # what a learned score is given, and NPB's two numbers
    kept = npb(problem, params, masks, budget, noise, alpha=alpha, beta=beta)
    return {name: mask.double() for name, mask in kept.items()}, params
