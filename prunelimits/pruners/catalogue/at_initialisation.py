"""Published methods that prune before training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from typing_extensions import override

from prunelimits import scores
from prunelimits.arguments import shown
from prunelimits.masks import flatten
from prunelimits.pruners.catalogue.method import Method
from prunelimits.pruners.chains import check_chain
from prunelimits.pruners.pruner import Pruner
from prunelimits.pruners.schedules import AtOnce
from prunelimits.pruners.scopes import Scope
from prunelimits.pruners.scoring import Score
from prunelimits.pruners.settings import flag_setting, integer_setting, number_setting
from prunelimits.pruners.walks import first_visits
from prunelimits.scores.prospr import MOST_STEPS
from prunelimits.types import Masks, Params, Problem, Scores


@dataclass(frozen=True, kw_only=True)
class SNIP(Method):
    """`|w dL/dw|`: [Single-shot network pruning](https://arxiv.org/abs/1810.02340).

    Attributes:
        xavier: Whether to score a fresh Glorot start, as the published code does.
    """

    xavier: bool = False

    def __post_init__(self) -> None:
        flag_setting(self, "xavier")
        super().__post_init__()

    @property
    def score(self) -> Score:
        """`scores.snip`."""
        return Score(
            scores.snip,
            needs_data=True,
            needs_noise=self.xavier,
            options={"xavier": self.xavier},
        )


@dataclass(frozen=True, kw_only=True)
class GraSP(Method):
    """`w (H g)`: [Gradient signal preservation](https://arxiv.org/abs/2002.07376).

    Attributes:
        temperature: What divides the outputs.
        xavier: Whether to score a fresh Glorot start, as the published code does.
    """

    temperature: float = 200.0
    xavier: bool = False

    def __post_init__(self) -> None:
        number_setting(self, "temperature", above=0)
        flag_setting(self, "xavier")
        super().__post_init__()

    @property
    def score(self) -> Score:
        """`scores.grasp`, with as many batches as its authors' code takes."""
        return Score(
            scores.grasp,
            needs_data=True,
            needs_noise=self.xavier,
            normalise="batch",
            batches=2,
            options={"temperature": self.temperature, "xavier": self.xavier},
        )


@dataclass(frozen=True, kw_only=True)
class SynFlow(Method):
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

    @property
    def score(self) -> Score:
        """`scores.synflow`."""
        return Score(scores.synflow, options={"biases": self.biases})


# As its authors' code takes: a batch for each of ten rounds.
_IN_TEN_BATCHES = Score(scores.snip, needs_data=True, normalise="batch", batches=10)


@dataclass(frozen=True, kw_only=True)
class IterSNIP(Method):
    """SNIP in rounds, each among what is left.

    [Progressive skeletonization](https://arxiv.org/abs/2006.09081).

    Attributes:
        rounds: How often to score: each round has a batch of its own.
    """

    rounds: int = 10

    @property
    def score(self) -> Score:
        """`scores.snip`."""
        return _IN_TEN_BATCHES


@dataclass(frozen=True, kw_only=True)
class FORCE(Method):
    """SNIP in rounds that may bring weights back.

    [Progressive skeletonization](https://arxiv.org/abs/2006.09081). A round takes the
    gradient at the masked network, multiplies it with the weights as they were before pruning, and
    chooses among all of them.

    Attributes:
        rounds: How often to score: each round has a batch of its own.
    """

    rounds: int = 10

    @property
    def score(self) -> Score:
        """`scores.snip`."""
        return _IN_TEN_BATCHES

    @property
    @override
    def schedule(self) -> AtOnce:
        """In rounds that choose among all weights."""
        return AtOnce(rounds=self.rounds, revive=True)


@dataclass(frozen=True, kw_only=True)
class ProsPr(Method):
    """SNIP after a few steps of training: [Prospect pruning](https://arxiv.org/abs/2202.08132).

    Attributes:
        steps: How many steps to look ahead, each with a batch of its own.
        lr: Their learning rate: that of the training to come.
        momentum: Their momentum.
        constant_first_step: Whether the first step's gradient counts as a constant, as in the
            published code.
    """

    steps: int = 3
    lr: float = 0.1
    momentum: float = 0.9
    constant_first_step: bool = False

    def __post_init__(self) -> None:
        integer_setting(self, "steps", 0, MOST_STEPS)
        super().__post_init__()
        number_setting(self, "lr", least=0)
        number_setting(self, "momentum", least=0, below=1)
        flag_setting(self, "constant_first_step")

    @property
    def score(self) -> Score:
        """`scores.prospr`, with a batch for each step and one for the loss after them."""
        names = ("steps", "lr", "momentum", "constant_first_step")
        return Score(
            scores.prospr,
            needs_data=True,
            normalise="batch",
            batches=self.steps + 1,
            options={name: getattr(self, name) for name in names},
        )


@dataclass(frozen=True, kw_only=True)
class Random(Method):
    """Weights chosen at random: the baseline for every method.

    `scope` says where from: all layers together, or in each by its quota. With `"erk"` or `"igq"`
    a strong baseline:
    [The unreasonable effectiveness of random pruning](https://arxiv.org/abs/2202.02643).
    """

    @property
    def score(self) -> Score:
        """`scores.random`."""
        return Score(scores.random, needs_noise=True)


@dataclass(frozen=True, kw_only=True)
class SmartRatio(Method):
    """Weights chosen at random, fewer in deep layers.

    [Sanity-checking pruning methods](https://arxiv.org/abs/2009.11094). Its hybrid tickets, by
    magnitude with the same quotas, are `Magnitude(scope="smart_ratio")`.

    Attributes:
        scope: By which rule the layers get their quotas; see `smart_ratio`.
    """

    scope: Scope = "smart_ratio"

    @property
    def score(self) -> Score:
        """`scores.random`."""
        return Score(scores.random, needs_noise=True)


@dataclass(frozen=True, kw_only=True)
class Dense(Method):
    """Prunes nothing: the network that the others are compared with.

    Its only budget is all weights.
    """

    @property
    def score(self) -> Score:
        """One for every weight."""
        return Score(_ones)

    @property
    @override
    def combination(self) -> Pruner:
        """With quotas that are all weights; an error for any other budget."""
        return Pruner(score=self.score, scope=_everything, floor=self.floor)


def _ones(problem: Problem, params: Params, masks: Masks, noise: Params | None = None) -> Scores:
    return {name: torch.ones_like(params[name]) for name in masks}


def _everything(shapes: Mapping[str, Sequence[int]], keep: int) -> dict[str, int]:
    sizes = {name: torch.Size(shape).numel() for name, shape in shapes.items()}
    if keep != sum(sizes.values()):
        raise ValueError(
            f"keep must be all {sum(sizes.values())} weights of masks, got {shown(keep)}"
        )
    return sizes


@dataclass(frozen=True, kw_only=True)
class PHEW(Method):
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
    def score(self) -> Score:
        """`first_visits`; an error for layers that are no chain, see `check_chain`."""
        return Score(_visits, needs_noise=True, options={"walks": self.walks})


def _visits(
    problem: Problem,
    params: Params,
    masks: Masks,
    noise: Params | None = None,
    *,
    walks: int | None = None,
) -> Scores:
    check_chain(problem, params, masks)
    drawn = scores.random(problem, params, masks, noise)
    return first_visits(params, masks, drawn, walks or len(flatten(masks)))
