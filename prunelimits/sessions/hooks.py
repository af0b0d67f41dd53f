"""What a session hangs on an optimizer and its parameters, and takes off again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.hooks import RemovableHandle

from prunelimits.versions import not_compiled


class Listener(Protocol):
    """Who is told of an optimizer's steps."""

    def before_step(self) -> None:
        """The gradients are there, the step is to come."""

    def after_step(self, optimizer: Optimizer) -> None:
        """The step is done."""

    def new_gradient(self, name: str) -> None:
        """A backward pass has added to a weight's gradient."""


class Hooks:
    """The hooks of one session.

    A closure is evaluated inside the step, so what comes before the step then comes after the
    closure. A fused step that a gradient scaler makes do nothing is none.
    """

    def __init__(
        self,
        listener: Listener,
        optimizers: Sequence[Optimizer],
        weights: Mapping[str, nn.Parameter],
    ) -> None:
        self._listener = listener
        self._handles: list[RemovableHandle] = []
        before, after = not_compiled(self._before), not_compiled(self._after)
        for optimizer in optimizers:
            self._handles.append(optimizer.register_step_pre_hook(before))
            self._handles.append(optimizer.register_step_post_hook(after))
        for name, weight in weights.items():
            if weight.is_floating_point():
                # One that is frozen may be thawed under way, and takes no hook while it is.
                frozen = not weight.requires_grad
                weight.requires_grad_()
                hook = partial(self._gradient, name)
                self._handles.append(weight.register_post_accumulate_grad_hook(hook))
                weight.requires_grad_(not frozen)

    def remove(self) -> None:
        """Takes all of them off."""
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def _before(
        self, optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        if _is_skipped(optimizer):
            return None
        closure = kwargs.get("closure", args[1] if len(args) > 1 else None)  # args[0]: optimizer
        if closure is None:
            self._listener.before_step()
            return None
        once = self._once(closure)
        if "closure" in kwargs:
            return args, {**kwargs, "closure": once}
        return (*args[:1], once, *args[2:]), kwargs

    def _once(self, closure: Callable[[], Any]) -> Callable[[], Any]:
        evaluations = 0

        def evaluated() -> Any:  # noqa: ANN401
            nonlocal evaluations
            evaluations += 1
            if evaluations > 1:
                raise RuntimeError(
                    "optimizer evaluates its closure several times a step, on weights that are "
                    "not masked: use one that evaluates it once"
                )
            loss = closure()
            with torch.no_grad():
                self._listener.before_step()
            return loss

        return evaluated

    def _after(self, optimizer: Optimizer, *_: object) -> None:
        if not _is_skipped(optimizer):
            self._listener.after_step(optimizer)

    def _gradient(self, name: str, _: Tensor) -> None:
        self._listener.new_gradient(name)


def _is_skipped(optimizer: Optimizer) -> bool:
    """Whether a gradient scaler has found infinities and told a fused step to change nothing."""
    found: object = getattr(optimizer, "found_inf", None)
    return isinstance(found, Tensor) and bool(found.any())
