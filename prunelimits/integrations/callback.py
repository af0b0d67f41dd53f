"""What the callbacks of all trainers have in common: the arguments, and the session."""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from prunelimits.progress import OnProgress
from prunelimits.pruners import AbstractPruner, Keep, Normalise, Part
from prunelimits.sessions import PruningSession, attach
from prunelimits.types import Masks


class AttachingCallback(ABC):  # noqa: B024 - what calls it differs from trainer to trainer
    """Attaches a session to what a trainer trains, and detaches it at the end.

    Args:
        pruner: As in `attach`, and so are the others.
        keep: See `attach`.
        sparsity: See `attach`.
        every: See `attach`.
        steps: See `attach`. None, and no `every`: as many as the trainer says that it will make.
        start: See `attach`.
        loss: See `attach`.
        batches: See `attach`.
        step: See `attach`.
        include: See `attach`.
        ignore: See `attach`.
        masks: See `attach`.
        normalise: See `attach`.
        generator: See `attach`.
        on_progress: See `attach`.

    Attributes:
        session: Of the training that runs or ran last; None before the first.
    """

    def __init__(
        self,
        pruner: AbstractPruner | Masks,
        *,
        keep: Keep | None = None,
        sparsity: float | None = None,
        every: int | None = None,
        steps: int | None = None,
        start: int = 0,
        loss: Callable[[Any, Any], Tensor] | None = None,
        batches: Iterable[Any] = (),
        step: Callable[[nn.Module, Any], Tensor] | None = None,
        include: Iterable[Part] = (),
        ignore: Iterable[Part] = (),
        masks: Masks | None = None,
        normalise: Normalise | None = None,
        generator: torch.Generator | None = None,
        on_progress: OnProgress | None = None,
    ) -> None:  # what `attach` is given
        super().__init__()
        self._pruner = pruner
        self._options: dict[str, Any] = {
            "keep": keep, "sparsity": sparsity, "every": every, "steps": steps, "start": start,
            "loss": loss, "batches": batches, "step": step, "include": include, "ignore": ignore,
            "masks": masks, "normalise": normalise, "generator": generator,
            "on_progress": on_progress,
        }  # fmt: skip
        self.session: PruningSession | None = None

    def _begin(
        self,
        model: nn.Module,
        optimizer: Any,  # noqa: ANN401 - whatever the trainer has
        steps: float,
        saved: Mapping[str, Any] | None,
    ) -> None:
        """Attaches, and goes on with what was saved; `steps` are the trainer's, may be infinite."""
        self._end()  # a training that was broken off
        options = dict(self._options)
        unsaid = options["every"] is None and options["steps"] is None
        if isinstance(self._pruner, AbstractPruner) and unsaid and steps != float("inf"):
            options["steps"] = int(steps)
        self.session = attach(self._pruner, model, optimizer, resume=saved, **options)
        self.session.__enter__()

    def _end(self, error: BaseException | None = None) -> None:
        """Takes the hooks off, if they are on; the masks are those of `session.masks`."""
        if self.session is not None and self.session.is_active:
            self.session.__exit__(None if error is None else type(error), error, None)
