"""A model under pruning while the caller trains it."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, NoReturn, Self, final

import torch
from torch.optim import Optimizer
from typing_extensions import override

from prunelimits.arguments import checked_tensor, shown, warn
from prunelimits.masks import count
from prunelimits.pruners import State
from prunelimits.pruners.noise import draw_noise
from prunelimits.sessions.hooks import Hooks
from prunelimits.sessions.progress import Progress
from prunelimits.sessions.task import SessionModel
from prunelimits.sessions.terms import Terms
from prunelimits.sessions.zeros import Zeros
from prunelimits.types import Masks


@final
class PruningSession:
    """A model under pruning; `attach` makes one, by `start` or by `resume`.

    As a context manager it hooks into the optimizer, and the caller's loop stays as it is; it may
    be entered again and again, such as once an epoch. A round that needs dense gradients (RigL's)
    then takes place just before an optimizer step, which hooks cannot leave out as the paper does;
    `step()` does. In all other steps the gradients of pruned weights are zeroed as soon as they are
    there, so that clipping sees the sparse network's.

    With several optimizers, a step is over when each of them has stepped.

    It cannot be copied or pickled: `state_dict` is what is saved.
    """

    def __init__(
        self,
        terms: Terms,
        model: SessionModel,
        optimizers: Sequence[Optimizer],
        state: State,
        generator: torch.Generator,
    ) -> None:
        self._terms = terms
        self._model = model
        self._optimizers = tuple(optimizers)
        self._state = state
        self._generator = generator
        self._due = Counter(terms.update_steps)
        self._stepped: set[int] = set()
        self._hooks: Hooks | None = None
        self._zeros = Zeros(model.weights, self._optimizers)
        self._progress = Progress(terms, count(state.masks))
        self._told_of_return = False
        self._entered_at = 0

    @classmethod
    def start(
        cls,
        terms: Terms,
        model: SessionModel,
        optimizers: Sequence[Optimizer],
        generator: torch.Generator,
        masks: Masks | None = None,
    ) -> Self:
        """A new session: what is pruned at the beginning is zero from here on.

        `masks` are what a method that prunes before training has kept.
        """
        pruner = terms.pruner
        if pruner is None or not pruner.acts_in_training:
            masks = terms.allowed if masks is None else masks
            kept = torch.tensor([count(masks)], device="cpu")
            state = State(dict(masks), kept, kept, torch.tensor(0, device="cpu"), {})
        else:
            noise = draw_noise(terms.allowed, generator) if pruner.needs_noise else None
            state = pruner.init(
                model.problem, model.params(), terms.allowed, terms.budget, noise=noise
            )
        session = cls(terms, model, optimizers, state, generator)
        session._zeros.set(terms.held(state.masks))
        session._progress.is_new(session, optimizers, model.weights, terms.held(state.masks))
        return session

    @classmethod
    def resume(
        cls,
        saved: Mapping[str, Any],
        terms: Terms,
        model: SessionModel,
        optimizers: Sequence[Optimizer],
        generator: torch.Generator,
    ) -> Self:
        """The session that was saved, for a model and optimizers loaded from the same moment.

        Raises:
            ValueError: If it was asked for something else.
        """
        terms.check(saved)
        saved = copy.deepcopy(dict(saved))
        state = State(**{name: saved[name] for name in State._fields})
        devices = {name: weight.device for name, weight in model.weights.items()}
        state = state._replace(masks={n: m.to(devices[n]) for n, m in state.masks.items()})
        _set_state(generator, saved["generator"])
        session = cls(terms, model, optimizers, state, generator)
        session._progress.steps = saved["steps"]
        session._progress.rounds = int(state.round)
        session._zeros.set(terms.held(state.masks))
        session._progress.is_new(session, optimizers, model.weights, terms.held(state.masks))
        return session

    @property
    def masks(self) -> Masks:
        """What is kept now: a copy, weights only."""
        return {name: mask.clone() for name, mask in self._state.masks.items()}

    @property
    def is_active(self) -> bool:
        """Whether the hooks are at work, inside `with`."""
        return self._hooks is not None

    def step(self) -> bool:
        """Stands in for `optimizer.step()`, without hooks.

        Returns:
            Whether the optimizer stepped: it does not where a round needs dense gradients, as in
            [RigL](https://arxiv.org/abs/1911.11134).

        Raises:
            RuntimeError: If the hooks are at work already, inside `with`, or the model's parameters
                were replaced.
            ValueError: If a round needs a gradient that is not there, or finds NaN.
        """
        if self._hooks is not None:
            raise RuntimeError("step() is for loops without `with`: there, call optimizer.step()")
        self._progress.is_closed()  # should the step fail, that is told already
        skipped = self._before_step()
        try:
            for optimizer in self._optimizers:
                if not skipped:
                    optimizer.step()
                self.after_step(optimizer)
        except BaseException:
            self._zeros.everywhere()  # the optimizer may have got half way
            raise
        self._progress.is_open(self)
        return not skipped

    def state_dict(self) -> dict[str, Any]:
        """All that `attach(..., resume=...)` needs to go on from here: tensors, text and an int.

        Save it with the model's and the optimizer's.
        """
        self._progress.is_closed()  # the training may go on elsewhere
        return copy.deepcopy(
            {
                **self._state._asdict(),
                **self._terms.saved(),
                "steps": self._progress.steps,
                "generator": self._generator.get_state(),
            }
        )

    @override
    def __reduce_ex__(self, _: object) -> NoReturn:
        """Refuses `copy.copy`, `copy.deepcopy`, `pickle` and `torch.save`.

        A copy would prune the same model and optimizer as this session, or ones that nobody trains.
        """
        raise TypeError(
            "a PruningSession cannot be copied or pickled, as it belongs to one model and its "
            "optimizer: save its state_dict() with theirs, and give it to attach(..., resume=...) "
            "with those that are loaded or copied"
        )

    def __enter__(self) -> Self:
        if self._hooks is not None:
            raise RuntimeError("this session is at work already: it cannot be entered twice")
        self._model.check_parameters()
        self._progress.is_open(self)
        self._zeros.everywhere()
        self._entered_at = self._progress.steps
        self._hooks = Hooks(self, self._optimizers, self._model.weights)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._hooks is not None
        self._hooks.remove()
        self._hooks = None
        if self._zeros.came_back() and self._progress.steps == self._entered_at and kind is None:
            warn(
                "pruned weights came back though the optimizer made no step, and are zero again: "
                "attach to the one whose step() is called",
            )
        self._zeros.everywhere()
        self._model.mask_what_the_model_holds(self._terms.held(self._state.masks))
        if kind is not None:
            self._progress.is_closed()

    def before_step(self) -> None:
        """Called by the hooks."""
        self._before_step()

    def after_step(self, optimizer: Optimizer) -> None:
        """Called by the hooks."""
        self._stepped.add(id(optimizer))
        if len(self._stepped) == len(self._optimizers):
            self._stepped.clear()
            self._progress.steps += 1
            if not self._terms.needs_gradients and self._progress.steps in self._due:
                self._zeros.after_step()  # whatever an optimizer made of pruned weights, even NaN
                self._update()
                return
        self._zeros.after_step()

    def new_gradient(self, name: str) -> None:
        """Called by the hooks."""
        if not self._round_needs_gradients():
            self._zeros.gradient(name)

    def _before_step(self) -> bool:
        """Whether a round took place that stands for the optimizer's step."""
        self._model.check_parameters()
        due = self._round_needs_gradients()
        if due:
            self._update()
        if self._zeros.before_step() and not self._told_of_return:
            self._told_of_return = True
            warn(
                "pruned weights came back between two steps, and are zero again: something beside "
                "the optimizer writes to the model (load_state_dict, an optimizer around this "
                "one, an average of weights); attach to the outermost optimizer, and apply the "
                "masks to what is loaded",
            )
        return due

    def _round_needs_gradients(self) -> bool:
        """Whether the step to come begins with a round that ranks by dense gradients."""
        return (
            self._terms.needs_gradients
            and not self._stepped
            and self._progress.steps in self._due
            and int(self._state.round) < self._rounds_until(self._progress.steps)
        )

    def _rounds_until(self, step: int) -> int:
        return sum(number for at, number in self._due.items() if at <= step)

    def _update(self) -> None:
        pruner = self._terms.pruner
        assert pruner is not None  # there are no update steps without one
        params, state = self._model.params(), self._state
        grads = self._model.gradients() if self._terms.needs_gradients else None
        for _ in range(self._due[self._progress.steps]):
            noise = draw_noise(state.masks, self._generator) if pruner.needs_noise else None
            params, state = pruner.update(self._model.problem, state, params, grads, noise=noise)
        self._model.write(params)
        self._state = state
        self._progress.rounds, self._progress.left = int(state.round), count(state.masks)
        self._zeros.set(self._terms.held(state.masks))


def _set_state(generator: torch.Generator, saved: object) -> None:
    """Raises `ValueError` if what was saved is no state of such a generator."""
    state = checked_tensor("resume['generator']", saved)
    try:
        generator.set_state(state.cpu())
    except (RuntimeError, TypeError) as error:
        raise ValueError(
            f"resume['generator'] must be the state of a generator on {generator.device}, got "
            f"{shown(state)}"
        ) from error
