"""A pruner in Lightning's Trainer, with automatic or manual optimisation."""

# ruff: noqa: ANN401 - the types are those of a package that may be missing
from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn

from prunelimits.pruners import AbstractPruner, Keep, Part
from prunelimits.sessions import PruningSession, attach
from prunelimits.types import Masks

if find_spec("lightning") is not None:
    _Callback: Any = import_module("lightning.pytorch").Callback
elif find_spec("pytorch_lightning") is not None:
    _Callback = import_module("pytorch_lightning").Callback
else:
    raise ImportError("prunelimits.integrations.lightning needs lightning: pip install lightning")


class PruningCallback(_Callback):
    """Prunes a LightningModule while its Trainer trains it: `attach`, with the Trainer's clock.

    Several optimizers share one budget. Checkpoints hold the session, and a training that goes on
    from one goes on with it.

    Args:
        pruner: As in `attach`, and so are the others.
        keep: See `attach`.
        sparsity: See `attach`.
        every: See `attach`. None: the Trainer's estimate of the training's steps is divided.
        start: See `attach`.
        loss: See `attach`.
        batches: See `attach`.
        step: See `attach`.
        include: See `attach`.
        ignore: See `attach`.
        generator: See `attach`.
    """

    def __init__(
        self,
        pruner: AbstractPruner | Masks,
        *,
        keep: Keep | None = None,
        sparsity: float | None = None,
        every: int | None = None,
        start: int = 0,
        loss: Callable[[Any, Any], Tensor] | None = None,
        batches: Iterable[Any] = (),
        step: Callable[[nn.Module, Any], Tensor] | None = None,
        include: Iterable[Part] = (),
        ignore: Iterable[Part] = (),
        generator: torch.Generator | None = None,
    ) -> None:  # what `attach` is given
        super().__init__()
        self._pruner = pruner
        self._options: dict[str, Any] = {
            "keep": keep, "sparsity": sparsity, "every": every, "start": start, "loss": loss,
            "batches": batches, "step": step, "include": include, "ignore": ignore,
            "generator": generator,
        }  # fmt: skip
        self._saved: dict[str, Any] | None = None
        self.session: PruningSession | None = None

    def on_train_start(self, trainer: Any, pl_module: nn.Module) -> None:
        """Attaches: the optimizers are there, and what a checkpoint held is loaded."""
        options = dict(self._options)
        if isinstance(self._pruner, AbstractPruner) and options["every"] is None:
            steps = trainer.estimated_stepping_batches
            options["steps"] = int(steps) if steps != float("inf") else None
        self.session = attach(
            self._pruner, pl_module, trainer.optimizers, resume=self._saved, **options
        )
        self.session.__enter__()

    def on_train_end(self, trainer: Any, pl_module: nn.Module) -> None:
        """Takes the hooks off; the masks are those of `session.masks`."""
        if self.session is not None:
            self.session.__exit__(None, None, None)

    def on_exception(self, trainer: Any, pl_module: nn.Module, exception: BaseException) -> None:
        """Takes the hooks off."""
        if self.session is not None and self.session.is_active:
            self.session.__exit__(type(exception), exception, None)

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {} if self.session is None else self.session.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """What a checkpoint kept."""
        self._saved = state_dict or None
