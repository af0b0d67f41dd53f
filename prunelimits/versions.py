"""What differs between the versions of the libraries below that a user may have."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from importlib import import_module
from types import ModuleType
from typing import Any, TypeVar, cast

import torch
import torch.export

Function = TypeVar("Function", bound=Callable[..., object])


def autocast_devices() -> tuple[str, ...]:
    """The kinds of devices that this torch can autocast on.

    Examples:
        >>> "cpu" in autocast_devices()
        True
    """
    known: list[str] = []
    for device in ("cpu", "cuda", "mps", "xpu"):
        with suppress(RuntimeError):  # torch 2.4 knows no mps
            torch.is_autocast_enabled(device)
            known.append(device)
    return tuple(known)


@contextmanager
def quiet_vmap() -> Generator[None]:
    """Without the warning that `torch.vmap` maps something by a loop, which torch 2.4 does more of.

    The results are the same, and nobody who uses the library can do anything about it.

    Examples:
        >>> with quiet_vmap():
        ...     warnings.warn("There is a performance drop because ...")
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="There is a performance drop because")
        yield


def without_compiler() -> AbstractContextManager[object]:
    """Compiled parts run as they are written: compiling them for us would spoil them for others.

    Torch can be told so from 2.6 on; before, they are compiled once more.

    Examples:
        >>> with without_compiler():
        ...     torch.ones(1).sum()
        tensor(1.)
    """
    stance = getattr(torch.compiler, "set_stance", None)
    if stance is None or "torch._dynamo" not in sys.modules:
        return nullcontext()
    return stance("force_eager")


def not_compiled(function: Function) -> Function:
    """The function as it is, where a compiler follows the code that calls it.

    Examples:
        >>> not_compiled(abs)(-1)
        1
    """
    # Its import takes seconds, and who compiles has it already.
    if "torch._dynamo" not in sys.modules:
        return function
    return cast("Function", torch.compiler.disable(function))


def export_decompositions() -> dict[Any, Any]:
    """By which operations `torch.export` expresses others: operation -> function.

    Raises:
        ValueError: If torch is older than 2.6, which exports less.

    Examples:
        >>> torch.ops.aten.addcmul.default in export_decompositions()
        True
    """
    decompositions = getattr(torch.export, "default_decompositions", None)
    if decompositions is None:
        raise ValueError(
            f"torch must be 2.6 or newer to follow a model, and this is {torch.__version__}; an "
            "MLP, a sequence of linear layers and dicts of masks need no following"
        )
    return decompositions()


def sharded_tensors() -> ModuleType:
    """Where torch keeps `DTensor` and its placements: in 2.4 not yet in public.

    Examples:
        >>> sharded_tensors().DTensor.__name__
        'DTensor'
    """
    public = import_module("torch.distributed.tensor")
    return public if hasattr(public, "DTensor") else import_module("torch.distributed._tensor")
