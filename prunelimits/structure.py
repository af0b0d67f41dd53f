"""A module apart from its tensors: a copy to run with others, which leaves the module alone."""

from __future__ import annotations

import contextlib
import copy
import weakref
from collections.abc import Iterable
from typing import Any, Literal, TypeAlias, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase  # pyright: ignore[reportPrivateUsage]
from torch.nn.utils.rnn import PackedSequence

from prunelimits import dtypes
from prunelimits.modes import many_at_once
from prunelimits.sharding import sharded_names
from prunelimits.types import Params
from prunelimits.versions import without_compiler

Normalise: TypeAlias = Literal["batch", "running"]
"""What BatchNorm normalises by at scoring time: the batch's statistics or the running ones."""

Model = TypeVar("Model", bound=nn.Module)

SHARDED = (
    "model is sharded over processes (DTensor), and cannot be run for its scores: prune it before "
    "it is sharded, and attach the masks afterwards"
)


class Structure:
    """A module in evaluation mode, to be run with any tensors in its place.

    Every run has a copy of its own: whatever a forward pass does to buffers, attributes or lists,
    the module keeps its, and a backward pass that computes parts of the forward pass anew
    (activation checkpointing) still finds the tensors of its run.

    Args:
        model: Any module. Its tensors are shared, not copied. One that is sharded over processes,
            or holds what cannot be copied, cannot be run: `check` says so, and `filled`.
        normalise: What BatchNorm normalises by.
    """

    def __init__(self, model: nn.Module, normalise: Normalise) -> None:
        self._named = {**dict(model.named_parameters()), **dict(model.named_buffers())}
        self._buffers = {name for name, _ in model.named_buffers()}
        # Beside parameters and buffers also plain attributes: deepcopy refuses non-leaf tensors,
        # which `torch.nn.utils.prune` leaves there.
        self._plain = [
            value
            for module in model.modules()
            for value in vars(module).values()
            if isinstance(value, Tensor)
        ]
        self._twin: nn.Module | None = None
        self._refusal: ValueError | TypeError = ValueError(SHARDED)
        weakref.finalize(self, _own_alone, tuple(self._named.values())).atexit = False
        if sharded_names(model):
            return
        shared: dict[int, Any] = {id(value): value for value in self._named.values()}
        shared |= {id(value): value for value in self._plain}
        try:
            twin = self._twin = copied(model, shared).eval()
        except TypeError as error:  # many methods never run it
            self._refusal = error
            return
        if normalise == "batch":
            for module in twin.modules():
                if isinstance(module, _NormBase):
                    module.running_mean = module.running_var = None
                    module.track_running_stats = False

    def filled(self, params: Params) -> nn.Module:
        """A copy that holds `params` by name, and the module's own where there is none.

        Raises:
            ValueError: If the module is sharded over processes: it cannot be copied.
            TypeError: If it holds something that cannot be copied.
        """
        twin = self.check()
        memo: dict[int, Any] = {id(value): value.detach().clone() for value in self._plain}
        for name, own in self._named.items():
            value = params.get(name, own)
            # A forward pass may write: to buffers, and to parameters (Embedding's max_norm).
            if name in self._buffers:
                value = value.clone()
            elif _is_memory_of(value, own):
                value = _copy(value)
            memo[id(own)] = value
        return copy.deepcopy(twin, memo)

    def check(self) -> nn.Module:
        """Raises as `filled` does; what is filled otherwise."""
        if self._twin is None:
            raise self._refusal
        return self._twin


def copied(model: Model, memo: dict[int, Any] | None = None) -> Model:
    """A deep copy; what `memo` has by its id is taken from there.

    Raises:
        TypeError: If the module holds something that cannot be copied: it is named.

    Examples:
        >>> copied(nn.Linear(2, 1))
        Linear(in_features=2, out_features=1, bias=True)
    """
    memo = {} if memo is None else memo
    try:
        return copy.deepcopy(model, dict(memo))
    except Exception as error:  # whatever the module's attributes raise
        raise TypeError(
            f"model must be one that copy.deepcopy takes, but {_what_fails(model, memo)}: {error}"
        ) from error


def _what_fails(model: nn.Module, memo: dict[int, Any]) -> str:
    for path, module in model.named_modules():
        for name, value in vars(module).items():
            if name not in ("_parameters", "_buffers", "_modules"):
                try:
                    copy.deepcopy(value, dict(memo))
                except Exception:
                    return f"it has {'.'.join(filter(None, (path, name)))!r}"
    return "it cannot be copied"


def _copy(value: Tensor) -> Tensor:
    """A copy, which takes memory only once it or its original is written to, where torch can."""
    if value.device.type == "cpu" and not many_at_once():
        # What torch does not manage itself, such as NumPy's memory, is copied at once.
        with contextlib.suppress(RuntimeError):
            return torch._lazy_clone(value)  # pyright: ignore
    return value.clone()


def _own_alone(values: Iterable[Tensor]) -> None:
    """Ends the sharing with lazy copies that are gone: the next write shall find plain memory."""
    for value in values:
        with contextlib.suppress(RuntimeError):  # a wrapper around others has no memory
            if torch._C._is_cow_tensor(value):  # pyright: ignore
                value.data_ptr()  # asking for the address does it, without a copy


def _is_memory_of(value: Tensor, own: Tensor) -> bool:
    """Whether a tensor is the module's own, or shares its memory."""
    if many_at_once() or value.is_sparse or own.is_meta:  # no memory that could be compared
        return value is own
    try:
        # Asking for an address that a lazy copy shares would move what it is a copy of.
        if torch._C._is_cow_tensor(own):  # pyright: ignore
            return value.untyped_storage()._cdata == own.untyped_storage()._cdata  # pyright: ignore
        return value.untyped_storage().data_ptr() == own.untyped_storage().data_ptr()
    except RuntimeError:  # a wrapper around others, which may be the same
        return True


def run(module: nn.Module, inputs: Any) -> Any:  # noqa: ANN401
    """The module's outputs: a tuple or list holds its arguments, a mapping those by name.

    Raises:
        ValueError: If BatchNorm has nothing to take statistics over.
        TypeError: If the module fails since the inputs have another dtype than its parameters.
    """
    try:
        with without_compiler():
            if isinstance(inputs, PackedSequence):  # a tuple, but one input
                return module(inputs)
            if isinstance(inputs, tuple | list):
                return module(*inputs)
            if hasattr(inputs, "keys") and hasattr(inputs, "__getitem__"):
                return module(**inputs)
            return module(inputs)
    except (ValueError, RuntimeError) as error:
        if "more than 1 value per channel" in str(error):
            raise ValueError(
                "batches must hold several samples each where BatchNorm normalises by the batch's "
                "statistics; normalise='running' takes one"
            ) from error
        told = dtypes.of_inputs(module, inputs, error)
        if told is None:
            raise
        raise told from error
