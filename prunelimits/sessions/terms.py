"""What a session was asked for, and what it remembers of that for a later resumption."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from prunelimits.arguments import (
    checked_instance,
    checked_integer,
    checked_tensor,
    checked_tensors,
)
from prunelimits.masks import check_masks
from prunelimits.pruners import AbstractPruner, Gradual, Moving, State
from prunelimits.pruners.described import settings
from prunelimits.types import Masks

_SAVED = {*State._fields, "pruner", "asked", "update_steps", "steps", "generator"}


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What the arguments of `attach` come to.

    Attributes:
        pruner: The method; None for masks that are held as they are.
        allowed: The weights that may be kept; the masks to hold.
        budget: How many survive, as the method divides it.
        update_steps: After which optimizer steps (from 1) rounds fall, one entry a round.
        last: The last step of the training, where it is known.
    """

    pruner: AbstractPruner | None
    allowed: Masks
    budget: Tensor
    update_steps: tuple[int, ...] = ()
    last: int | None = None

    @property
    def needs_gradients(self) -> bool:
        """Whether rounds rank by dense gradients."""
        return self.pruner is not None and self.pruner.needs_gradients

    @property
    def rounds(self) -> int:
        """How many rounds such a training has: one that needs gradients falls in the next step."""
        last = self.last if self.last is not None else max(self.update_steps, default=0)
        if self.needs_gradients:
            last -= 1
        return sum(step <= last for step in self.update_steps)

    @property
    def wanted(self) -> str:
        """How much shall be left, for messages."""
        number = int(self.budget.sum())
        if self.pruner is None:
            return str(number)
        counted = self.pruner.shape.counted(self.budget, self.pruner.ranking.groups)
        return f"{number} units" if counted == "units" else str(number)

    def held(self, masks: Masks) -> Masks:
        """The masks, and with them those of what goes along: biases and norms of whole units."""
        return masks if self.pruner is None else self.pruner.shape.complete(masks)

    def saved(self) -> dict[str, Any]:
        """What a resumed session is compared with: text and tensors."""
        return {
            "pruner": "masks" if self.pruner is None else settings(self.pruner),
            "asked": self.budget.clone(),
            "update_steps": torch.tensor(self.update_steps, dtype=torch.int64, device="cpu"),
        }

    def check(self, saved: Mapping[str, Any]) -> None:
        """Raises if a saved session was asked for something else.

        Raises:
            ValueError: Naming the argument that differs.
            TypeError: If `saved` is no mapping.
        """
        checked_instance("resume", saved, Mapping, "what PruningSession.state_dict gave")
        if set(saved) != _SAVED:
            raise ValueError(f"resume must have {sorted(_SAVED)}, got {sorted(saved)}")
        _check_state(saved)
        mine = self.saved()
        if saved["pruner"] != mine["pruner"]:
            raise ValueError(f"pruner must be {saved['pruner']} as in resume, got {mine['pruner']}")
        masks: Masks = saved["masks"]
        if set(masks) != set(self.allowed):
            raise ValueError(
                f"resume prunes {sorted(masks)}, but here {sorted(self.allowed)}: "
                "ignore and include must be the same"
            )
        check_masks(self.allowed, masks)
        forbidden = [
            name for name, mask in masks.items()
            if (mask & ~self.allowed[name].to(mask.device)).any()
            or (self.pruner is None and not torch.equal(mask, self.allowed[name].to(mask.device)))
        ]  # fmt: skip
        if forbidden:
            raise ValueError(f"masks must be those of resume, got others for {forbidden[0]!r}")
        if not torch.equal(saved["asked"].cpu(), self.budget.cpu()):
            raise ValueError(
                f"keep or sparsity must leave {int(saved['asked'].sum())} weights as in resume, "
                f"got {int(self.budget.sum())}"
            )
        if not torch.equal(saved["update_steps"].cpu(), mine["update_steps"]):
            raise ValueError(
                f"every, steps and start must give the rounds of resume, after steps "
                f"{_short(saved['update_steps'])}, got {_short(mine['update_steps'])}"
            )
        checked_integer("resume['steps']", saved["steps"], 0)


def _check_state(saved: Mapping[str, Any]) -> None:
    """Raises unless what was saved are tensors such as a session's, whatever they say.

    Raises:
        TypeError: If one is of another kind.
        ValueError: If one is out of its range.
    """
    for name in ("masks", "memory"):
        checked_tensors(f"resume[{name!r}]", saved[name], real=False)
    for name in ("asked", "update_steps", "budget", "start", "round"):
        value = checked_tensor(f"resume[{name!r}]", saved[name])
        if value.dtype != torch.int64:
            raise TypeError(f"resume[{name!r}] must hold whole numbers, got {value.dtype}")
        if bool((value < 0).any()):
            raise ValueError(f"resume[{name!r}] must be at least 0, got {value.tolist()}")
    if saved["start"].shape != saved["budget"].shape:
        shapes = tuple(saved["budget"].shape), tuple(saved["start"].shape)
        raise ValueError("resume['start'] must have shape {} as budget, got {}".format(*shapes))
    if saved["round"].dim():
        raise ValueError(f"resume['round'] must be one number, got {saved['round'].tolist()}")
    checked_integer("resume['round']", int(saved["round"]), 0, len(saved["update_steps"]))


def update_steps(
    pruner: AbstractPruner, every: int | None, steps: int | None, start: int
) -> tuple[int, ...]:
    """After which optimizer steps the rounds fall.

    Raises:
        ValueError: If not exactly one of `every` and `steps` is given, or one is out of its range.
        TypeError: If one is not an integer.
    """
    if (every is None) == (steps is None):
        raise ValueError(f"exactly one of every and steps must be given, got {every}, {steps}")
    checked_integer("start", start, 0)
    if steps is not None:
        checked_integer("steps", steps, 1)
        checked_integer("start", start, 0, steps - 1)
        return tuple(start + step for step in pruner.update_steps(steps - start))
    interval = checked_integer("every", every, 1)
    schedule = pruner.combination.schedule
    first = schedule.start if isinstance(schedule, Gradual | Moving) else 0
    if isinstance(first, float) and first:
        raise ValueError(
            f"steps is needed, not every, for a schedule that starts at a share of the training, "
            f"{first}"
        )
    start += int(first)
    return tuple(start + interval * done for done in range(1, schedule.rounds + 1))


def _short(steps: Tensor) -> str:
    numbers = steps.tolist()
    return str(numbers) if len(numbers) < 7 else f"{numbers[:3]} ... {numbers[-1]}"
