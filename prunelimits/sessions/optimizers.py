"""Which optimizers a session can hook into, and what they do to zeros."""

from __future__ import annotations

from collections.abc import Iterable

from torch import optim
from torch.optim import Optimizer

from prunelimits.arguments import shown

_INNER = ("optimizer", "base_optimizer", "_optimizer")
# Where weight, gradient and state are zero, their step leaves zeros, if what they divide by is not.
_KEEP_ZEROS = {
    optim.SGD, optim.Adam, optim.AdamW, optim.NAdam, optim.RAdam, optim.RMSprop, optim.Adagrad,
    optim.Adadelta,
}  # fmt: skip


def checked_optimizers(optimizer: object) -> tuple[Optimizer, ...]:
    """The optimizers whose steps count: one or several, without what is wrapped around them.

    Accelerate's optimizer, and others that step one of torch's kept in `.optimizer`, stand for the
    one inside.

    Raises:
        TypeError: If there is something else.
        ValueError: If there is none, one is there twice, or one evaluates the loss several times a
            step.
    """
    given = [optimizer] if not _is_list(optimizer) else list(optimizer)  # pyright: ignore
    found = tuple(_unwrapped(one) for one in given)
    if not found or len({id(one) for one in found}) < len(found):
        raise ValueError(f"optimizer must be one or several different ones, got {shown(given)}")
    for one in found:
        if isinstance(one, optim.LBFGS):
            raise ValueError(
                "optimizer must evaluate the loss once a step, got LBFGS, whose closure is "
                "evaluated again and again on weights that are not masked"
            )
    return found


def keeps_zeros(optimizer: Optimizer) -> bool:
    """Whether a step leaves zeros where weight, gradient and state are zero: known by its class."""
    return type(optimizer) in _KEEP_ZEROS and all(
        group.get("eps", 1.0) > 0 for group in optimizer.param_groups
    )


def _is_list(value: object) -> bool:
    return isinstance(value, Iterable) and not isinstance(value, str | dict)


def _unwrapped(optimizer: object) -> Optimizer:
    for _ in range(8):  # wrappers around wrappers
        # One that never ran torch's own __init__ has no hooks: its steps cannot be seen.
        if isinstance(optimizer, Optimizer) and "_optimizer_step_pre_hooks" in vars(optimizer):
            return optimizer
        inner = [getattr(optimizer, name, None) for name in _INNER]
        optimizer = next((one for one in inner if isinstance(one, Optimizer)), optimizer)
        if all(one is None for one in inner):
            break
    raise TypeError(
        "optimizer must be one of torch's, or several: attach to the one that a wrapper steps, got "
        f"{shown(optimizer)}"
    )
