"""Where a network uses its weights: what each is multiplied by, seen from outside the network.

A mode of torch sees every function that a forward pass calls. The weights are tensors that are
known by identity, so no hook is needed, nothing is wrapped, and it works for whatever module
multiplies by a weight: linear layers and convolutions, matrix products with a parameter, such as
the `Conv1D` of GPT-2, and torch's attention; for layers that are called again, and under
`torch.vmap`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from typing_extensions import override

from prunelimits.nested import tensors_in
from prunelimits.scores.products import RULES, Inputs, rows
from prunelimits.types import Params

_AXES = (torch.transpose, Tensor.transpose, torch.swapaxes, Tensor.swapaxes)
_TRANSPOSES: tuple[Any, ...] = (
    torch.t, Tensor.t, torch.adjoint, Tensor.adjoint,
    *(vars(torch._C.TensorBase)[name].__get__ for name in ("T", "mT", "H", "mH")),  # pyright: ignore
)  # fmt: skip
_COPIES = (
    Tensor.to, Tensor.float, Tensor.double, Tensor.half, Tensor.bfloat16, Tensor.type,
    Tensor.type_as, Tensor.contiguous, torch.clone, Tensor.clone, Tensor.detach,
    torch._lazy_clone,  # pyright: ignore
)  # fmt: skip
_ATTENTION = functional.multi_head_attention_forward
_ATTENTION_ARGUMENTS = inspect.signature(_ATTENTION)


class Use(NamedTuple):
    """A product of a weight with what comes in.

    Attributes:
        name: Of the weight.
        inputs: What comes in; see `products`.
        flipped: Whether the weight's first axis is that of the inputs, not of the outputs.
    """

    name: str
    inputs: Inputs
    flipped: bool


class Watch(TorchFunctionMode):
    """While it is active, every use of a weight is told to `at_use`.

    Args:
        weights: Name -> tensor: the very tensors that the network is given.
        at_use: Called before each product; a tensor that it returns takes the weight's place there.

    Attributes:
        unknown: Name -> the function that takes it, for weights that are used otherwise.
    """

    def __init__(self, weights: Params, at_use: Callable[[Use], Tensor | None]) -> None:
        super().__init__()
        self.unknown: dict[str, str] = {}
        self._at_use = at_use
        self._known = {id(value): (name, False) for name, value in weights.items()}
        self._held = list(weights.values())  # or their identities could be another tensor's

    @override
    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        named = kwargs or {}
        watched = [value for value in tensors_in([args, named]) if id(value) in self._known]
        if not watched:
            return func(*args, **named)
        if func is _ATTENTION:
            return self._attention(_ATTENTION_ARGUMENTS.bind(*args, **named).arguments)
        if func in _TRANSPOSES or (func in _AXES and watched[0].dim() == 2):
            return self._derived(func(*args, **named), watched[0], transposed=True)
        if func in _COPIES and watched[0] is args[0]:
            return self._derived(func(*args, **named), watched[0], transposed=False)
        if func in RULES:
            given = inspect.signature(RULES[func]).bind(*args, **named)
            product = RULES[func](*args, **named)
            weight = given.arguments[product.weight]
            if (
                len(watched) == 1
                and watched[0] is weight
                and not _is_stack(weight, product.flipped)
            ):
                given.arguments[product.weight] = self._used(weight, *product[1:])
                return func(*given.args, **given.kwargs)
        return self._otherwise(func, watched, func(*args, **named))

    def _used(self, weight: Tensor, inputs: Inputs, flipped: bool = False) -> Tensor:
        """What takes the weight's place: itself, if nothing else is given."""
        name, turned = self._known[id(weight)]
        other = self._at_use(Use(name, inputs, flipped != turned))
        if other is None:
            return weight
        return other.mT if turned else other

    def _derived(self, result: Tensor, weight: Tensor, *, transposed: bool) -> Tensor:
        name, turned = self._known[id(weight)]
        self._known[id(result)] = (name, turned != transposed)
        self._held.append(result)
        return result

    def _otherwise(self, func: Callable[..., Any], watched: list[Tensor], result: Any) -> Any:  # noqa: ANN401
        if next(tensors_in(result), None) is not None:  # not its shape, its device and the like
            for weight in watched:
                function = getattr(func, "__name__", str(func))
                self.unknown.setdefault(self._known[id(weight)][0], function)
        return result

    def _attention(self, given: dict[str, Any]) -> Any:  # noqa: ANN401
        """Torch's attention, whose layers are inside of one function."""
        sources = [given[name] for name in ("query", "key", "value")]
        if id(given["in_proj_weight"]) in self._known:
            blocks = tuple(rows(source) for source in sources)
            given["in_proj_weight"] = self._used(given["in_proj_weight"], [blocks])
        for source, part in zip(sources, "qkv", strict=True):
            weight: Any = given.get(f"{part}_proj_weight")
            if id(weight) in self._known:
                given[f"{part}_proj_weight"] = self._used(weight, [(rows(source),)])
        last, bias = given["out_proj_weight"], given["out_proj_bias"]
        if id(last) not in self._known:
            return _ATTENTION(**given)
        # By the identity it gives what its last layer would see.
        given["out_proj_weight"] = torch.eye(last.shape[1], dtype=last.dtype, device=last.device)
        given["out_proj_bias"] = None
        heads, *more = _ATTENTION(**given)
        outputs = functional.linear(heads, self._used(last, [(rows(heads),)]), bias)
        return (outputs, *more)


def _is_stack(weight: Tensor, flipped: bool) -> bool:
    """Whether a matrix product is one of several matrices at once."""
    return flipped and weight.dim() != 2
