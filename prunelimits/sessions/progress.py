"""How far a session is, and what is told at its end, once nobody can enter it again."""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.hooks import RemovableHandle

from prunelimits.arguments import warn
from prunelimits.sessions.terms import Terms
from prunelimits.sharding import local, part_like
from prunelimits.types import Masks


@dataclass
class Progress:
    """How far a session is.

    Attributes:
        terms: What it was asked for.
        left: How many weights are kept.
        steps: How many steps are done.
        rounds: How many rounds are done.
    """

    terms: Terms
    left: int
    steps: int = 0
    rounds: int = 0
    _finalizer: weakref.finalize[..., Any] | None = None
    _outside: _StepsOutside | None = None
    _unused: weakref.finalize[..., Any] | None = None

    def is_new(
        self,
        session: object,
        optimizers: Sequence[Optimizer],
        weights: Mapping[str, nn.Parameter],
        masks: Masks,
    ) -> None:
        """Nobody has used the session; if steps are made without it until its end, that is told."""
        pruned = [(weakref.ref(weight), masks[name]) for name, weight in weights.items()]
        outside = _StepsOutside(pruned, acts=bool(self.terms.update_steps))
        for optimizer in optimizers:
            outside.handles.append(optimizer.register_step_post_hook(outside.count))
        self._outside = outside
        self._unused = weakref.finalize(session, outside.tell)

    def is_open(self, session: object) -> None:
        """The session may still be taken up; when it is given up, it tells what is missing."""
        if self._unused is not None and self._unused.detach() and self._outside is not None:
            self._outside.remove()
        if self._finalizer is None or not self._finalizer.alive:
            self._finalizer = weakref.finalize(session, self._tell)

    def is_closed(self) -> None:
        """Nothing is to be said of rounds that are missing."""
        if self._finalizer is not None:
            self._finalizer.detach()

    def _tell(self) -> None:
        """Warns if rounds are missing."""
        wanted = self.terms.rounds
        if self.rounds >= wanted:
            return
        result = (
            "the weights have not moved as the method says"
            if self.terms.needs_gradients
            else f"{self.left} weights are left instead of {self.terms.wanted}"
        )
        warn(
            f"the training ended after {self.steps} step{'' if self.steps == 1 else 's'} and "
            f"{self.rounds} of {len(self.terms.update_steps)} rounds: {result}",
        )


class _StepsOutside:
    """Optimizer steps before the session is entered, which may be in vain.

    Args:
        pruned: The weights and their masks; the weights may be gone at the end.
        acts: Whether rounds are missing, too.
    """

    def __init__(
        self, pruned: Sequence[tuple[weakref.ref[nn.Parameter], Tensor]], *, acts: bool
    ) -> None:
        self.handles: list[RemovableHandle] = []
        self._pruned = pruned
        self._acts = acts
        self._steps = 0

    def count(self, *_: object) -> None:
        """The optimizer's hook."""
        self._steps += 1

    def remove(self) -> None:
        """Takes the hooks off."""
        for handle in self.handles:
            handle.remove()

    def tell(self) -> None:
        """Warns if there were steps, and rounds are missing or pruned weights came back."""
        self.remove()
        if not self._steps or not (self._acts or self._came_back()):
            return
        result = "nothing was pruned on the way" if self._acts else "pruned weights came back"
        warn(
            f"the model was trained outside its session, and {result}: write `with session:` "
            "around the loop, or call session.step() in place of optimizer.step()",
        )

    def _came_back(self) -> bool:
        present = [(weight(), mask) for weight, mask in self._pruned]
        return any(
            bool(local(weight).detach()[~part_like(mask.to(weight.device), weight)].any())
            for weight, mask in present
            if weight is not None
        )
