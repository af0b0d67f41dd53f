"""A module apart from its tensors: a copy to run with others, which leaves the module alone."""

from __future__ import annotations

import copy
from typing import Any, Literal, TypeAlias

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase  # pyright: ignore[reportPrivateUsage]

from prunelimits.types import Params
from prunelimits.versions import without_compiler

Normalise: TypeAlias = Literal["batch", "running"]
"""What BatchNorm normalises by at scoring time: the batch's statistics or the running ones."""


class Structure:
    """A module in evaluation mode, to be run with any tensors in its place.

    Every run has a copy of its own: whatever a forward pass does to buffers, attributes or lists,
    the module keeps its, and a backward pass that computes parts of the forward pass anew
    (activation checkpointing) still finds the tensors of its run.

    Args:
        model: Any module. Its tensors are shared, not copied.
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
        shared: dict[int, Any] = {id(value): value for value in self._named.values()}
        shared |= {id(value): value for value in self._plain}
        self._twin = copy.deepcopy(model, shared).eval()
        if normalise == "batch":
            for module in self._twin.modules():
                if isinstance(module, _NormBase):
                    module.running_mean = module.running_var = None
                    module.track_running_stats = False

    def filled(self, params: Params) -> nn.Module:
        """A copy that holds `params` by name, and the module's own where there is none."""
        memo: dict[int, Any] = {id(value): value.detach().clone() for value in self._plain}
        for name, own in self._named.items():
            value = params.get(name, own)
            memo[id(own)] = value.clone() if name in self._buffers else value
        return copy.deepcopy(self._twin, memo)


def run(module: nn.Module, inputs: Any) -> Any:  # noqa: ANN401
    """The module's outputs: a tuple or list holds its arguments, a mapping those by name."""
    with without_compiler():
        if isinstance(inputs, tuple | list):
            return module(*inputs)
        if hasattr(inputs, "keys") and hasattr(inputs, "__getitem__"):
            return module(**inputs)
        return module(inputs)
