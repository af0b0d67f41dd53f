"""A plain multilayer perceptron, and the layout of its parameters."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from prunelimits.arguments import (
    checked_integers,
    checked_sizes,
    checked_tensor,
    checked_tensors,
    shown,
)
from prunelimits.modes import in_plain_modes
from prunelimits.types import Params


def check_widths(widths: Sequence[int]) -> tuple[int, ...]:
    """`widths` as a tuple of ints: inputs, hidden units of each layer, outputs.

    Raises:
        ValueError: If there are fewer than two widths or one is below 1.
        TypeError: If it is no sequence of integers.
    """
    result = checked_integers("widths", widths, 1)
    if len(result) < 2:
        raise ValueError(f"widths needs an input and an output width, got {result}")
    return result


def parameter_shapes(widths: Sequence[int]) -> dict[str, tuple[int, ...]]:
    """The shape of every parameter of `MLP(widths)`, in the order of its state dict.

    Examples:
        >>> parameter_shapes((2, 3, 1))  # doctest: +NORMALIZE_WHITESPACE
        {'layers.0.weight': (3, 2), 'layers.0.bias': (3,),
         'layers.1.weight': (1, 3), 'layers.1.bias': (1,)}
    """
    widths = check_widths(widths)
    shapes: dict[str, tuple[int, ...]] = {}
    for layer, (d_in, d_out) in enumerate(pairwise(widths)):
        shapes[f"layers.{layer}.weight"] = (d_out, d_in)
        shapes[f"layers.{layer}.bias"] = (d_out,)
    return shapes


def leading_block(params: Mapping[str, Tensor], widths: Sequence[int]) -> Params:
    """The part of a wider MLP's parameters (or masks) that belongs to its first units.

    Args:
        params: Name -> tensor, `(..., *shape)`.
        widths: The part's widths.

    Raises:
        ValueError: If the MLP has another depth or is too narrow.
        TypeError: If `params` are not dense tensors of real numbers by name.

    Examples:
        >>> wide = dict(MLP((2, 16, 16, 1)).named_parameters())
        >>> leading_block(wide, (2, 4, 3, 1))["layers.1.weight"].shape
        torch.Size([3, 4])
    """
    shapes = parameter_shapes(widths)
    checked_tensors("params", params)
    if set(shapes) != set(params):
        raise ValueError(
            f"params must name {sorted(shapes)} for widths {tuple(widths)}, got {sorted(params)}"
        )
    result: Params = {}
    for name, shape in shapes.items():
        value = params[name]
        sizes = value.shape[-len(shape) :]
        if len(sizes) < len(shape) or any(map(operator.gt, shape, sizes)):
            raise ValueError(
                f"params[{name!r}] has shape {tuple(value.shape)}, too small for {shape} of widths "
                f"{tuple(widths)}"
            )
        result[name] = value[(..., *(slice(size) for size in shape))]
    return result


def check_params(
    widths: Sequence[int], params: Params, models: int | None = None, argument: str = "params"
) -> None:
    """Raises if `params` are not those of `MLP(widths)`, or of `models` of them stacked.

    The messages call them `argument`.

    Raises:
        ValueError: If names or shapes do not fit the widths.
        TypeError: If a parameter is not a real floating-point tensor.
    """
    shapes = parameter_shapes(widths)
    if not isinstance(params, Mapping):
        raise TypeError(f"{argument} must be tensors by name, got {shown(params)}")
    if set(params) != set(shapes):
        raise ValueError(f"{argument} must name {sorted(shapes)}, got {sorted(params)}")
    for name, shape in shapes.items():
        value: object = params[name]
        if not isinstance(value, Tensor) or not value.is_floating_point():
            kind = value.dtype if isinstance(value, Tensor) else type(value).__name__
            raise TypeError(f"{argument}[{name!r}] must be a floating-point tensor, got {kind}")
        checked_tensor(f"{argument}[{name!r}]", value)
        expected = shape if models is None else (models, *shape)
        if value.shape != expected:
            raise ValueError(
                f"{argument}[{name!r}] must have shape {expected} for widths {tuple(widths)}, "
                f"got {tuple(value.shape)}"
            )


class MLP(nn.Module):
    """Linear layers with ReLU between them; the last layer's output is returned as it is.

    Parameters are named `layers.0.weight`, `layers.0.bias`, `layers.1.weight`, ...

    Args:
        widths: Inputs, hidden units of each layer, outputs: `(2, 16, 16, 16, 1)` is the network
            of [Sparsest Models Elude Pruning](https://arxiv.org/abs/2407.04075).

    Raises:
        ValueError: If there are fewer than two widths, or one is below 1 or too large.
        TypeError: If they are no sequence of integers.

    Examples:
        >>> model = MLP((2, 16, 16, 16, 1))
        >>> sum(p.numel() for p in model.parameters())
        609
        >>> model(torch.zeros(5, 2)).shape
        torch.Size([5, 1])
    """

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        self.widths = checked_sizes("widths", check_widths(widths))
        self.layers = nn.ModuleList(nn.Linear(d_in, d_out) for d_in, d_out in pairwise(self.widths))

    @classmethod
    @in_plain_modes
    def from_params(cls, widths: Sequence[int], params: Params) -> MLP:
        """The network with these parameters, copied, in their dtype and on their device.

        Unlike the constructor, it draws nothing from the global random state.

        Raises:
            ValueError: If names or shapes do not fit the widths.
            TypeError: If a parameter is not a real floating-point tensor.
        """
        check_params(widths, params)
        with torch.device("meta"):
            model = cls(widths)
        copies = {name: value.detach().clone() for name, value in params.items()}
        model.load_state_dict(copies, assign=True)
        return model

    def forward(self, x: Tensor) -> Tensor:
        """The network's outputs, shape `(batch, outputs)`, for inputs `(batch, inputs)`."""
        *hidden, last = self.layers
        for layer in hidden:
            x = torch.relu(layer(x))
        return last(x)

    def activations(self, x: Tensor) -> list[Tensor]:
        """The inputs, each hidden layer after its ReLU, and the outputs, in that order."""
        result = [x]
        *hidden, last = self.layers
        for layer in hidden:
            result.append(torch.relu(layer(result[-1])))
        result.append(last(result[-1]))
        return result

    def extra_repr(self) -> str:
        """The widths, for `repr(model)`."""
        return f"widths={self.widths}"
