"""What of a module is pruned and what is left out, told by name."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import nn

from prunelimits.arguments import warn
from prunelimits.pruners.parts import Part
from prunelimits.pruners.prunable import weights_of
from prunelimits.sharding import whole

_MOST_UNTOLD = 0.1
# Random numbers of float32 hold a few exact zeros.
_ZEROS_BY_CHANCE = 0.01
_CHOSEN = ("named in ignore", "frozen")


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """Which of a model's matrices pruners prune; `str` shows it as a table.

    Attributes:
        pruned: Name -> shape of every weight that may be pruned.
        left_out: Name -> shape of every other parameter of two or more axes.
        reasons: Name -> why it is left out.
    """

    pruned: dict[str, torch.Size]
    left_out: dict[str, torch.Size]
    reasons: dict[str, str]

    @property
    def share(self) -> float:
        """The share of all these entries that may be pruned, 0 to 1; NaN if there are none."""
        pruned, left = (
            sum(shape.numel() for shape in part.values()) for part in (self.pruned, self.left_out)
        )
        return pruned / (pruned + left) if pruned + left else float("nan")

    def __str__(self) -> str:
        rows = [(name, shape, "pruned") for name, shape in self.pruned.items()]
        rows += [
            (name, shape, f"left out: {self.reasons[name]}")
            for name, shape in self.left_out.items()
        ]
        width = max((len(name) for name, _, _ in rows), default=0)
        lines = [f"{name:<{width}}  {shape.numel():>12,}  {what}" for name, shape, what in rows]
        return "\n".join([*lines, f"{self.share:.1%} of the entries may be pruned"])


def coverage(
    model: nn.Module, *, include: Iterable[Part] = (), ignore: Iterable[Part] = ()
) -> Coverage:
    """What of a model may be pruned, and why the rest is left out.

    Args:
        model: Any module.
        include: As in `prune`.
        ignore: As in `prune`.

    Raises:
        ValueError: As `prunable` does, but not where there is nothing to prune.
        TypeError: As `prunable` does.

    Examples:
        >>> print(coverage(nn.Sequential(nn.Embedding(5, 4), nn.Linear(4, 2))))
        1.weight             8  pruned
        0.weight            20  left out: an embedding: a table that is looked up, not multiplied
        28.6% of the entries may be pruned
    """
    weights = weights_of(model, ignore, include)
    return Coverage(
        pruned={w.name: w.parameter.shape for w in weights if w.reason is None},
        left_out={w.name: w.parameter.shape for w in weights if w.reason is not None},
        reasons={w.name: w.reason for w in weights if w.reason is not None},
    )


def warn_of_left_out(model: nn.Module, include: Iterable[Part], ignore: Iterable[Part]) -> None:
    """Warns if more than a tenth of the matrices' entries is left out unasked.

    What the caller ignores or has frozen is not counted.
    """
    told = coverage(model, include=include, ignore=ignore)
    left = {
        name: shape.numel()
        for name, shape in told.left_out.items()
        if not told.reasons[name].startswith(_CHOSEN)
    }
    total = sum(left.values()) + sum(shape.numel() for shape in told.pruned.values())
    if sum(left.values()) > _MOST_UNTOLD * total:
        largest = sorted(left, key=lambda name: left[name], reverse=True)[:3]
        names = ", ".join(f"{name} ({told.reasons[name]})" for name in largest)
        more = f" and {len(left) - 3} more" if len(left) > 3 else ""
        warn(
            f"{sum(left.values()):,} of the {total:,} entries of the model's matrices are not "
            f"pruned: {names}{more}; include= prunes them, ignore= says that they stay",
        )


def warn_of_zeros(model: nn.Module, names: Iterable[str]) -> None:
    """Warns if a weight is zero in part, as one is that was pruned: only masks keep it so."""
    parameters = dict(model.named_parameters())
    pruned: list[str] = []
    for name in names:
        values = whole(parameters[name].detach())
        zeros = 1 - int(values.count_nonzero()) / max(1, values.numel())
        if _ZEROS_BY_CHANCE < zeros < 1:
            pruned.append(name)
    if pruned:
        warn(
            f"the model has zeros in {', '.join(pruned[:3])}{' and more' * (len(pruned) > 3)}, as "
            "if it was pruned already: masks= of what was pruned keeps them at zero, masks={} lets "
            "them come back",
        )
