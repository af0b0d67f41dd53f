"""A pruner in Lightning's Trainer, with automatic or manual optimisation."""

# ruff: noqa: ANN401 - the types are those of a package that may be missing
from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any, final

from torch import nn

from prunelimits.integrations.callback import AttachingCallback

if find_spec("lightning") is not None:
    _Callback: Any = import_module("lightning.pytorch").Callback
elif find_spec("pytorch_lightning") is not None:
    _Callback = import_module("pytorch_lightning").Callback
else:
    raise ImportError("prunelimits.integrations.lightning needs lightning: pip install lightning")


@final
class PruningCallback(AttachingCallback, _Callback):
    """Prunes a LightningModule while its Trainer trains it: `attach`, with the Trainer's clock.

    Several optimizers share one budget. Checkpoints hold the session, and a training that goes on
    from one goes on with it. The arguments are those of `attach`; without `every` and `steps` the
    Trainer's estimate of the training's steps is divided.
    """

    _saved: dict[str, Any] | None = None

    def on_train_start(self, trainer: Any, pl_module: nn.Module) -> None:
        """Attaches: the optimizers are there, and what a checkpoint held is loaded."""
        saved, self._saved = self._saved, None
        self._begin(pl_module, trainer.optimizers, trainer.estimated_stepping_batches, saved)

    def on_train_end(self, trainer: Any, pl_module: nn.Module) -> None:
        """Takes the hooks off; the masks are those of `session.masks`."""
        self._end()

    def on_exception(self, trainer: Any, pl_module: nn.Module, exception: BaseException) -> None:
        """Takes the hooks off."""
        self._end(exception)

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return (self._saved or {}) if self.session is None else self.session.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """What a checkpoint kept."""
        self._saved = state_dict or None
