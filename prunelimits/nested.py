"""Tensors inside what people feed to models and get from them: tuples, lists, dicts of tensors."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from torch import Tensor
from torch.nn.utils.rnn import PackedSequence


def map_tensors(function: Callable[[Tensor], Tensor], value: Any) -> Any:  # noqa: ANN401
    """The same structure with `function` of every tensor; what is no tensor stays.

    Mappings keep their class (such as a model's output that is also read by attributes), and so do
    tuples with names.

    Examples:
        >>> import torch
        >>> map_tensors(lambda t: 2 * t, {"ids": torch.tensor([1]), "text": "one"})
        {'ids': tensor([2]), 'text': 'one'}
    """
    if isinstance(value, Tensor):
        return function(value)
    if isinstance(value, Mapping):
        result: Any = copy.copy(value)  # pyright: ignore[reportUnknownArgumentType]
        for key in list(value):  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
            result[key] = map_tensors(function, value[key])
        return result
    if isinstance(value, PackedSequence):  # its other tensors say where sequences are
        return value._replace(data=function(value.data))
    if isinstance(value, tuple | list):
        parts = [map_tensors(function, part) for part in value]  # pyright: ignore[reportUnknownVariableType]
        kind: Any = type(value)  # pyright: ignore[reportUnknownVariableType]
        return kind(*parts) if hasattr(kind, "_fields") else kind(parts)
    return value


def tensors_in(value: Any) -> Iterator[Tensor]:  # noqa: ANN401
    """Every tensor of a structure, in order.

    Examples:
        >>> import torch
        >>> [len(t) for t in tensors_in((torch.zeros(2), [torch.zeros(3)], "text"))]
        [2, 3]
    """
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():  # pyright: ignore[reportUnknownVariableType]
            yield from tensors_in(part)
    elif isinstance(value, PackedSequence):
        yield value.data
    elif isinstance(value, tuple | list):
        for part in value:  # pyright: ignore[reportUnknownVariableType]
            yield from tensors_in(part)


def main_tensor(outputs: Any) -> Tensor:  # noqa: ANN401
    """The tensor that a model's outputs are about: `logits`, if they are named, else the first.

    Raises:
        TypeError: If there is no tensor of floating-point numbers.
    """
    if isinstance(outputs, Mapping) and isinstance(outputs.get("logits"), Tensor):  # pyright: ignore[reportUnknownMemberType]
        return outputs["logits"]
    for value in tensors_in(outputs):
        if value.is_floating_point():
            return value
    raise TypeError(f"model must give tensors of floating-point numbers, got {type(outputs)}")
