"""What a pruner is: a score times a rule that says when to prune and how much."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Literal, NamedTuple, TypeAlias

from torch import Tensor

from prunelimits.types import Masks, Params, Problem

Category: TypeAlias = Literal["at initialisation", "dense to sparse", "sparse to sparse"]


class State(NamedTuple):
    """What a pruner remembers between its rounds: tensors only, so that `torch.vmap` maps it.

    Attributes:
        masks: What is kept now: weights only, every prunable one.
        budget: How many weights survive in the end, int64: `(1,)` for all together or `(layers,)`.
        round: How many rounds are done, int64 without axes.
        memory: What else the rule needs: LTH's initial weights.
    """

    masks: Masks
    budget: Tensor
    round: Tensor
    memory: Params


class AbstractPruner(ABC):
    """A pruning method. Subclasses are frozen dataclasses that hold hyperparameters only.

    A pruner has no clock: a round is whenever the caller calls `update`. All methods are pure and
    work under `torch.vmap` over `params`, `state`, `budget`, `grads` and `noise`, so that one call
    prunes many models, each to a budget of its own.

    Attributes:
        category: When it prunes: once before training, during the training of a dense network, or
            while a sparse network moves its weights.
        needs_data: Whether the scores use the problem's batches and loss.
        needs_noise: Whether `init` or `update` want uniform random numbers.
        needs_gradients: Whether `update` wants the loss's gradient by all weights, pruned ones too.
        rounds: How often to call `update` in a training.
        until: The share of the training after which the last round falls.
    """

    category: ClassVar[Category]
    needs_data: ClassVar[bool] = False
    needs_noise: ClassVar[bool] = False
    needs_gradients: ClassVar[bool] = False
    rounds: int
    until: float

    @abstractmethod
    def budget(self, masks: Masks, keep: int) -> Tensor:
        """`keep` as the rule divides it: `(1,)` for one ranking of all, or `(layers,)`, int64."""

    @abstractmethod
    def init(
        self,
        problem: Problem,
        params: Params,
        masks: Masks,
        budget: Tensor,
        *,
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
        *,
        noise: Params | None = None,
    ) -> tuple[Params, State]:
        """A round: new parameters, zero where the new masks prune, and the new state.

        A weight that comes back starts from zero. After the last round masks stay as they are.
        """
