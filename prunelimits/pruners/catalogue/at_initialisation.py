"""Published methods that prune before training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from typing_extensions import override

from prunelimits import scores as score
from prunelimits.arguments import shown
from prunelimits.masks import count, flatten
from prunelimits.pruners.at_init import AtInit
from prunelimits.pruners.budgets import Scope
from prunelimits.pruners.chains import check_chain
from prunelimits.pruners.settings import flag_setting, integer_setting, number_setting
from prunelimits.pruners.walks import first_visits
from prunelimits.scores.prospr import MOST_STEPS
from prunelimits.structure import Normalise
from prunelimits.types import Masks, Params, Problem, Scores


@dataclass(frozen=True, kw_only=True)
class SNIP(AtInit):
    """`|w dL/dw|`: [Single-shot network pruning](https://arxiv.org/abs/1810.02340).

    Attributes:
        xavier: Whether to score a fresh Glorot start, as the published code does.
    """

    needs_data: ClassVar[bool] = True
    xavier: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        flag_setting(self, "xavier")

    @property
    @override
    def needs_noise(self) -> bool:
        """Where it draws a fresh start."""
        return self.xavier

    def scores(
        self, problem: Problem, params: Params, masks: Masks, noise: Params | None = None
    ) -> Scores:
        """See `scores.snip`."""
        return score.snip(problem, params, masks, noise, xavier=self.xavier)


@dataclass(frozen=True, kw_only=True)
class GraSP(AtInit):
    """`w (H g)`: [Gradient signal preservation](https://arxiv.org/abs/2002.07376).

    Attributes:
        temperature: What divides the outputs.
        xavier: Whether to score a fresh Glorot start, as the published code does.
    """

    needs_data: ClassVar[bool] = True
    normalise: ClassVar[Normalise] = "batch"
    temperature: float = 200.0
    xavier: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        number_setting(self, "temperature", above=0)
        flag_setting(self, "xavier")

    @property
    @override
    def batches(self) -> int:
        """As many as its authors' code takes."""
        return 2

    @property
    @override
    def needs_noise(self) -> bool:
        """Where it draws a fresh start."""
        return self.xavier

    def scores(
        self, problem: Problem, params: Params, masks: Masks, noise: Params | None = None
    ) -> Scores:
        """See `scores.grasp`."""
        return score.grasp(
            problem, params, masks, noise, temperature=self.temperature, xavier=self.xavier
        )


@dataclass(frozen=True, kw_only=True)
class SynFlow(AtInit):
    """The paths through a weight: [Synaptic flow](https://arxiv.org/abs/2006.05467).

    Needs no data; the first batch tells the shape of an input, and nothing else.

    Attributes:
        rounds: How often to score.
        biases: Whether biases stay in the pass, as in the published code.
    """

    rounds: int = 100
    biases: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        flag_setting(self, "biases")

    def scores(
        self, problem: Problem, params: Params, masks: Masks, noise: Params | None = None
    ) -> Scores:
        """See `scores.synflow`."""
        return score.synflow(problem, params, masks, noise, biases=self.biases)


@dataclass(frozen=True, kw_only=True)
class IterSNIP(AtInit):
    """SNIP in rounds, each among what is left.

    [Progressive skeletonization](https://arxiv.org/abs/2006.09081).

    Attributes:
        rounds: How often to score: each round has a batch of its own.
    """

    needs_data: ClassVar[bool] = True
    normalise: ClassVar[Normalise] = "batch"
    rounds: int = 10

    @property
    @override
    def batches(self) -> int:
        """As many as its authors' code takes."""
        return 10

    def scores(
        self, problem: Problem, params: Params, masks: Masks, noise: Params | None = None
    ) -> Scores:
        """See `scores.snip`."""
        return score.snip(problem, params, masks, noise)


@dataclass(frozen=True, kw_only=True)
class FORCE(AtInit):
    """SNIP in rounds that may bring weights back.

    [Progressive skeletonization](https://arxiv.org/abs/2006.09081). A round takes the
    gradient at the masked network, multiplies it with the weights as they were before pruning, and
    chooses among all of them.

    Attributes:
        rounds: How often to score: each round has a batch of its own.
    """

    needs_data: ClassVar[bool] = True
    normalise: ClassVar[Normalise] = "batch"
    revive: ClassVar[bool] = True
    rounds: int = 10

    @property
    @override
    def batches(self) -> int:
        """As many as its authors' code takes."""
        return 10

    def scores(
        self, problem: Problem, params: Params, masks: Masks, noise: Params | None = None
    ) -> Scores:
        """See `scores.snip`."""
        return score.snip(problem, params, masks, noise)


@dataclass(frozen=True, kw_only=True)
class ProsPr(AtInit):
    """SNIP after a few steps of training: [Prospect pruning](https://arxiv.org/abs/2202.08132).

    Attributes:
        steps: How many steps to look ahead, each with a batch of its own.
        lr: Their learning rate: that of the training to come.
        momentum: Their momentum.
        constant_first_step: Whether the first step's gradient counts as a constant, as in the
            published code.
    """

    needs_data: ClassVar[bool] = True
    normalise: ClassVar[Normalise] = "batch"
    steps: int = 3
    lr: float = 0.1
    momentum: float = 0.9
    constant_first_step: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        integer_setting(self, "steps", 0, MOST_STEPS)
        number_setting(self, "lr", least=0)
        number_setting(self, "momentum", least=0, below=1)
        flag_setting(self, "constant_first_step")

    @property
    @override
    def batches(self) -> int:
        """One for each step, and one for the loss after them."""
        return self.steps + 1

    def scores(
        self, problem: Problem, params: Params, masks: Masks, noise: Params | None = None
    ) -> Scores:
        """See `scores.prospr`."""
        return score.prospr(
            problem,
            params,
            masks,
            noise,
            steps=self.steps,
            lr=self.lr,
            momentum=self.momentum,
            constant_first_step=self.constant_first_step,
        )


@dataclass(frozen=True, kw_only=True)
class Random(AtInit):
    """Weights chosen at random: the baseline for every method.

    `scope` says where from: all layers together, or in each by its quota. With `"erk"` or `"igq"`
    a strong baseline:
    [The unreasonable effectiveness of random pruning](https://arxiv.org/abs/2202.02643).
    """

    @property
    @override
    def needs_noise(self) -> bool:
        """It chooses at random."""
        return True

    def scores(
        self, problem: Problem, params: Params, masks: Masks, noise: Params | None = None
    ) -> Scores:
        """See `scores.random`."""
        return score.random(problem, params, masks, noise)


@dataclass(frozen=True, kw_only=True)
class SmartRatio(AtInit):
    """Weights chosen at random, fewer in deep layers.

    [Sanity-checking pruning methods](https://arxiv.org/abs/2009.11094). Its hybrid tickets, by
    magnitude with the same quotas, are `Magnitude(scope="smart_ratio")`.

    Attributes:
        scope: By which rule the layers get their quotas; see `smart_ratio`.
    """

    scope: Scope = "smart_ratio"

    @property
    @override
    def needs_noise(self) -> bool:
        """It chooses at random."""
        return True

    def scores(
        self, problem: Problem, params: Params, masks: Masks, noise: Params | None = None
    ) -> Scores:
        """See `scores.random`."""
        return score.random(problem, params, masks, noise)


@dataclass(frozen=True, kw_only=True)
class Dense(AtInit):
    """Prunes nothing: the network that the others are compared with.

    Its only budget is all weights.
    """

    def budget(self, masks: Masks, keep: int) -> Tensor:
        """See `AbstractPruner.budget`; an error for any other than all weights."""
        if keep != count(masks):
            raise ValueError(f"keep must be all {count(masks)} weights of masks, got {shown(keep)}")
        return super().budget(masks, keep)

    def scores(
        self, problem: Problem, params: Params, masks: Masks, noise: Params | None = None
    ) -> Scores:
        """One for every weight."""
        return {name: torch.ones_like(params[name]) for name in masks}


@dataclass(frozen=True, kw_only=True)
class PHEW(AtInit):
    """The weights on random walks through the network that prefer large ones.

    [PHEW: paths with higher edge-weights](https://arxiv.org/abs/2010.11354): without data. Walks
    are taken until there are enough weights; the last one counts as far as the budget reaches. For
    networks that are chains of layers: branches and skips are refused. A batch, of which only the
    shape of the inputs is used, may be needed to see that.

    Attributes:
        walks: How many walks at most. None: one for every weight there is.
    """

    walks: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.walks is not None:
            integer_setting(self, "walks", 1)

    @property
    @override
    def needs_noise(self) -> bool:
        """It chooses at random."""
        return True

    def scores(
        self, problem: Problem, params: Params, masks: Masks, noise: Params | None = None
    ) -> Scores:
        """See `first_visits`; an error for layers that are no chain, see `check_chain`."""
        check_chain(problem, params, masks)
        drawn = score.random(problem, params, masks, noise)
        return first_visits(params, masks, drawn, self.walks or len(flatten(masks)))
