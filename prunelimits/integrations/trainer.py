"""A pruner in the Trainer of Hugging Face's transformers."""

# ruff: noqa: ANN401 - the types are those of a package that may be missing
from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, final

import torch
from torch import nn

from prunelimits.integrations.callback import AttachingCallback

if find_spec("transformers") is None:
    raise ImportError("prunelimits.integrations.trainer needs transformers: pip install it")
_TrainerCallback: Any = import_module("transformers.trainer_callback").TrainerCallback
_FILE = "pruning.pt"


@final
class PruningCallback(AttachingCallback, _TrainerCallback):
    """Prunes a model while a Trainer trains it: `attach`, with the Trainer's clock.

    A checkpoint's folder has the session in `pruning.pt`, and `resume_from_checkpoint` goes on with
    it, from folders that the Trainer named. The arguments are those of `attach`; without `every`
    and `steps` the Trainer's number of steps is divided.
    """

    def on_train_begin(
        self,
        args: Any,
        state: Any,
        control: Any,
        model: nn.Module,
        optimizer: Any,
        **_: Any,
    ) -> None:
        """Attaches; where the training goes on, to the session of its checkpoint.

        Raises:
            FileNotFoundError: If the checkpoint has no session.
        """
        saved = None
        if state.global_step:
            path = _folder(args, state) / _FILE
            if not path.exists():
                raise FileNotFoundError(
                    f"{path} is not there: the checkpoint was written without this callback, or "
                    "is in another folder than output_dir says"
                )
            saved = torch.load(path, weights_only=True)
        self._begin(model, optimizer, state.max_steps, saved)

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Takes the hooks off; the masks are those of `session.masks`."""
        self._end()

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Puts the session beside the checkpoint."""
        if self.session is not None and state.is_world_process_zero:
            torch.save(self.session.state_dict(), _folder(args, state) / _FILE)


def _folder(args: Any, state: Any) -> Path:
    return Path(args.output_dir) / f"checkpoint-{state.global_step}"
