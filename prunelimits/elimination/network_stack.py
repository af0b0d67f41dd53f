"""Sparse MLPs side by side, with what elimination knows about each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from prunelimits.elimination.signatures import signatures
from prunelimits.masks import rows
from prunelimits.models import MLP, parameter_shapes
from prunelimits.training import MLPEnsemble
from prunelimits.types import Masks, Params


@dataclass(frozen=True, eq=False)
class NetworkStack:
    """Sparse MLPs stacked along a leading axis.

    Attributes:
        widths: Inputs, hidden units, outputs of the stack; a member may use fewer units.
        params: Name -> tensor `(models, *shape)`, zero outside the masks.
        masks: Name -> bool `(models, *shape)`.
        units: For each hidden layer, int64 `(models, width)`: which unit of the network that the
            member descends from stands there, -1 where none does.
        origin: Which starting network each member descends from, int64 `(models,)`.
        score: The metric, larger is better, float64 `(models,)`.
        loss: The training loss, float64 `(models,)`.
    """

    widths: tuple[int, ...]
    params: Params
    masks: Masks
    units: tuple[Tensor, ...]
    origin: Tensor
    score: Tensor
    loss: Tensor

    @classmethod
    def unmeasured(cls, ensemble: MLPEnsemble) -> NetworkStack:
        """The members of an ensemble, each its own origin, of score and loss NaN."""
        models = len(ensemble)
        nan = torch.full((models,), torch.nan, dtype=torch.float64, device="cpu")
        return cls(
            ensemble.widths,
            ensemble.params,
            ensemble.masks,
            tuple(
                torch.arange(width, device="cpu").repeat(models, 1)
                for width in ensemble.widths[1:-1]
            ),
            torch.arange(models, device="cpu"),
            nan,
            nan,
        )

    def __len__(self) -> int:
        return len(self.origin)

    def __getitem__(self, members: Tensor | slice) -> NetworkStack:
        return NetworkStack(
            self.widths,
            {name: value[members] for name, value in self.params.items()},
            {name: mask[members] for name, mask in self.masks.items()},
            tuple(unit[members] for unit in self.units),
            self.origin[members],
            self.score[members],
            self.loss[members],
        )

    def nonzeros(self) -> Tensor:
        """Kept parameters of every member, weights and biases, int64 `(models,)`."""
        return rows(self.masks).sum(1)

    def signatures(self) -> Tensor:
        """Equal for networks that are the same up to the order of hidden units."""
        return signatures(self.masks)

    def joined(self, others: Sequence[NetworkStack]) -> NetworkStack:
        """These networks, then the others, see `join`."""
        return join([self, *others])

    def ensemble(self) -> MLPEnsemble:
        """The members as an ensemble to train."""
        return MLPEnsemble.from_params(self.widths, self.params, self.masks)

    def member(self, index: int, widths: Sequence[int] | None = None) -> tuple[MLP, Masks]:
        """One member as a module with its masks.

        Args:
            index: Which.
            widths: Those of the network that it descends from, where its units then stand. None:
                the stack's.
        """
        one = self[index : index + 1]
        params, masks = one.params, one.masks
        if widths is not None:
            params, masks = _placed(params, one.units, widths), _placed(masks, one.units, widths)
        own = tuple(self.widths if widths is None else widths)
        model = MLP.from_params(own, {name: value[0] for name, value in params.items()})
        return model, {name: mask[0].clone() for name, mask in masks.items()}


def join(parts: Sequence[NetworkStack]) -> NetworkStack:
    """All members of several stacks of the same depth, padded to the widest with pruned units.

    Raises:
        ValueError: If there are no parts.
    """
    if not parts:
        raise ValueError("parts must hold at least one stack of networks, got none")
    widths = tuple(max(sizes) for sizes in zip(*(part.widths for part in parts), strict=True))
    padded = [_padded(part, widths) for part in parts]
    first = padded[0]
    return NetworkStack(
        widths,
        {name: torch.cat([part.params[name] for part in padded]) for name in first.params},
        {name: torch.cat([part.masks[name] for part in padded]) for name in first.masks},
        tuple(torch.cat(layer) for layer in zip(*(part.units for part in padded), strict=True)),
        torch.cat([part.origin for part in padded]),
        torch.cat([part.score for part in padded]),
        torch.cat([part.loss for part in padded]),
    )


def _padded(networks: NetworkStack, widths: tuple[int, ...]) -> NetworkStack:
    shapes = parameter_shapes(widths)

    def pad(named: Params) -> Params:
        return {name: _grown(value, shapes[name], 0) for name, value in named.items()}

    units = zip(networks.units, widths[1:-1], strict=True)
    return replace(
        networks,
        widths=widths,
        params=pad(networks.params),
        masks=pad(networks.masks),
        units=tuple(_grown(unit, (width,), -1) for unit, width in units),
    )


def _grown(value: Tensor, shape: Sequence[int], fill: int) -> Tensor:
    """`(models, *smaller)` to `(models, *shape)`, new entries at the ends of the axes."""
    sides = [(0, new - old) for new, old in zip(shape, value.shape[1:], strict=True)]
    return functional.pad(value, [n for side in reversed(sides) for n in side], value=fill)


def _placed(named: Params, units: tuple[Tensor, ...], widths: Sequence[int]) -> Params:
    """One member's tensors `(1, *shape)` in a network of the widths that its units come from."""
    ends = (torch.arange(widths[0], device="cpu"), torch.arange(widths[-1], device="cpu"))
    places = [ends[0], *(unit[0] for unit in units), ends[1]]
    result: Params = {}
    for name, shape in parameter_shapes(widths).items():
        layer = int(name.split(".")[1])
        value = named[name]
        target = value.new_zeros((1, *shape))
        rows_, columns = places[layer + 1], places[layer]
        if name.endswith("bias"):
            target[0, rows_[rows_ >= 0]] = value[0, rows_ >= 0]
        else:
            inner = value[0][rows_ >= 0][:, columns >= 0]
            target[0, rows_[rows_ >= 0][:, None], columns[columns >= 0][None]] = inner
        result[name] = target
    return result
