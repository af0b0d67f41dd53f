"""The networks that an elimination starts from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from torch import Tensor

from prunelimits.models import MLP
from prunelimits.training import Loss, MLPEnsemble
from prunelimits.training.task import checked_classes

Start: TypeAlias = MLP | MLPEnsemble | Sequence[int]

NARROW = 16
"""Networks of layers at most this wide are cheap to train: many dense ones, or many copies."""
# Hidden widths of the network that is started from where the caller names none.
_HIDDEN = (16, 16, 16)
# However wide they are, so many dense networks are trained, if as many are wanted.
_FEWEST = 16


def starting_networks(
    start: MLP | MLPEnsemble | tuple[int, ...], wanted: int, seed: int
) -> MLPEnsemble:
    """The networks to start from, on the CPU in float32.

    Args:
        start: Widths of dense networks to draw, or networks.
        wanted: How many dense networks to draw; wide ones are fewer, see `Elimination.networks`.
        seed: Decides their initialisation.

    Raises:
        ValueError: If the networks have no hidden layer, or a parameter is not finite.
    """
    if isinstance(start, MLPEnsemble):
        params = {name: value.detach().cpu().float() for name, value in start.params.items()}
        masks = {name: mask.cpu().clone() for name, mask in start.masks.items()}
        ensemble = MLPEnsemble.from_params(start.widths, params, masks)
    elif isinstance(start, MLP):
        ensemble = _one_network(start)
    elif len(start) < 2:
        raise ValueError(f"start must hold an input and an output width, got {start}")
    else:
        widest = max(start[1:-1], default=1)
        few = max(_FEWEST, wanted * NARROW // widest)
        ensemble = MLPEnsemble(start, min(wanted, few), seed=seed)
    if len(ensemble.widths) < 3:
        raise ValueError(f"start must have a hidden layer, got widths {ensemble.widths}")
    for name, value in ensemble.params.items():
        if not bool(value.isfinite().all()):
            raise ValueError(f"start must be finite, but {name!r} holds NaN or infinity")
    return ensemble


def default_widths(inputs: int, y: Tensor, loss: Loss | None) -> tuple[int, ...]:
    """Widths of the dense networks where the caller names none: three hidden layers of 16 units.

    Raises:
        ValueError: If `y` are no labels of at least two classes, each of which occurs.
    """
    return inputs, *_HIDDEN, _outputs(y, loss)


def _outputs(y: Tensor, loss: Loss | None) -> int:
    if loss == "mse":
        return 1 if y.dim() == 1 else y.shape[1]
    classes = checked_classes(y)
    return 1 if loss != "cross_entropy" and classes <= 2 else classes


def _one_network(model: MLP) -> MLPEnsemble:
    params = {n: p.detach().cpu().float()[None] for n, p in model.named_parameters()}
    # Biases often start at zero: they are not pruned unless weights are.
    dense = all(bool((value != 0).all()) for n, value in params.items() if n.endswith("weight"))
    masks = {name: (value != 0) | dense for name, value in params.items()}
    return MLPEnsemble.from_params(model.widths, params, masks)
