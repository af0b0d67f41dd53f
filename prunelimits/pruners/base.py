"""What a pruner is: a score times a rule that says when to prune and how much."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar, Literal, NamedTuple, TypeAlias, get_args

from torch import Tensor

from prunelimits.arguments import checked_integer
from prunelimits.pruners.budgets import Scope, divide
from prunelimits.pruners.settings import choice_setting, integer_setting, number_setting
from prunelimits.structure import Normalise
from prunelimits.types import Masks, Params, Problem

Category: TypeAlias = Literal["at initialisation", "dense to sparse", "sparse to sparse"]
"""When a method prunes: before training, during it, or by moving the few weights there are."""


class State(NamedTuple):
    """What a pruner remembers between its rounds: tensors only, so that `torch.vmap` maps it.

    Attributes:
        masks: What is kept now: weights only, every prunable one.
        budget: How many weights survive in the end, int64: `(1,)` for all together or `(layers,)`.
        start: How many there were at first, int64, shaped like `budget`.
        round: How many rounds are done, int64 without axes.
        memory: What else the rule needs: LTH's initial weights.
    """

    masks: Masks
    budget: Tensor
    start: Tensor
    round: Tensor
    memory: Params


@dataclass(frozen=True, kw_only=True)
class AbstractPruner(ABC):
    """A pruning method. Subclasses are frozen dataclasses that hold hyperparameters only.

    A pruner has no clock: a round is whenever the caller calls `update`; `update_steps` says when
    the method's authors do. All methods but `budget` are pure functions of tensors and work under
    `torch.vmap` over `params`, `masks`, `state`, `budget`, `grads` and `noise`, so that one call
    prunes many models, each to a budget of its own. (`torch.vmap` maps positional arguments only:
    there, pass `noise` by position.)

    Attributes:
        category: When it prunes: once before training, during the training of a dense network, or
            while a sparse network moves its weights.
        needs_data: Whether the scores use the problem's batches and loss.
        needs_gradients: Whether `update` wants the loss's gradient by all weights, pruned ones too.
        normalise: What BatchNorm normalises by while the method scores, as its authors' code does:
            the statistics of the batch, or the running ones.
        rounds: How many rounds of pruning: calls of `update` in a training, or, for methods at
            initialisation, scorings inside `init`.
        until: The share of the training after which the last round falls; 0 where `init` does all.
        scope: `"global"` ranks the weights of all layers together; `"uniform"`, `"erk"`, `"igq"`
            and `"smart_ratio"` give each layer a quota and rank within the layer.
        floor: How many weights every layer keeps at least, if it has them: against layer collapse.
    """

    category: ClassVar[Category]
    needs_data: ClassVar[bool] = False
    needs_gradients: ClassVar[bool] = False
    normalise: ClassVar[Normalise] = "running"
    rounds: int
    until: float
    scope: Scope = "global"
    floor: int = 0

    def __post_init__(self) -> None:
        integer_setting(self, "rounds", 1)
        integer_setting(self, "floor", 0)
        choice_setting(self, "scope", get_args(Scope))
        number_setting(self, "until", least=0, most=1)

    @property
    def batches(self) -> int | None:
        """How many batches the published method scores with, as many as `fit` gives it; None: all.

        One, unless a method says otherwise.
        """
        return 1

    @property
    def needs_noise(self) -> bool:
        """Whether `init` or `update` wants uniform random numbers; not, unless a method says so."""
        return False

    def budget(self, masks: Masks, keep: int) -> Tensor:
        """`keep` as the rule divides it: `(1,)` for one ranking of all, or `(layers,)`, int64.

        Args:
            masks: The weights that may be kept, without a model axis.
            keep: How many survive.

        Raises:
            ValueError: If `keep` is more than `masks` allow, or less than the floors together.
            TypeError: If `keep` is not an integer.
        """
        return divide(masks, keep, scope=self.scope, floor=self.floor)

    def left(self, start: Tensor, budget: Tensor, progress: Tensor | float) -> Tensor:
        """How many weights are left when the share `progress` of the rounds is done.

        Here the budget throughout; rules that prune step by step say otherwise.

        Args:
            start: How many there were at first, int64, shaped like `budget`.
            budget: How many survive in the end.
            progress: The share of the rounds, 0 to 1.
        """
        return budget

    def interval(self, steps: int) -> int:
        """The optimiser steps between two rounds in a training of `steps`: at least 1.

        `int(until * steps / rounds)`: over 19,500 steps, GMP prunes every 97 and RigL moves every
        100.

        Raises:
            ValueError: If `steps` is below 1.
            TypeError: If it is not an integer.
        """
        return max(1, int(self._reach(steps) / self.rounds))

    def update_steps(self, steps: int) -> list[int]:
        """After which optimiser steps (from 1) to call `update`, once for every entry.

        Round r falls after step `r * interval(steps)`. A training too short for that has them
        spread evenly, several after one step, so that there are always `rounds` of them and the
        last leaves exactly the budget. Empty where `init` does all.

        Raises:
            ValueError: If `steps` is below 1.
            TypeError: If it is not an integer.
        """
        reach = self._reach(steps)
        if not reach:
            return []
        if reach >= self.rounds:
            return [r * self.interval(steps) for r in range(1, self.rounds + 1)]
        return [-(-r * reach // self.rounds) for r in range(1, self.rounds + 1)]

    def _reach(self, steps: int) -> Fraction:
        # By the decimal that `until` prints as: 0.07 * 100 is more than 7 in floating point.
        return Fraction(str(self.until)) * checked_integer("steps", steps, 1)

    @abstractmethod
    def init(
        self,
        problem: Problem,
        params: Params,
        masks: Masks,
        budget: Tensor,
        noise: Params | None = None,
    ) -> State:
        """The state before training.

        Args:
            problem: The task.
            params: Parameters and buffers by name.
            masks: The weights that may be kept, by name: all True for a dense start.
            budget: What `budget()` gave.
            noise: Uniform in [0, 1), shaped like the masks, for pruners that need it.
        """

    @abstractmethod
    def update(
        self,
        problem: Problem,
        state: State,
        params: Params,
        grads: Params | None = None,
        noise: Params | None = None,
    ) -> tuple[Params, State]:
        """A round: new parameters, zero where the new masks prune, and the new state.

        A weight that comes back starts from zero. After the last round masks stay as they are.
        """
