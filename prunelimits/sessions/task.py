"""The model of a session: where its weights live, and the task as a pruner wants it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from prunelimits.problem import params_of
from prunelimits.sharding import differ_between_processes, local, part_like, reshard, whole
from prunelimits.types import Masks, Params, Problem


class SessionModel:
    """A model whose parameters are pruned in place, by names that stay.

    Args:
        model: Trained by the caller.
        problem: Its task.
        names: The parameters under pruning.
        along: Others that go along with them, where an optimizer trains them.
        optimizers: Those that train it.

    Raises:
        ValueError: If no optimizer trains a parameter that is to be pruned, though it is not
            frozen, or several of its entries are one number in memory.
    """

    def __init__(
        self,
        model: nn.Module,
        problem: Problem,
        names: Iterable[str],
        along: Iterable[str],
        optimizers: Sequence[Optimizer],
    ) -> None:
        self.model = model
        self.problem = problem
        parameters = dict(model.named_parameters())
        self.weights = {name: parameters[name] for name in names}
        groups = [group for optimizer in optimizers for group in optimizer.param_groups]
        trained = {id(parameter) for group in groups for parameter in group["params"]}
        for name, weight in self.weights.items():
            if weight.requires_grad and id(weight) not in trained:
                raise ValueError(f"optimizer must train {name!r}, which is to be pruned")
            if torch._debug_has_internal_overlap(local(weight)) == 1:  # pyright: ignore
                raise ValueError(
                    f"model must hold each entry of {name!r} by itself, but several share their "
                    "memory (as expand() gives them): clone the tensor first"
                )
        more = {name: parameters[name] for name in along if name not in self.weights}
        self.weights |= {
            name: p for name, p in more.items() if p.requires_grad and id(p) in trained
        }

    def check_parameters(self) -> None:
        """Raises `RuntimeError` if the model has other parameters than the optimizer trains."""
        if any(self._present(name) is not weight for name, weight in self.weights.items()):
            reshard(self.model)  # an evaluation may have left whole parameters in it
        for name, weight in self.weights.items():
            if self._present(name) is not weight:
                raise RuntimeError(
                    f"the model's parameter {name!r} was replaced while it was pruned (as "
                    "load_state_dict(assign=True) does) or removed: make the optimizer anew and "
                    "attach to it with resume="
                )

    def check_processes(self, generator: torch.Generator) -> None:
        """Raises `ValueError` if processes that share the weights would draw different numbers."""
        state = generator.get_state()
        for weight in self.weights.values():
            if differ_between_processes(state, weight):
                raise ValueError("generator must be in the same state in all processes")
            break

    def params(self) -> Params:
        """Parameters and buffers by name, as they are now.

        Raises:
            ValueError: If a weight under pruning has become NaN or infinite.
        """
        params = params_of(self.model)
        for name in self.weights:
            if params[name].sum().isfinite():  # then so are all: one quick pass without a copy
                continue
            if params[name].isnan().any():
                raise ValueError(f"the model has NaN in {name!r}: the training has diverged")
            if params[name].isinf().any():
                raise ValueError(f"the model has infinity in {name!r}: the training has diverged")
        return params

    def gradients(self) -> Params:
        """The gradients of all weights, dense; zero where the loss does not reach a weight.

        Raises:
            ValueError: If there is none at all, or one is NaN.
        """
        if all(weight.grad is None for weight in self.weights.values()):
            name = next(iter(self.weights))
            raise ValueError(f"{name!r} has no gradient in a round that needs it: call backward")
        result: Params = {}
        for name, weight in self.weights.items():
            gradient = torch.zeros_like(weight) if weight.grad is None else weight.grad
            gradient = gradient.to_dense() if gradient.is_sparse else gradient.detach()
            result[name] = whole(gradient)
            if _has_nan(result[name]):
                raise ValueError(f"the gradient of {name!r} has NaN in a round that ranks by it")
        return result

    @torch.no_grad()
    def adopt(self, params: Mapping[str, Tensor]) -> None:
        """Puts the values that a method has learned into all that is trained or pruned."""
        for name, parameter in self.model.named_parameters():
            if name in self.weights or parameter.requires_grad:
                parameter.copy_(params[name])

    @torch.no_grad()
    def write(self, params: Mapping[str, Tensor]) -> None:
        """Puts new values into the weights under pruning."""
        for name, weight in self.weights.items():
            local(weight).copy_(part_like(params[name], weight))

    @torch.no_grad()
    def mask_what_the_model_holds(self, masks: Masks) -> None:
        """Zeros in the model's present parameters, whichever they are."""
        for name in self.weights:
            present = self._present(name)
            if present is not self.weights[name] and isinstance(present, nn.Parameter):
                kept = part_like(masks[name].to(present.device), present)
                local(present).masked_fill_(~kept, 0)

    def _present(self, name: str) -> object:
        path, _, attribute = name.rpartition(".")
        try:
            return self.model.get_submodule(path)._parameters.get(attribute)  # pyright: ignore[reportPrivateUsage]
        except AttributeError:  # the module is gone
            return None


def _has_nan(value: Tensor) -> bool:
    # A sum with NaN is NaN: one pass without a copy where, as nearly always, there is none.
    return bool(value.sum().isnan()) and bool(value.isnan().any())
