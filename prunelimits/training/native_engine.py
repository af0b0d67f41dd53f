"""The native engine: C++, one vector lane a model, threads over groups of models."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional
from typing_extensions import override

from prunelimits.arguments import checked_integer
from prunelimits.training.engine import AbstractEngine, Evaluation, Loss, Plan
from prunelimits.training.ensemble import MLPEnsemble
from prunelimits.training.native import library
from prunelimits.types import Params

_MAX_WIDTH = 256
# One call of the library takes at most about this many multiply-adds and bytes of samples. Larger
# calls would cost less to set up, but Ctrl-C waits for their end: well below a second on two cores.
_CALL_MULTIPLY_ADDS = 10**10
_CALL_SAMPLE_BYTES = 1 << 26


def available() -> bool:
    """Whether the package was installed with the compiled library."""
    return library.load() is not None


def usable_threads() -> int:
    """The cores that this process may run on, or fewer where the environment says so.

    `PRUNELIMITS_THREADS` limits them, else `OMP_NUM_THREADS`, which job schedulers and Dask set
    for workers that share a machine. As OpenMP defines it, the latter may be a list, such as `4,2`
    for teams of threads within teams: the first number counts. An empty variable says nothing.

    Raises:
        ValueError: If the variable does not say a positive integer.
    """
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    for name in ("PRUNELIMITS_THREADS", "OMP_NUM_THREADS"):
        if text := os.environ.get(name, "").strip():
            number = text.split(",")[0].strip() if name == "OMP_NUM_THREADS" else text
            if not (number.isascii() and number.isdecimal() and int(number) >= 1):
                raise ValueError(f"{name} must be a positive integer, got {text!r}")
            return min(cores, int(number))
    return cores


class NativeEngine(AbstractEngine):
    """Trains as many models side by side as a vector has lanes, and such groups in all threads.

    Results are the same to the last bit whatever the number of threads and whichever models stand
    beside a model; between instruction sets, and from the torch engine, they differ by rounding.
    Denormal numbers count as zero. While it trains, pruned parameters are zero even in models
    that diverge.

    Args:
        threads: How many threads work; None: `usable_threads()`.

    Raises:
        RuntimeError: If the package was installed without the compiled library.
        TypeError: If `threads` is not an integer.
        ValueError: If `threads` is below 1, or the environment variable `PRUNELIMITS_ISA`, which
            chooses the instruction set, names one that this machine lacks.
    """

    def __init__(self, threads: int | None = None) -> None:
        loaded = library.load()
        if loaded is None:
            raise RuntimeError(
                f"the native engine is not installed ({library.why_absent()}): with a C++ compiler "
                "(GCC or Clang) at hand, install prunelimits again"
            )
        kernels = loaded.kernels()
        kernel = os.environ.get("PRUNELIMITS_ISA") or kernels[0]
        if kernel not in kernels:
            raise ValueError(
                f"PRUNELIMITS_ISA must be one of {', '.join(kernels)} on this machine, "
                f"got {kernel!r}"
            )
        if threads is not None:
            threads = checked_integer("threads", threads, 1)
        self._library = loaded
        self._kernel = kernel
        self._lanes = loaded.lanes(kernel)
        self._threads = usable_threads() if threads is None else threads

    @property
    @override
    def name(self) -> str:
        return f"native {self._kernel}"

    @property
    def threads(self) -> int:
        """How many threads work."""
        return self._threads

    @override
    def supports(self, ensemble: MLPEnsemble) -> bool:
        return (
            ensemble.dtype == torch.float32
            and ensemble.device.type == "cpu"
            and max(ensemble.widths[1:-1], default=0) <= _MAX_WIDTH
        )

    @override
    def train(self, ensemble: MLPEnsemble, x: Tensor, y: Tensor, plan: Plan) -> MLPEnsemble:
        params, velocity = self._pack(ensemble.params), self._pack(ensemble.momentum)
        masks = self._pack(ensemble.masks).to(torch.int32).neg_()
        kept = masks.any(2)
        problem = self._problem(ensemble, x, y, plan.loss, params)
        momentum, decay = self._spread(plan.momentum), self._spread(plan.weight_decay)
        per_step = 3 * plan.batch_size * self._lanes * int(kept.sum().clamp(min=1))
        bytes_per_step = 4 * plan.batch_size * (x.shape[1] + y[0].numel())
        most = max(1, min(_CALL_MULTIPLY_ADDS // per_step, _CALL_SAMPLE_BYTES // bytes_per_step))
        for first in range(plan.start, plan.stop, most):
            stop = min(first + most, plan.stop)
            epochs = range(first // plan.steps_per_epoch, -(-stop // plan.steps_per_epoch))
            before = epochs.start * plan.steps_per_epoch
            self._library.train(
                library.Training(
                    problem=problem,
                    batch_size=plan.batch_size,
                    steps=range(first - before, stop - before),
                    steps_per_epoch=plan.steps_per_epoch,
                    orders=[plan.order(epoch).contiguous() for epoch in epochs],
                    rates=self._spread(plan.lr[epochs.start : epochs.stop]),
                    momentum=momentum,
                    decay=decay,
                    masks=masks,
                    kept=kept,
                    velocity=velocity,
                )
            )
        return ensemble.replace(
            params=self._unpack(params, ensemble), momentum=self._unpack(velocity, ensemble)
        )

    @override
    def evaluate(self, ensemble: MLPEnsemble, x: Tensor, y: Tensor, loss: Loss) -> Evaluation:
        params = self._pack(ensemble.params)
        problem = self._problem(ensemble, x, y, loss, params)
        losses = torch.empty(params.shape[0], self._lanes, dtype=torch.float64, device="cpu")
        right = torch.empty(params.shape[0], self._lanes, dtype=torch.int64, device="cpu")
        for part in self._parts(params, len(x)):
            piece = replace(problem, parameters=params[part])
            self._library.evaluate(piece, losses[part], right[part])
        accuracy = right.flatten()[: len(ensemble)].double() / len(x)
        return Evaluation(
            loss=losses.flatten()[: len(ensemble)] / len(x),
            accuracy=torch.full_like(accuracy, torch.nan) if loss == "mse" else accuracy,
        )

    @override
    def gradients(self, ensemble: MLPEnsemble, x: Tensor, y: Tensor, loss: Loss) -> Params:
        params = self._pack(ensemble.params)
        problem = self._problem(ensemble, x, y, loss, params)
        result = torch.empty_like(params)
        for part in self._parts(params, 3 * len(x)):
            self._library.gradients(replace(problem, parameters=params[part]), result[part])
        return self._unpack(result, ensemble)

    def _problem(
        self, ensemble: MLPEnsemble, x: Tensor, y: Tensor, loss: Loss, params: Tensor
    ) -> library.Problem:
        return library.Problem(
            kernel=self._kernel,
            threads=self._threads,
            widths=ensemble.widths,
            loss=loss,
            x=x.contiguous(),
            y=y.float().contiguous(),
            parameters=params,
        )

    def _parts(self, params: Tensor, passes: int) -> Iterator[slice]:
        """Slices of the groups, each worth one call at `passes` multiply-adds a parameter."""
        groups = max(self._threads, _CALL_MULTIPLY_ADDS // (passes * params[0].numel()))
        return (slice(first, first + groups) for first in range(0, len(params), groups))

    def _spread(self, numbers: Tensor) -> Tensor:
        """Numbers per model as float32 `(..., groups * lanes)`; lanes without a model get zero."""
        numbers = numbers.to("cpu", torch.float32)
        return functional.pad(numbers, (0, -numbers.shape[-1] % self._lanes)).contiguous()

    def _pack(self, params: Params) -> Tensor:
        """`(groups, parameters, lanes)`: rows of weights that end in their bias, a lane a model."""
        layers = [f"layers.{layer}" for layer in range(len(params) // 2)]
        models = torch.cat(
            [
                torch.cat(
                    [params[f"{layer}.weight"], params[f"{layer}.bias"].unsqueeze(2)], 2
                ).flatten(1)
                for layer in layers
            ],
            1,
        )
        models = functional.pad(models, (0, 0, 0, -len(models) % self._lanes))
        groups = models.view(-1, self._lanes, models.shape[1])
        return groups.transpose(1, 2).clone(memory_format=torch.contiguous_format)

    def _unpack(self, packed: Tensor, ensemble: MLPEnsemble) -> Params:
        models = packed.transpose(1, 2).flatten(0, 1)[: len(ensemble)]
        result: Params = {}
        widths = ensemble.widths
        for layer, (columns, rows) in enumerate(pairwise(widths)):
            size = rows * (columns + 1)
            matrix, models = models[:, :size].view(-1, rows, columns + 1), models[:, size:]
            result[f"layers.{layer}.weight"] = matrix[:, :, :-1].contiguous()
            result[f"layers.{layer}.bias"] = matrix[:, :, -1].contiguous()
        return result
