"""What a study found: best and typical runs, the smallest networks at a target, Pareto fronts."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from statistics import median
from typing import Literal, TypeAlias, get_args

from torch import Tensor

from prunelimits.arguments import checked_choice, checked_number, shown
from prunelimits.experiments.table import RunResult, checked_results
from prunelimits.pareto import pareto_front

Size: TypeAlias = Literal["nonzeros", "effective", "trimmed"]
"""Which of `RunResult`'s numbers counts as the size of a network."""


@dataclass(frozen=True)
class BudgetSummary:
    """All runs of one method, width and budget: over recipes and repeats.

    Attributes:
        method: The pruner's name.
        width: Hidden width of the network that was pruned.
        keep: Weights that survive.
        runs: How many runs.
        best: The most accurate of them; the smallest of equals.
        accuracy: Their median accuracy, or R² where numbers are predicted.
        interval: Of that median, see `median_interval`; None for fewer than 6 runs.
        nonzeros: Median of weights and biases.
        connected: Median share of the nonzeros that lie on a path from an input to an output.
        trimmed: Median share of the nonzeros that trimming leaves.
        parameter_samples: Median.
        operations: Median.
    """

    method: str
    width: int
    keep: int
    runs: int
    best: RunResult
    accuracy: float
    interval: tuple[float, float] | None
    nonzeros: float
    connected: float
    trimmed: float
    parameter_samples: float
    operations: float


def summarise(results: Iterable[RunResult]) -> list[BudgetSummary]:
    """One summary for each method, width and budget, in the order of these.

    Raises:
        TypeError: If `results` holds something else, or what should be a number is none.
        ValueError: If a number in them is out of its range.

    Examples:
        >>> from prunelimits.experiments import Run
        >>> run = Run("SNIP", width=16, keep=20, recipe=0, repeat=0)
        >>> (summary,) = summarise(
        ...     RunResult(run._replace(repeat=r), 30, 15, 12, accuracy, 7e7, 4e8)
        ...     for r, accuracy in enumerate((0.91, 0.75, 0.80))
        ... )
        >>> summary.runs, summary.accuracy, summary.best.accuracy, summary.connected
        (3, 0.8, 0.91, 0.5)
    """

    def budget(result: RunResult) -> tuple[str, int, int]:
        return result.run[:3]

    summaries: list[BudgetSummary] = []
    ordered = sorted(checked_results(results), key=budget)
    for (method, width, keep), group in groupby(ordered, budget):
        runs = list(group)
        accuracies = [r.accuracy for r in runs]
        summaries.append(
            BudgetSummary(
                method=method,
                width=width,
                keep=keep,
                runs=len(runs),
                best=max(runs, key=lambda r: (r.accuracy, -r.nonzeros)),
                accuracy=median(accuracies),
                interval=median_interval(accuracies),
                nonzeros=median(r.nonzeros for r in runs),
                connected=median(r.effective / max(1, r.nonzeros) for r in runs),
                trimmed=median(r.trimmed / max(1, r.nonzeros) for r in runs),
                parameter_samples=median(r.parameter_samples for r in runs),
                operations=median(r.operations for r in runs),
            )
        )
    return summaries


def median_interval(
    values: Iterable[float], confidence: float = 0.95
) -> tuple[float, float] | None:
    """A confidence interval of the median that holds for any distribution of the values.

    From the k-th smallest to the k-th largest value, with the largest k for which the median is
    left out with probability `2 P(Binomial(n, 1/2) < k)` of at most `1 - confidence`. None where
    there are too few values.

    Args:
        values: Independent draws.
        confidence: In (0, 1).

    Raises:
        ValueError: If `confidence` is out of its range, or a value is NaN or infinite.
        TypeError: If one of them is no number.

    Examples:
        >>> median_interval([5, 1, 4, 2, 3, 9, 6, 8, 7])  # 96 % between the 2nd and the 8th of 9
        (2, 8)
    """
    confidence = checked_number("confidence", confidence, above=0, below=1)
    if isinstance(values, str | bytes | Tensor) or not isinstance(values, Iterable):
        raise TypeError(f"values must be numbers, got {shown(values)}")
    drawn = list(values)
    for place, value in enumerate(drawn):
        checked_number(f"values[{place}]", value)
    ordered = sorted(drawn)
    n, k, below = len(ordered), 0, 1  # `below` / 2^n is P(Binomial(n, 1/2) < k + 1)
    while 2 * below / 2**n <= 1 - confidence:
        k += 1
        below += math.comb(n, k)
    return (ordered[k - 1], ordered[-k]) if k else None


def front(results: Iterable[RunResult], size: Size = "nonzeros") -> list[tuple[int, float]]:
    """The Pareto front of size and accuracy: the best of all runs, whatever their recipe.

    Raises:
        ValueError: If `size` is none of the sizes, or a number in the results out of its range.
        TypeError: If `results` holds something else.

    Examples:
        >>> from prunelimits.experiments import Run
        >>> run = Run("SNIP", width=16, keep=20, recipe=0, repeat=0)
        >>> front([RunResult(run, 30, 15, 12, 0.9, 7e7, 4e8)], "effective")
        [(15, 0.9)]
    """
    checked_choice("size", size, get_args(Size))
    return pareto_front(
        (getattr(result, size), result.accuracy) for result in checked_results(results)
    )


def smallest(
    results: Iterable[RunResult], target: float, size: Size = "nonzeros"
) -> RunResult | None:
    """The smallest network that reaches the target, the most accurate of equals; None if none does.

    It is the best of all runs, whatever their recipe: more runs find smaller ones.

    Args:
        results: Of any methods and widths.
        target: Accuracy to reach, at least.
        size: What counts as the size.

    Raises:
        ValueError: If `target` is not in [0, 1], `size` none of the sizes, or a number in the
            results out of its range.
        TypeError: If `target` is no number, or `results` holds something else.

    Examples:
        >>> from prunelimits.experiments import Run
        >>> run = Run("SNIP", width=16, keep=20, recipe=0, repeat=0)
        >>> smallest([RunResult(run, 30, 15, 12, 0.9, 7e7, 4e8)], 0.95) is None
        True
    """
    target = checked_number("target", target, least=0, most=1)
    checked_choice("size", size, get_args(Size))
    reaching = (result for result in checked_results(results) if result.accuracy >= target)
    return min(reaching, key=lambda r: (getattr(r, size), -r.accuracy), default=None)
