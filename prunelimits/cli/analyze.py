"""`prunelimits analyze`."""

from __future__ import annotations

import contextlib
import importlib
import json
import pickle
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
from torch import Tensor, nn
from tyro.conf import Positional, arg

from prunelimits.cli.report import console
from prunelimits.connectivity import analyze
from prunelimits.saving import load, write_atomically
from prunelimits.types import Masks


@dataclass(frozen=True)
class Analyze:
    """Show what of a sparse network really counts: paths, dead units, effective sparsity."""

    file: Annotated[Path | None, Positional, arg(metavar="FILE")] = None
    """A network that prunelimits saved."""
    model: Annotated[str | None, arg(metavar="MODULE:FACTORY")] = None
    """Instead of FILE: a function of yours, without arguments, that makes a model. It is run."""
    state_dict: Annotated[Path | None, arg(metavar="FILE")] = None
    """The model's state dict, as torch.save wrote it; no code in the file is run."""
    input_shape: Annotated[tuple[int, ...] | None, arg(metavar="N")] = None
    """The shape of one input, such as 3 32 32; needed unless the first layer is linear."""
    json: Annotated[Path | None, arg(metavar="FILE")] = None
    """Write every number to a .json file."""

    def run(self) -> int:
        """Prints the table and writes what was asked for."""
        model, masks = self._network()
        inputs = None if self.input_shape is None else torch.zeros(1, *self.input_shape)
        report = analyze(model, masks, inputs=inputs)
        console.print(str(report), markup=False, soft_wrap=True)
        if self.json is not None:
            write_atomically(json.dumps(report.to_dict(), indent=1).encode(), self.json)
        return 0

    def _network(self) -> tuple[nn.Module, Masks | None]:
        if (self.file is None) == (self.model is None):
            raise ValueError("give a FILE that prunelimits saved, or --model MODULE:FACTORY")
        if self.file is not None:
            if self.state_dict is not None:
                raise ValueError("--state-dict belongs to --model, and FILE holds its own")
            model, masks = load(self.file)
            # A file without masks: zeros are the mask.
            return model, masks or None
        assert self.model is not None
        model = _made(self.model)
        if self.state_dict is not None:
            _load_state(model, self.state_dict)
        return model, None


def _made(name: str) -> nn.Module:
    module, _, factory = name.partition(":")
    if not module or not factory:
        raise ValueError(f"--model must be MODULE:FACTORY, such as my_models:resnet, got {name!r}")
    # As `python -m` does: modules in the current folder are found.
    sys.path.insert(0, str(Path.cwd()))
    try:
        found: object = importlib.import_module(module)
        for part in factory.split("."):
            found = getattr(found, part)
    except AttributeError as error:
        raise ValueError(f"--model {name}: {error}") from error
    finally:
        sys.path.remove(str(Path.cwd()))
    made: object = found() if callable(found) else found
    if not isinstance(made, nn.Module):
        raise TypeError(f"--model {name} must make a torch.nn.Module, got {type(made).__name__}")
    return made


def _load_state(model: nn.Module, path: Path) -> None:
    content: object = None
    # A file that holds anything but tensors is refused, however torch.load puts it.
    with contextlib.suppress(pickle.UnpicklingError, RuntimeError, EOFError):
        content = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(content, dict) or not all(isinstance(v, Tensor) for v in content.values()):
        raise ValueError(f"{path} must hold a state dict: a dict of tensors")
    try:
        model.load_state_dict(content)
    except RuntimeError as error:
        raise ValueError(f"{path} does not fit the model: {error}") from error
