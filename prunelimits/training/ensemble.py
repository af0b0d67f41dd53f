"""Many MLPs of the same widths, stacked along a leading axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Self

import torch
from torch import Tensor

from prunelimits.arguments import (
    checked_device,
    checked_integer,
    checked_integers,
    checked_size,
    shown,
)
from prunelimits.masks import check_bools
from prunelimits.masks.zeroing import zeroed
from prunelimits.models.mlp import MLP, check_params, check_widths, parameter_shapes
from prunelimits.modes import in_plain_modes
from prunelimits.training.initialisation import initial_params, member_seeds
from prunelimits.types import Masks, Params


class MLPEnsemble:
    """Stacked parameters, masks and momentum of `models` MLPs of the same widths.

    Nothing changes an ensemble: training returns a new one. Parameters and momentum outside the
    masks are zero.

    Args:
        widths: Inputs, hidden units of each layer, outputs.
        models: How many members; may be omitted where `seeds` tells.
        seed: Every member gets a seed of its own derived from this one and its position.
        seeds: The members' seeds themselves, instead of `seed`.
        masks: Name -> bool tensor, `(*shape)` for all members or `(models, *shape)`; a name that
            is absent is kept whole.
        init_width: See `initial_params`.
        dtype: torch.float32 or torch.float64.
        device: Where the tensors live.

    Attributes:
        widths: As given.
        params: Name -> tensor `(models, *shape)`, zero outside the masks.
        masks: Name -> bool tensor `(models, *shape)`, every parameter's.
        momentum: Name -> tensor `(models, *shape)`: SGD's momentum buffers, zero at first.

    Raises:
        ValueError: If shapes do not match, `models` is below 1 or disagrees with `seeds`, or
            `init_width` is below the widest hidden layer.
        TypeError: If `dtype` is another one or something counted is not an integer.

    Examples:
        >>> ensemble = MLPEnsemble((2, 3, 3, 3, 1), models=512, seed=0)
        >>> ensemble.params["layers.1.weight"].shape
        torch.Size([512, 3, 3])
    """

    def __init__(
        self,
        widths: Sequence[int],
        models: int | None = None,
        *,
        seed: int = 0,
        seeds: Sequence[int] | None = None,
        masks: Masks | None = None,
        init_width: int | None = None,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> None:
        widths = check_widths(widths)
        if dtype not in (torch.float32, torch.float64):
            raise TypeError(f"dtype must be torch.float32 or torch.float64, got {shown(dtype)}")
        if seeds is None and models is None:
            raise ValueError("models must be given where seeds are not, got None")
        if models is not None:
            models = checked_size("models", models)
        device = checked_device("device", device)
        if seeds is None:
            seeds = member_seeds(seed, models or 0)
        else:
            seeds = checked_integers("seeds", seeds)
            if models not in (None, len(seeds)):
                raise ValueError(f"models must be the number of seeds, {len(seeds)}, got {models}")
        params = initial_params(widths, seeds, init_width=init_width, dtype=dtype)
        params = {name: value.to(device) for name, value in params.items()}
        self._set(widths, params, {} if masks is None else masks, None)

    @classmethod
    def from_params(
        cls,
        widths: Sequence[int],
        params: Params,
        masks: Masks | None = None,
        *,
        momentum: Params | None = None,
    ) -> MLPEnsemble:
        """An ensemble that starts from given parameters, `(models, *shape)` each.

        `params` is copied; momentum too, and zero if it is not given.
        `{k: v.expand(models, *v.shape) ...}` starts every member from one network.

        Raises:
            ValueError: If names or shapes do not fit the widths.
            TypeError: If the parameters are not all float32 or all float64.
        """
        ensemble = cls.__new__(cls)
        ensemble._set(check_widths(widths), params, {} if masks is None else masks, momentum)
        return ensemble

    @in_plain_modes
    def _set(
        self, widths: tuple[int, ...], params: Params, masks: Masks, momentum: Params | None
    ) -> None:
        if not isinstance(params, Mapping):
            raise TypeError(f"params must be tensors by name, got {shown(params)}")
        first = next(iter(params.values()), None)
        models = len(first) if isinstance(first, Tensor) and first.dim() else 0
        check_params(widths, params, models)
        if first is None or models == 0:
            raise ValueError("an ensemble must have at least one member, got none")
        if momentum is None:
            momentum = {name: torch.zeros_like(value) for name, value in params.items()}
        check_params(widths, momentum, models, argument="momentum")
        dtypes = {value.dtype for value in (*params.values(), *momentum.values())}
        if len(dtypes) > 1 or not dtypes <= {torch.float32, torch.float64}:
            names = sorted(map(str, dtypes))
            raise TypeError(f"params and momentum must all be float32 or float64, got {names}")
        self.widths = widths
        self.masks = stacked_masks(widths, models, masks, first.device)
        self.params: Params = _zero_outside(self.masks, params)
        self.momentum: Params = _zero_outside(self.masks, momentum)

    def replace(
        self,
        *,
        params: Params | None = None,
        masks: Masks | None = None,
        momentum: Params | None = None,
    ) -> Self:
        """A copy with other parameters, masks or momentum; what the masks prune becomes zero.

        New masks are whole masks: a name that is absent is kept whole. A parameter that comes back
        starts from zero, unless `params` gives it a value.

        Raises:
            ValueError: If names or shapes do not fit the widths and the members.
            TypeError: If a tensor has an unfit dtype.
        """
        ensemble = type(self).__new__(type(self))
        ensemble._set(
            self.widths,
            self.params if params is None else params,
            self.masks if masks is None else masks,
            self.momentum if momentum is None else momentum,
        )
        return ensemble

    def without_momentum(self) -> Self:
        """A copy whose momentum is zero, as at the start of a training."""
        return self.replace(momentum={n: torch.zeros_like(m) for n, m in self.momentum.items()})

    def __len__(self) -> int:
        return len(self.params["layers.0.weight"])

    def __getitem__(self, members: slice | Tensor) -> Self:
        """The ensemble of some members: a slice, indices or a bool tensor `(models,)`.

        Raises:
            TypeError: If `members` is a single number; see `member`.
            ValueError: If no member is left, or bools are not one a member.
            IndexError: If there is no such member.
        """
        if not isinstance(members, slice | Tensor) or getattr(members, "ndim", 1) != 1:
            got = shown(members)
            raise TypeError(f"members must be a slice or a tensor, got {got}; see member()")
        if isinstance(members, Tensor):
            self._check_places(members)
        ensemble = type(self).__new__(type(self))
        params, masks, momentum = (
            {name: value[members] for name, value in part.items()}
            for part in (self.params, self.masks, self.momentum)
        )
        ensemble._set(self.widths, params, masks, momentum)
        return ensemble

    def _check_places(self, members: Tensor) -> None:
        if members.dtype == torch.bool:
            if len(members) != len(self):
                raise ValueError(f"members must be {len(self)} bools, got {len(members)}")
            return
        if members.dtype not in (torch.int32, torch.int64):
            raise TypeError(f"members must be indices or bools, got {members.dtype}")
        outside = members[(members < -len(self)) | (members >= len(self))]
        if len(outside):
            raise IndexError(
                f"members must be below {len(self)}, their number, got {int(outside[0])}"
            )

    def __repr__(self) -> str:
        return f"MLPEnsemble({self.widths}, models={len(self)}, dtype={self.dtype})"

    @property
    def device(self) -> torch.device:
        """The device of every tensor."""
        return self.params["layers.0.weight"].device

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of parameters and momentum."""
        return self.params["layers.0.weight"].dtype

    def nonzeros(self) -> Tensor:
        """Kept parameters, weights and biases, of every member: int64 `(models,)`."""
        return sum(
            (mask.flatten(1).sum(1) for mask in self.masks.values()),
            torch.tensor(0, device=self.device),
        )

    def member(self, index: int) -> tuple[MLP, Masks]:
        """One member as an ordinary module with its masks; the tensors are copies.

        Negative numbers count from the end.

        Raises:
            IndexError: If there is no such member.
            TypeError: If `index` is not an integer.
        """
        index = checked_integer("index", index)
        if not -len(self) <= index < len(self):
            raise IndexError(
                f"index must be below {len(self)}, the number of members, got {shown(index)}"
            )
        params = {name: value[index] for name, value in self.params.items()}
        model = MLP.from_params(self.widths, params)
        return model, {name: mask[index].clone() for name, mask in self.masks.items()}


def _zero_outside(masks: Masks, params: Params) -> Params:
    """Detached copies, zero outside the masks, in the order of the masks' names."""
    values = {name: params[name].detach() for name in masks}
    return {name: zeroed(v, masks[name].to(v.device)) for name, v in values.items()}


def stacked_masks(
    widths: Sequence[int], models: int, masks: Masks, device: torch.device | str = "cpu"
) -> Masks:
    """Masks for every parameter of every model, `(models, *shape)`, from what the caller gave.

    Raises:
        ValueError: If a name or a shape does not fit the widths.
        TypeError: If a mask is not a bool tensor.
    """
    check_bools(masks)
    shapes = parameter_shapes(widths)
    unknown = set(masks) - set(shapes)
    if unknown:
        raise ValueError(f"masks names {sorted(unknown)}, which widths {tuple(widths)} do not have")
    result: Masks = {}
    for name, shape in shapes.items():
        mask = masks.get(name, torch.ones(shape, dtype=torch.bool, device="cpu"))
        if mask.shape not in (shape, (models, *shape)):
            raise ValueError(
                f"masks[{name!r}] must have shape {shape} or {(models, *shape)}, "
                f"got {tuple(mask.shape)}"
            )
        result[name] = mask.to(device).expand(models, *shape).clone()
    return result
