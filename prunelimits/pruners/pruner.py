"""What a pruner is: a score, a schedule, a shape and a scope, chosen independently."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import Field, dataclass, field, replace
from typing import Any, ClassVar, Self, final

from torch import Tensor, nn
from typing_extensions import override

from prunelimits.arguments import checked_instance
from prunelimits.pruners.ranking import Ranking
from prunelimits.pruners.schedules import AtOnce, Category, Gradual, Moving, Schedule
from prunelimits.pruners.schedules.times import interval
from prunelimits.pruners.scopes import Scope, check_scope
from prunelimits.pruners.scoring import AnyScore, as_score
from prunelimits.pruners.settings import integer_setting
from prunelimits.pruners.shapes import Shape, Weights
from prunelimits.pruners.state import Seen, State
from prunelimits.structure import Normalise
from prunelimits.types import Masks, Params, Problem


class AbstractPruner(ABC):
    """A pruning method: a combination of four choices, which `combination` names.

    A pruner has no clock: a round is whenever the caller calls `update`; `update_steps` says when
    the method's authors do. All methods but `budget` are pure functions of tensors and work under
    `torch.vmap` over `params`, `masks`, `state`, `budget`, `grads` and `noise`, so that one call
    prunes many models, each to a budget of its own. (`torch.vmap` maps positional arguments only:
    there, pass `noise` by position.)

    Attributes:
        scope: Who competes with whom: `"global"` ranks the weights of all layers together;
            `"uniform"`, `"erk"`, `"igq"`, `"smart_ratio"` or a function as those of
            `prunelimits.quotas` give each layer a quota and rank within the layer.
        floor: How many weights every layer keeps at least, if it has them: against layer collapse.
        shape: What is kept or cut together.
    """

    # Subclasses are frozen dataclasses, and have these among their fields.
    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]
    scope: Scope
    floor: int
    shape: Shape

    def __post_init__(self) -> None:
        integer_setting(self, "floor", 0)
        check_scope(self.scope)
        checked_instance("shape", self.shape, Shape, "a Shape, such as NOfM(2, 4)")
        if self.shape.fixes_budget and self.scope != "global":
            raise ValueError(
                f"scope must be 'global' for {self.shape}, of which each group has its own quota, "
                f"got {self.scope!r}"
            )
        self.shape.check_scope(self.scope)

    @property
    @abstractmethod
    def combination(self) -> Pruner:
        """The method as a combination: of the same results, with each choice to be replaced."""

    @property
    def name(self) -> str:
        """What messages and tables call it: its class."""
        return type(self).__name__

    @property
    def needs_data(self) -> bool:
        """Whether the scores use the problem's batches and loss."""
        return self.combination.score.needs_data

    @property
    def needs_gradients(self) -> bool:
        """Whether `update` wants the loss's gradient by all weights, pruned ones too."""
        return self.combination.schedule.needs_gradients

    @property
    def needs_noise(self) -> bool:
        """Whether `init` or `update` wants uniform random numbers."""
        parts = self.combination
        return parts.score.needs_noise or parts.schedule.needs_noise

    @property
    def normalise(self) -> Normalise:
        """What BatchNorm normalises by while the method scores, as its authors' code does."""
        return self.combination.score.normalise

    @property
    def batches(self) -> int | None:
        """How many batches the published method scores with; None: all."""
        return self.combination.score.batches

    @property
    def acts_in_training(self) -> bool:
        """Whether rounds take place in a training; else `init` does all."""
        return self.combination.schedule.acts_in_training

    def for_model(self, model: nn.Module) -> Self:
        """The method with what its shape has to know of a model: the units that a function finds.

        `prune`, `attach`, `fit` and their kin do that themselves.

        Raises:
            TypeError: If `model` is no module.
        """
        checked_instance("model", model, nn.Module, "an nn.Module")
        shape = self.shape.for_model(model)
        return self if shape is self.shape else replace(self, shape=shape)

    def budget(self, masks: Masks, keep: int | None = None) -> Tensor:
        """`keep` as the method divides it, int64: `(1,)` for one ranking of all, or `(layers,)`.

        Args:
            masks: The weights that may be kept, without a model axis.
            keep: How many survive; None only where the shape says so itself.

        Raises:
            ValueError: If `keep` is more than `masks` allow, or less than the floors together.
            TypeError: If `keep` is not an integer.
        """
        return self.shape.budget(masks, keep, self.combination.scope, self.floor)

    def left(self, start: Tensor, budget: Tensor, progress: Tensor | float) -> Tensor:
        """How many weights are left when the share `progress` of the rounds is done.

        Args:
            start: How many there were at first, int64, shaped like `budget`.
            budget: How many survive in the end.
            progress: The share of the rounds, 0 to 1.
        """
        return self.combination.schedule.left(start, budget, progress)

    def interval(self, steps: int) -> int:
        """The optimizer steps between two rounds in a training of `steps`: at least 1.

        Raises:
            ValueError: If `steps` is below 1.
            TypeError: If it is not an integer.
        """
        schedule = self.combination.schedule
        if isinstance(schedule, Gradual | Moving):
            return interval(schedule.start, schedule.end, schedule.rounds, steps)
        return interval(0, 1.0, schedule.rounds, steps)

    def update_steps(self, steps: int) -> list[int]:
        """After which optimizer steps (from 1) to call `update`, once for every entry.

        The last leaves exactly the budget. Empty where `init` does all.

        Raises:
            ValueError: If `steps` is below 1, or the schedule's end lies behind them.
            TypeError: If `steps` is not an integer.
        """
        return self.combination.schedule.update_steps(steps)

    @property
    def ranking(self) -> Ranking:
        """Three of the four choices: all but the schedule."""
        return self._ranking(self.combination)

    def _ranking(self, parts: Pruner) -> Ranking:
        return Ranking(self.name, parts.score, parts.shape, parts.scope, parts.floor)

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
        seen, parts = Seen(problem, params, None, noise), self.combination
        return parts.schedule.begin(self._ranking(parts), seen, masks, budget)

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
        seen, parts = Seen(problem, params, grads, noise), self.combination
        return parts.schedule.advance(self._ranking(parts), seen, state)


@final
@dataclass(frozen=True, kw_only=True)
class Pruner(AbstractPruner):
    """Any combination of a score, a schedule, a shape and a scope.

    Attributes:
        score: How much each weight matters: a function of a problem, parameters, masks and noise,
            such as those of `prunelimits.scores`, or a `Score`.
        schedule: When is pruned, and how many survive each time.

    Raises:
        ValueError: If the combination makes no sense; the message says why.
        TypeError: If a choice is of another kind.

    Examples:
        >>> from prunelimits import scores
        >>> from prunelimits.pruners import NOfM
        >>> late = Pruner(
        ...     score=scores.snip,
        ...     schedule=Gradual(rounds=10, start=0.2, end=0.6),
        ...     shape=NOfM(2, 4),
        ... )
        >>> late.needs_data, late.update_steps(1000)[-1]
        (True, 600)
    """

    score: AnyScore
    schedule: Schedule = field(default_factory=AtOnce)
    shape: Shape = field(default_factory=Weights)
    scope: Scope = "global"
    floor: int = 0

    def __init__(
        self,
        *,
        score: object,
        schedule: Schedule | None = None,
        shape: Shape | None = None,
        scope: Scope = "global",
        floor: int = 0,
    ) -> None:
        # Written out, since a plain function may stand for a score.
        object.__setattr__(self, "score", as_score(score))
        object.__setattr__(self, "schedule", AtOnce() if schedule is None else schedule)
        object.__setattr__(self, "shape", Weights() if shape is None else shape)
        object.__setattr__(self, "scope", scope)
        object.__setattr__(self, "floor", floor)
        self.__post_init__()

    def __post_init__(self) -> None:
        super().__post_init__()
        checked_instance("schedule", self.schedule, Schedule, "a Schedule, such as Gradual()")
        self.schedule.check(self.ranking)

    @property
    @override
    def combination(self) -> Pruner:
        """Itself."""
        return self

    @property
    @override
    def name(self) -> str:
        """With that of the function that scores: `"Pruner(snip)"`."""
        function = self.score.function
        return f"Pruner({getattr(function, '__name__', type(function).__name__)})"

    @property
    def category(self) -> Category:
        """When it prunes."""
        return self.schedule.category
