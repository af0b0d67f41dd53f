"""A pruner in the Trainer of Hugging Face's transformers."""

# ruff: noqa: ANN401 - the types are those of a package that may be missing
from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from prunelimits.pruners import AbstractPruner, Keep, Part
from prunelimits.sessions import PruningSession, attach
from prunelimits.types import Masks

if find_spec("transformers") is None:
    raise ImportError("prunelimits.integrations.trainer needs transformers: pip install it")
_TrainerCallback: Any = import_module("transformers.trainer_callback").TrainerCallback
_FILE = "pruning.pt"


class PruningCallback(_TrainerCallback):
    """Prunes a model while a Trainer trains it: `attach`, with the Trainer's clock.

    A checkpoint's folder has the session in `pruning.pt`, and `resume_from_checkpoint` goes on with
    it, from folders that the Trainer named.

    Args:
        pruner: As in `attach`, and so are the others.
        keep: See `attach`.
        sparsity: See `attach`.
        every: See `attach`. None: the Trainer's number of steps is divided.
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
        self._pruner = pruner
        self._options: dict[str, Any] = {
            "keep": keep, "sparsity": sparsity, "every": every, "start": start, "loss": loss,
            "batches": batches, "step": step, "include": include, "ignore": ignore,
            "generator": generator,
        }  # fmt: skip
        self.session: PruningSession | None = None

    def on_train_begin(
        self,
        args: Any,
        state: Any,
        control: Any,
        model: nn.Module,
        optimizer: Any,
        **_: Any,
    ) -> None:
        """Attaches; where the training goes on, to the session of its checkpoint."""
        options, saved = dict(self._options), None
        if isinstance(self._pruner, AbstractPruner) and options["every"] is None:
            options["steps"] = state.max_steps
        if state.global_step:
            path = _folder(args, state) / _FILE
            saved = torch.load(path, weights_only=True)
        self.session = attach(self._pruner, model, optimizer, resume=saved, **options)
        self.session.__enter__()

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Takes the hooks off; the masks are those of `session.masks`."""
        if self.session is not None:
            self.session.__exit__(None, None, None)

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Puts the session beside the checkpoint."""
        if self.session is not None and state.is_world_process_zero:
            torch.save(self.session.state_dict(), _folder(args, state) / _FILE)


def _folder(args: Any, state: Any) -> Path:
    return Path(args.output_dir) / f"checkpoint-{state.global_step}"
