"""A user's own network: made by a function of theirs, with weights from a file."""

from __future__ import annotations

import contextlib
import importlib
import pickle
import sys
from pathlib import Path

import torch
from torch import Tensor, nn


def made(name: str) -> nn.Module:
    """The module that MODULE:FACTORY makes; it is imported and called.

    Raises:
        ValueError: If it is not found.
        TypeError: If what it makes is no module.
    """
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
    result: object = found() if callable(found) else found
    if not isinstance(result, nn.Module):
        raise TypeError(f"--model {name} must make a torch.nn.Module, got {type(result).__name__}")
    return result


def load_state_dict(model: nn.Module, path: Path) -> None:
    """Puts a file's weights into the model; no code in the file is run.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If it holds no state dict or one that does not fit.
    """
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
