"""Square roots of zeros, which take long, and how an optimizer is spared them.

On processors torch may take square roots from MKL, where the root of zero takes six times as long
as that of a number. Adam and its kin take one of each second moment, which is zero where weights
are pruned: more time than all else that a session adds. So during the step a pruned second moment
is a small number instead. Gradient and first moment are zero there, and so is the update, whatever
it is divided by; nothing else is touched, not by a bit.
"""

from __future__ import annotations

import torch
from torch import Tensor, optim
from torch.optim import Optimizer

# What each takes the root of, and what its step makes of that.
_SQUARED: dict[type[Optimizer], tuple[str, ...]] = {
    optim.Adam: ("exp_avg_sq", "max_exp_avg_sq"),
    optim.AdamW: ("exp_avg_sq", "max_exp_avg_sq"),
    optim.NAdam: ("exp_avg_sq",),
    optim.RAdam: ("exp_avg_sq",),
    optim.RMSprop: ("square_avg",),
    optim.Adagrad: ("sum",),
}
_SMALL = 2.0**-60  # its root, and that times any decay, are ordinary numbers


def squared(optimizer: Optimizer) -> tuple[str, ...]:
    """Names in the optimizer's state whose roots take longer where they are zero; maybe none.

    Fused steps compute roots otherwise.
    """
    plain = not any(group.get("fused") for group in optimizer.param_groups)
    return _SQUARED.get(type(optimizer), ()) if plain and torch.backends.mkl.is_available() else ()


def small_bits(kept: Tensor, dtype: torch.dtype) -> int | None:
    """The bits of a small number to put where `kept` is false; None where that is not worth while.

    Examples:
        >>> small_bits(torch.tensor([True, False, False]), torch.float32) == 67 << 23
        True
    """
    few = 2 * int(kept.count_nonzero()) < kept.numel()
    kind = {torch.float32: torch.int32, torch.float64: torch.int64}.get(dtype)
    if kind is None or not few:
        return None
    return int(torch.tensor(_SMALL, dtype=dtype, device="cpu").view(kind))
