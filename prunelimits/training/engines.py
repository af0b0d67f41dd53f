"""The engine that trains an ensemble where the caller chooses none."""

from __future__ import annotations

from functools import cache

from prunelimits.arguments import checked_instance, warn
from prunelimits.training.engine import AbstractEngine
from prunelimits.training.ensemble import MLPEnsemble
from prunelimits.training.native.library import why_absent
from prunelimits.training.native_engine import NativeEngine, available
from prunelimits.training.torch_engine import TorchEngine


def default_engine(ensemble: MLPEnsemble) -> AbstractEngine:
    """The native engine where it is installed and supports the ensemble, else the torch engine.

    Warns once a process, with a `UserWarning`, where the native engine is not installed.

    Raises:
        TypeError: If `ensemble` is another thing.

    Examples:
        >>> import torch
        >>> ensemble = MLPEnsemble((2, 3, 1), models=4, dtype=torch.float64)
        >>> default_engine(ensemble).name.split()[0]  # float64: only the torch engine has it
        'torch'
    """
    checked_instance("ensemble", ensemble, MLPEnsemble, "an MLPEnsemble")
    if not available():
        _notice()
        return TorchEngine()
    native = NativeEngine()
    return native if native.supports(ensemble) else TorchEngine()


@cache
def _notice() -> None:
    warn(
        f"prunelimits was installed without its native engine ({why_absent()}), so training on "
        "the CPU is about fifty times slower. To get it, install a C++ compiler (GCC or Clang) and "
        "then prunelimits again: pip install --force-reinstall --no-deps prunelimits",
    )
