"""Pruning inside the user's own training loop."""

from __future__ import annotations

import copy
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from types import TracebackType
from typing import Any, Self, final

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.hooks import RemovableHandle

from prunelimits.arguments import checked_integer
from prunelimits.masks import check_masks, count
from prunelimits.problem import problem_of
from prunelimits.pruners import AbstractPruner, Rewind, State, prunable, prune
from prunelimits.pruners.noise import draw_noise
from prunelimits.pruners.prune import checked_keep
from prunelimits.types import Masks, Params


def attach(
    pruner: AbstractPruner | Masks,
    model: nn.Module,
    optimizer: Optimizer,
    *,
    keep: int | None = None,
    sparsity: float | None = None,
    every: int | None = None,
    steps: int | None = None,
    loss: Callable[[Tensor, Tensor], Tensor] | None = None,
    batches: Iterable[tuple[Tensor, Tensor]] = (),
    ignore: Iterable[str | nn.Module] = (),
    generator: torch.Generator | None = None,
    resume: Mapping[str, Any] | None = None,
) -> PruningSession:
    """Prunes a model while the caller trains it, with any of torch's optimizers.

    Pruned weights are zero from this call on, in the model and in the optimizer's buffers. Then
    either train as usual inside `with attach(...):`, where hooks on the optimizer do the work, or
    without `with` call the session's `step()` in place of `optimizer.step()`.

    Args:
        pruner: The method; or masks, which are then held as they are.
        model: Trained in place.
        optimizer: Any that trains the parameters to be pruned.
        keep: How many weights survive. Exactly one of this and `sparsity`, unless masks are given.
        sparsity: The share of the weights that is removed.
        every: Optimizer steps between two rounds, for methods that act during training.
        steps: Optimizer steps in the whole training, instead of `every`: the method then spreads
            its rounds as `AbstractPruner.update_steps` says.
        loss: As in `prune`, for methods that score with data.
        batches: As in `prune`.
        ignore: As in `prune`.
        generator: Source of random numbers. None: a fresh one seeded 0, so that replicas agree.
        resume: What `PruningSession.state_dict` gave, for a model and an optimizer loaded from the
            same moment: nothing is scored or drawn again.

    Raises:
        ValueError: If a number is missing or out of its range, the optimizer does not train a
            parameter that is to be pruned, the method rewinds (see `lottery_ticket`), or `resume`
            belongs to another model.
        TypeError: If an argument is of the wrong kind.

    Examples:
        >>> from prunelimits.pruners import GMP
        >>> model = nn.Linear(4, 4)
        >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        >>> with attach(GMP(), model, optimizer, keep=5, steps=300):
        ...     for _ in range(300):
        ...         optimizer.zero_grad()
        ...         model(torch.ones(1, 4)).square().sum().backward()
        ...         optimizer.step()
        >>> int(model.weight.count_nonzero())
        5
    """
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"optimizer must be one of torch's, got {optimizer!r}")
    if isinstance(pruner, Rewind):
        raise ValueError(f"pruner must not start training again, got {pruner}: see lottery_ticket")
    if generator is None:
        generator = torch.Generator().manual_seed(0)
    update_steps: list[int] = []
    if not isinstance(pruner, AbstractPruner):
        if keep is not None or sparsity is not None:
            raise ValueError(f"masks leave no choice of keep and sparsity, got {keep}, {sparsity}")
        check_masks(dict(model.named_parameters()), pruner)
        state = _held(pruner)
    elif not pruner.until:
        masks = prunable(model, ignore)
        if resume is None:
            masks = prune(
                model,
                pruner,
                keep=keep,
                sparsity=sparsity,
                loss=loss,
                batches=batches,
                ignore=ignore,
                generator=generator,
            )
        state = _held(masks)
    else:
        dense = prunable(model, ignore)
        budget = pruner.budget(dense, checked_keep(keep, sparsity, count(dense)))
        update_steps = _update_steps(pruner, every, steps)
        problem, params = problem_of(model)
        noise = draw_noise(dense, generator) if pruner.needs_noise else None
        state = pruner.init(problem, params, dense, budget, noise=noise)
    session = PruningSession(
        pruner if isinstance(pruner, AbstractPruner) else None,
        model,
        optimizer,
        state=state,
        update_steps=update_steps,
        generator=generator,
    )
    if resume is not None:
        session._load(resume)  # pyright: ignore[reportPrivateUsage]
    session._enforce()  # pyright: ignore[reportPrivateUsage]
    return session


@final
class PruningSession:
    """A model under pruning; `attach` makes one.

    As a context manager it hooks into the optimizer, and the caller's loop stays as it is. A round
    that needs dense gradients (RigL's) then takes place just before an optimizer step, which hooks
    cannot leave out as the paper does; `step()` does. In all other steps the gradients of pruned
    weights are zeroed as soon as they are there, so that clipping sees the sparse network's.
    """

    def __init__(
        self,
        pruner: AbstractPruner | None,
        model: nn.Module,
        optimizer: Optimizer,
        *,
        state: State,
        update_steps: Iterable[int],
        generator: torch.Generator,
    ) -> None:
        trained = {id(p) for group in optimizer.param_groups for p in group["params"]}
        parameters = dict(model.named_parameters())
        self._weights = {name: parameters[name] for name in state.masks}
        for name, weight in self._weights.items():
            if id(weight) not in trained:
                raise ValueError(f"optimizer must train {name!r}, which is to be pruned")
        self._pruner = pruner
        self._problem = problem_of(model)[0]
        self._optimizer = optimizer
        self._update_steps = Counter(update_steps)
        self._generator = generator
        self._steps = 0
        self._handles: list[RemovableHandle] = []
        self._set(state)

    @property
    def masks(self) -> Masks:
        """What is kept now: a copy, weights only."""
        return {name: mask.clone() for name, mask in self._state.masks.items()}

    def step(self) -> bool:
        """Stands in for `optimizer.step()`, without hooks.

        Returns:
            Whether the optimizer stepped: it does not where a round needs dense gradients, as in
            [RigL](https://arxiv.org/abs/1911.11134).

        Raises:
            RuntimeError: If the hooks are at work already, inside `with`.
            ValueError: If a round needs a gradient that is not there.
        """
        if self._handles:
            raise RuntimeError("step() is for loops without `with`: there, call optimizer.step()")
        skipped = self._before_step()
        if not skipped:
            self._optimizer.step()
        self._after_step()
        return not skipped

    def state_dict(self) -> dict[str, Any]:
        """All that `attach(..., resume=...)` needs to go on from here: tensors and an int.

        Save it with the model's and the optimizer's.
        """
        state = self._state._asdict()
        return copy.deepcopy(
            {**state, "steps": self._steps, "generator": self._generator.get_state()}
        )

    def __enter__(self) -> Self:
        self._handles = [
            self._optimizer.register_step_pre_hook(self._pre_hook),
            self._optimizer.register_step_post_hook(self._post_hook),
            *(
                weight.register_post_accumulate_grad_hook(partial(self._gradient_hook, name))
                for name, weight in self._weights.items()
                if weight.requires_grad
            ),
        ]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles = []
        rounds = self._update_steps.total()
        done = int(self._state.round)
        if kind is None and done < rounds and not self._needs_gradients:
            warnings.warn(
                f"the training ended after {self._steps} steps and {done} of {rounds} rounds: "
                f"{count(self._state.masks)} weights are left instead of "
                f"{int(self._state.budget.sum())}",
                stacklevel=2,
            )

    @property
    def _needs_gradients(self) -> bool:
        return self._pruner is not None and self._pruner.needs_gradients

    def _before_step(self) -> bool:
        """Whether a round took place that stands for the optimizer's step."""
        due = self._needs_gradients and self._steps in self._update_steps
        if due:
            self._update(_gradients(self._weights))
        self._enforce()
        return due

    def _after_step(self) -> None:
        self._steps += 1
        if not self._needs_gradients and self._steps in self._update_steps:
            self._update(None)
        self._enforce()

    def _update(self, grads: Params | None) -> None:
        pruner = self._pruner
        assert pruner is not None  # there are no update steps without one
        params: Params = {name: weight.detach() for name, weight in self._weights.items()}
        state = self._state
        for _ in range(self._update_steps[self._steps]):
            noise = draw_noise(state.masks, self._generator) if pruner.needs_noise else None
            params, state = pruner.update(self._problem, state, params, grads, noise=noise)
        with torch.no_grad():
            for name, weight in self._weights.items():
                weight.copy_(params[name])
        self._set(state)

    def _set(self, state: State) -> None:
        self._state = state
        self._pruned = {name: ~mask for name, mask in state.masks.items()}

    @torch.no_grad()
    def _enforce(self) -> None:
        """Zeros in every pruned weight, its gradient and the optimizer's buffers of its shape.

        A weight that comes back was zero there, so it starts without momentum.
        """
        for name, weight in self._weights.items():
            buffers = self._optimizer.state.get(weight, {}).values()
            for value in (weight, weight.grad, *buffers):
                if isinstance(value, Tensor) and value.shape == weight.shape:
                    value.masked_fill_(self._pruned[name], 0)

    def _load(self, saved: Mapping[str, Any]) -> None:
        names = {*State._fields, "steps", "generator"}
        if set(saved) != names:
            raise ValueError(f"resume must have {sorted(names)}, got {sorted(saved)}")
        masks: Masks = saved["masks"]
        check_masks(self._weights, masks)
        if set(masks) != set(self._weights):
            raise ValueError(f"resume prunes {sorted(masks)}, but here {sorted(self._weights)}")
        saved = copy.deepcopy(dict(saved))
        self._steps = saved.pop("steps")
        self._generator.set_state(saved.pop("generator"))
        self._set(State(**saved))

    def _pre_hook(self, _: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        closure = kwargs.get("closure", args[1] if len(args) > 1 else None)  # args[0]: optimizer
        if closure is not None:
            raise ValueError("optimizers that need a closure cannot be used: it evaluates again")
        self._before_step()

    def _post_hook(self, *_: object) -> None:
        self._after_step()

    def _gradient_hook(self, name: str, weight: Tensor) -> None:
        if weight.grad is not None and not (
            self._needs_gradients and self._steps in self._update_steps
        ):
            weight.grad.masked_fill_(self._pruned[name], 0)


def _held(masks: Masks) -> State:
    """A state without rounds."""
    kept = torch.tensor([count(masks)])
    return State(dict(masks), kept, kept, torch.tensor(0), {})


def _update_steps(pruner: AbstractPruner, every: int | None, steps: int | None) -> list[int]:
    if (every is None) == (steps is None):
        raise ValueError(f"exactly one of every and steps must be given, got {every}, {steps}")
    if steps is not None:
        return pruner.update_steps(steps)
    interval = checked_integer("every", every, 1)
    return [interval * done for done in range(1, pruner.rounds + 1)]


def _gradients(weights: Mapping[str, nn.Parameter]) -> Params:
    result: Params = {}
    for name, weight in weights.items():
        if weight.grad is None:
            raise ValueError(f"{name!r} has no gradient in a round that needs it: call backward")
        result[name] = weight.grad
    return result
