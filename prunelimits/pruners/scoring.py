"""A score as a value: a function, its options, and what it needs."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, TypeAlias, final, get_args

from prunelimits import scores
from prunelimits.arguments import checked_callable, checked_choice, checked_flag, checked_integer
from prunelimits.structure import Normalise
from prunelimits.types import Masks, Params, Problem, Scores


def _signature(function: Callable[..., Any]) -> inspect.Signature:
    # Of plain functions alone: a method's keeps its object alive.
    return _kept(function) if inspect.isfunction(function) else inspect.signature(function)


_kept = lru_cache(maxsize=64)(inspect.signature)


def _check_call(function: Callable[..., Any], positional: int, options: dict[str, Any]) -> None:
    try:
        _signature(function).bind(*[None] * positional, **options)
    except ValueError:  # some of C have no signature
        return
    except TypeError as error:
        names = "problem, params, masks, noise"
        if positional == 6:
            names = "problem, params, masks, budget, ranking, noise"
        raise TypeError(
            f"score must be a function of ({names}) and its options, got {function!r}: {error}"
        ) from None


@dataclass(frozen=True, kw_only=True)
class AbstractScore:
    """What scores have in common: a function, its options, and what it needs.

    Attributes:
        function: A pure function of tensors; see `Score` and `LearnedScore`.
        options: Its keyword arguments by name.
        needs_data: Whether it uses the problem's batches and loss.
        needs_noise: Whether it wants uniform random numbers.
        normalise: What BatchNorm normalises by while it scores, as its authors' code does: the
            statistics of the batch, or the running ones.
        batches: How many batches the published method scores with; None: all.
    """

    function: Callable[..., Any] = field(kw_only=False)
    options: Mapping[str, object] | tuple[tuple[str, object], ...] = ()
    needs_data: bool = False
    needs_noise: bool = False
    normalise: Normalise = "running"
    batches: int | None = 1

    def __post_init__(self) -> None:
        checked_callable("function", self.function, "a function that scores weights")
        for name in ("needs_data", "needs_noise"):
            checked_flag(name, getattr(self, name))
        checked_choice("normalise", self.normalise, get_args(Normalise))
        if self.batches is not None:
            checked_integer("batches", self.batches, 1)
        try:
            options = tuple(sorted(dict(self.options).items()))
        except (TypeError, ValueError):
            raise TypeError(f"options must be a dict by name, got {self.options!r}") from None
        object.__setattr__(self, "options", options)
        _check_call(self.function, self._positional, dict(options))

    @property
    def _positional(self) -> int:
        raise NotImplementedError


@final
@dataclass(frozen=True, kw_only=True)
class Score(AbstractScore):
    """How much each weight is worth keeping, by `function(problem, params, masks, noise)`.

    The function gives a tensor for every name in `masks`, of its shape, larger meaning keep. What
    the masks prune should count as zero, whatever `params` holds there. A plain function may stand
    for `Score(function)`; those of `prunelimits.scores` are known with what they need.

    Examples:
        >>> from prunelimits import scores
        >>> snip = Score(scores.snip, needs_data=True, options={"xavier": False})
        >>> snip == Score(scores.snip, needs_data=True, options={"xavier": False})
        True
    """

    @property
    def _positional(self) -> int:
        return 4

    def __call__(
        self, problem: Problem, params: Params, masks: Masks, noise: Params | None = None
    ) -> Scores:
        """What the function says, with the options."""
        return self.function(problem, params, masks, noise, **dict(self.options))


@final
@dataclass(frozen=True, kw_only=True)
class LearnedScore(AbstractScore):
    """A score that a training of its own finds, and the weights that belong to it.

    `function(problem, params, masks, budget, ranking, noise)` gives the scores and the parameters
    to keep; `ranking.keep(scores, allowed, budget)` gives the masks that shape and scope make of
    scores. The training is on the problem's batches, in evaluation mode, on values of its own.

    Attributes:
        chooses: Whether the function chooses single weights itself, and scores them 1 or 0: then
            no other shape is possible.
    """

    needs_data: bool = True
    batches: int | None = None
    chooses: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        checked_flag("chooses", self.chooses)

    @property
    def _positional(self) -> int:
        return 6


AnyScore: TypeAlias = Score | LearnedScore

# What the functions of `prunelimits.scores` need.
_KNOWN: dict[Callable[..., Any], Score] = {
    one.function: one
    for one in (
        Score(scores.magnitude),
        Score(scores.lamp),
        Score(scores.synflow),
        Score(scores.random, needs_noise=True),
        Score(scores.wanda, batches=None),
        Score(scores.obc, batches=None),
        Score(scores.snip, needs_data=True),
        Score(scores.obd, needs_data=True),
        Score(scores.grasp, needs_data=True, normalise="batch", batches=2),
        Score(scores.prospr, needs_data=True, normalise="batch", batches=4),
    )
}


def as_score(score: object, options: Mapping[str, object] | None = None) -> AnyScore:
    """A score as a value, from one or from a plain function; with other options, if any.

    A function that is not known is given noise, and data where there are some.

    Raises:
        TypeError: If it is neither, or the function takes other arguments.
    """
    if not isinstance(score, Score | LearnedScore):
        if not callable(score) or isinstance(score, type):
            raise TypeError(
                "score must be a function of a problem, parameters, masks and noise, such as "
                f"prunelimits.scores.snip, or a Score, got {score!r}"
            )
        score = _KNOWN.get(score) or Score(score, needs_noise=True)
    return score if options is None else replace(score, options=options)
