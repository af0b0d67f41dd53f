# What operations are given is open, and so is what small functions of it give.
# pyright: reportUnknownLambdaType=false
"""From a model and an example of what it is called with to the steps of its forward pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram
from torch.utils import _pytree as pytree

from prunelimits.arguments import checked_instance, shown
from prunelimits.connectivity.following.calling import called, drawn
from prunelimits.connectivity.following.exporting import export, flat_tensors
from prunelimits.connectivity.following.network import Network, read_program
from prunelimits.connectivity.following.samples import are_samples
from prunelimits.connectivity.following.values import Argument
from prunelimits.modes import differentiable

Inputs: TypeAlias = "Tensor | tuple[Any, ...] | Mapping[str, Any] | None"
"""What a model is called with: a tensor, arguments by position in a tuple, or by name in a dict."""

Model: TypeAlias = "nn.Module | ExportedProgram"
"""A module, or one that `torch.export` has exported already."""

# Enough to see whether they meet, and few enough to be quick.
_SAMPLES = 3


def follow(model: Model, inputs: Inputs, aliases: Mapping[str, str]) -> Network:
    """The steps of the model's forward pass in evaluation mode; the model stays as it is.

    Args:
        model: The model.
        inputs: An example of what it is called with; only shapes and types count. None: enough if
            the first layer is linear, or for an exported program.
        aliases: Every name of a parameter -> the name it is kept under.

    Raises:
        ValueError: If the model cannot be exported, or `inputs` is missing or empty.
        TypeError: If `model` is no module, or `inputs` is nothing to call it with.
    """
    if isinstance(model, ExportedProgram):
        if inputs is not None:
            raise ValueError("inputs belong to a module: an exported program has its own")
        return read_program(model, aliases)
    checked_instance("model", model, nn.Module, "a torch.nn.Module")
    args, kwargs = example_of(model, inputs)
    tensors = flat_tensors((args, kwargs))
    sizes = {x.shape[0] if x.dim() else 0 for x in tensors}
    if len(sizes) == 1 and (size := sizes.pop()) > 1:
        few = min(size, _SAMPLES)
        part = first_rows((args, kwargs), few)
        if few == size or _alike(model, (args, kwargs), few):
            network = read_program(export(model, *part), aliases)
            if are_samples(network, few):
                return Network(network.steps, network.outputs, network.layers, network.unknown, few)
            if few == size:
                return network
    return read_program(export(model, args, kwargs), aliases)


def first_rows(tree: Argument, size: int) -> Argument:
    """The same with the first few rows of every tensor."""
    return pytree.tree_map(lambda x: x[:size] if isinstance(x, Tensor) else x, tree)


def _alike(model: nn.Module, whole: Argument, few: int) -> bool:
    """Whether all rows come out alike: wherever they stand, and the first few by themselves."""
    whole = drawn(whole, torch.Generator().manual_seed(0))

    def called_with(change: Callable[[Tensor], Tensor]) -> list[Tensor]:
        args, kwargs = pytree.tree_map(lambda x: change(x) if isinstance(x, Tensor) else x, whole)
        return called(model, args, kwargs)

    try:
        together = called_with(lambda x: x)
        moved = called_with(lambda x: x.roll(1, 0))
        alone = called_with(lambda x: x[:few])
    except Exception:
        # What cannot be called with fewer rows is exported with all of them.
        return False
    size = flat_tensors(whole)[0].shape[0]
    if any(x.dim() == 0 or x.shape[0] != size for x in together):
        return False
    return all(
        _close(one, rows.roll(1, 0)) and _close(part, rows[:few])
        for rows, one, part in zip(together, moved, alone, strict=True)
    )


def _close(found: Tensor, expected: Tensor) -> bool:
    """Whether two tensors differ by no more than another order of their sums makes."""
    if found.shape != expected.shape:
        return False
    if found.is_complex():
        found, expected = torch.view_as_real(found), torch.view_as_real(expected)
    a, b = found.double(), expected.double()
    finite = b[b.isfinite()].abs()
    scale = float(finite.max()) if finite.numel() else 0.0
    return torch.allclose(a, b, 1e-3, 1e-4 * min(scale, 1.0), equal_nan=True)


def example_of(model: nn.Module, inputs: Inputs) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Arguments by position and by name."""
    if inputs is None:
        return (_for_linear(model),), {}
    own = next((p for p in model.parameters() if p.is_floating_point()), None)
    if isinstance(inputs, Mapping):
        args, kwargs = (), {str(name): value for name, value in inputs.items()}
    elif isinstance(inputs, tuple):
        args, kwargs = inputs, {}
    elif isinstance(inputs, Tensor):
        args, kwargs = (inputs,), {}
    else:
        raise TypeError(
            "inputs must be a tensor, a tuple of arguments or a dict of them by name, "
            f"got {shown(inputs)}"
        )
    tensors = flat_tensors((args, kwargs))
    if not tensors:
        raise TypeError(f"inputs must hold a tensor, got {shown(inputs)}")
    for x in tensors:
        if x.is_meta:
            raise ValueError("inputs must hold data, got a tensor on the meta device")
        if x.is_nested or x.layout != torch.strided or x.is_quantized:
            how = "nested" if x.is_nested else x.layout
            raise TypeError(f"inputs must be dense tensors, got {x.dtype}, {how}")
        if 0 in x.shape:
            raise ValueError(f"inputs must not be empty, got shape {tuple(x.shape)}")
    kinds = {p.dtype for p in model.parameters() if p.is_floating_point()}

    def placed(x: Argument) -> Argument:
        if not isinstance(x, Tensor) or own is None:
            return x
        # Only its shape counts: a model in another precision takes it all the same.
        fits = len(kinds) == 1 and x.is_floating_point()
        return differentiable(x.detach()).to(own.device, own.dtype if fits else x.dtype)

    return pytree.tree_map(placed, (tuple(args), dict(kwargs)))


def _for_linear(model: nn.Module) -> Tensor:
    leaf = first_linear(model)
    if leaf is None:
        raise ValueError(
            "inputs is needed: an example of what the model is called with, batch axis first"
        )
    return torch.zeros(1, leaf.in_features, dtype=torch.float32, device="cpu").to(leaf.weight)


def first_linear(model: nn.Module) -> nn.Linear | None:
    """The model's first layer, if it is linear: then it takes as many features as that."""
    leaf = next((m for m in model.modules() if not list(m.children())), None)
    return leaf if isinstance(leaf, nn.Linear) else None
