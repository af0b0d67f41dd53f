"""Functions of points in the plane that networks can be given for inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from prunelimits.arguments import checked_items, checked_tensor, shown

PLANE = ("x1", "x2")

_FEATURES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "x1": lambda x1, x2: x1,
    "x2": lambda x1, x2: x2,
    "x1x1": lambda x1, x2: x1 * x1,
    "x2x2": lambda x1, x2: x2 * x2,
    "x1x2": lambda x1, x2: x1 * x2,
    "sinx1": lambda x1, x2: x1.sin(),
    "sinx2": lambda x1, x2: x2.sin(),
}


def plane_features(x: Tensor, names: Sequence[str]) -> Tensor:
    """Points in the plane by functions of their coordinates, those of the page that trains.

    A network that the page saves has their names under `inputs` in its JSON, and computes in the
    library what it did in the page on `plane_features(x, names)`.

    Args:
        x: Points `(samples, 2)`.
        names: Of the columns: `x1`, `x2`, their squares `x1x1` and `x2x2`, their product `x1x2`,
            their sines `sinx1` and `sinx2`, in radians.

    Returns:
        A column a name, `(samples, names)`.

    Raises:
        TypeError: If `x` is no floating-point tensor or a name no text.
        ValueError: If `x` has another shape, there are no names, or one is unknown or given twice.

    Examples:
        >>> plane_features(torch.tensor([[2.0, 3.0]]), ("x2", "x1x1", "x1x2"))
        tensor([[3., 4., 6.]])
    """
    names = checked_features("names", names)
    checked_tensor("x", x)
    if not x.is_floating_point():
        raise TypeError(f"x must be a floating-point tensor, got {x.dtype}")
    if x.ndim != 2 or x.shape[1] != 2:
        raise ValueError(f"x must have shape (samples, 2), got {tuple(x.shape)}")
    return torch.stack([_FEATURES[name](x[:, 0], x[:, 1]) for name in names], dim=1)


def checked_features(argument: str, names: Sequence[str]) -> tuple[str, ...]:
    """The names, if they are different ones of those above; `argument` names them in errors."""
    checked = checked_items(argument, names, str)
    unknown = [name for name in checked if name not in _FEATURES]
    if unknown or not checked or len(set(checked)) < len(checked):
        raise ValueError(
            f"{argument} must be different ones of {', '.join(_FEATURES)}, got {shown(names)}"
        )
    return tuple(checked)
