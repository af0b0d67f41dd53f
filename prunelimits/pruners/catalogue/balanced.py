"""Published methods whose masks balance what a sparse network is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from typing_extensions import override

from prunelimits.pruners.base import Category
from prunelimits.pruners.budgets import Scope
from prunelimits.pruners.learned_mask import LearnedMask
from prunelimits.pruners.settings import number_setting
from prunelimits.scores.npb import npb
from prunelimits.types import Masks, Params, Problem, Scores


@dataclass(frozen=True, kw_only=True)
class NPB(LearnedMask):
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

    category: ClassVar[Category] = "at initialisation"
    needs_data: ClassVar[bool] = False
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
    @override
    def needs_noise(self) -> bool:
        """It chooses at random among equals."""
        return True

    @property
    @override
    def batches(self) -> int | None:
        """One, for its shape."""
        return 1

    def learn(
        self,
        problem: Problem,
        params: Params,
        masks: Masks,
        budget: Tensor,
        noise: Params | None = None,
    ) -> tuple[Scores, Params]:
        """See `LearnedMask.learn`: 1 for what is kept, and the parameters as they are."""
        kept = npb(problem, params, masks, budget, noise, alpha=self.alpha, beta=self.beta)
        return {name: mask.double() for name, mask in kept.items()}, params
