"""The reference engine: batched matrix products in torch, on any device."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional
from typing_extensions import override

from prunelimits.modes import in_plain_modes
from prunelimits.training.engine import AbstractEngine, Evaluation, Loss, Plan
from prunelimits.training.ensemble import MLPEnsemble
from prunelimits.types import Params

# Activations of this many numbers a layer are evaluated at a time: about 16 MB, within the caches.
_EVALUATION_NUMBERS = 1 << 22
# Runs of a step before it is captured as a CUDA graph.
_WARM_UP = 3


class TorchEngine(AbstractEngine):
    """Trains every member at once with `torch.baddbmm` and autograd."""

    @property
    @override
    def name(self) -> str:
        capability = torch.backends.cpu.get_cpu_capability()
        name = f"torch {torch.__version__} {capability} {torch.get_num_threads()} threads"
        if torch.cuda.is_available():
            precision = "TF32" if torch.backends.cuda.matmul.allow_tf32 else "no TF32"
            name += f", {torch.cuda.get_device_name()} {precision}"
        return name

    @override
    def supports(self, ensemble: MLPEnsemble) -> bool:
        return True

    @override
    @in_plain_modes
    def train(self, ensemble: MLPEnsemble, x: Tensor, y: Tensor, plan: Plan) -> MLPEnsemble:
        steps = _Steps(ensemble, x, y, plan)
        take = steps.take
        if x.is_cuda:
            take = _recorded(take)
            steps.begin(ensemble)
        for epoch in range(plan.start // plan.steps_per_epoch, len(plan.lr)):
            first = epoch * plan.steps_per_epoch
            left = range(max(plan.start, first), min(plan.stop, first + plan.steps_per_epoch))
            if not left:
                break
            steps.begin_epoch(plan.order(epoch), plan.lr[epoch], place=left.start - first)
            for _ in left:
                take()
        return ensemble.replace(params=steps.params, momentum=steps.momentum)

    @override
    @in_plain_modes
    @torch.no_grad()
    def evaluate(self, ensemble: MLPEnsemble, x: Tensor, y: Tensor, loss: Loss) -> Evaluation:
        rows = max(1, _EVALUATION_NUMBERS // (len(ensemble) * max(ensemble.widths)))
        total = torch.zeros(len(ensemble), dtype=torch.float64, device=x.device)
        correct = torch.zeros_like(total)
        for part, target in zip(x.split(rows), y.split(rows), strict=True):
            outputs = forward(ensemble.params, part)
            total += sample_losses(outputs, target, loss).sum(1, dtype=torch.float64)
            correct += correct_samples(outputs, target, loss).sum(1)
        return Evaluation(loss=total / len(x), accuracy=correct / len(x))

    @override
    @in_plain_modes
    def gradients(self, ensemble: MLPEnsemble, x: Tensor, y: Tensor, loss: Loss) -> Params:
        return _gradients(ensemble.params, x, y, loss)


class _Steps:
    """A training step whose tensors keep their memory, so that a CUDA graph can replay it."""

    def __init__(self, ensemble: MLPEnsemble, x: Tensor, y: Tensor, plan: Plan) -> None:
        self.params = {name: value.clone() for name, value in ensemble.params.items()}
        self.momentum = {name: value.clone() for name, value in ensemble.momentum.items()}
        self._pruned = {name: ~mask for name, mask in ensemble.masks.items()}
        self._decay = {n: _per_member(plan.weight_decay, v) for n, v in self.params.items()}
        self._inertia = {n: _per_member(plan.momentum, v) for n, v in self.params.items()}
        self._rate = {name: torch.empty_like(value) for name, value in self._decay.items()}
        self._x, self._y = x, y
        self._loss: Loss = plan.loss
        # The runs before a capture may go past the end of the data.
        places = len(x) + _WARM_UP * plan.batch_size
        self._order = torch.zeros(places, dtype=torch.int64, device=x.device)
        self._batch = torch.arange(plan.batch_size, device=x.device)
        self._first_batch = self._batch.clone()

    def begin(self, ensemble: MLPEnsemble) -> None:
        """Sets parameters and momentum back to the ensemble's, after the runs before a capture."""
        for name, value in self.params.items():
            value.copy_(ensemble.params[name])
            self.momentum[name].copy_(ensemble.momentum[name])

    def begin_epoch(self, order: Tensor, lr: Tensor, *, place: int) -> None:
        """Goes to step `place` of an epoch, with its order of the samples and learning rates."""
        self._order[: len(order)].copy_(order)
        torch.add(self._first_batch, place * len(self._batch), out=self._batch)
        for rate in self._rate.values():
            rate.copy_(lr.view_as(rate))

    def take(self) -> None:
        """One step of every member, on the next batch."""
        batch = self._order[self._batch]
        gradients = _gradients(self.params, self._x[batch], self._y[batch], self._loss)
        for name, value in self.params.items():
            velocity = self.momentum[name]
            velocity.mul_(self._inertia[name]).add_(gradients[name])
            velocity.addcmul_(value, self._decay[name]).masked_fill_(self._pruned[name], 0)
            value.addcmul_(velocity, self._rate[name], value=-1)
        self._batch.add_(len(self._batch))


def _recorded(work: Callable[[], None]) -> Callable[[], None]:
    """Work on a GPU as a CUDA graph: one launch instead of one for each of its kernels.

    The work runs `_WARM_UP` times before it is captured.
    """
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        # What the first runs allocate and choose must not be captured.
        for _ in range(_WARM_UP):
            work()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        work()
    return graph.replay


def _per_member(numbers: Tensor, like: Tensor) -> Tensor:
    """One number a member, shaped to broadcast over a stacked parameter."""
    return numbers.to(like).view(-1, *(1 for _ in like.shape[1:]))


def forward(params: Params, x: Tensor) -> Tensor:
    """Outputs `(models, n, outputs)` of stacked MLP parameters for inputs `(n, inputs)`."""
    layers = len(params) // 2
    # Samples run along the last axis, where they are contiguous for every elementwise pass.
    h = x.T.expand(len(params["layers.0.weight"]), *x.T.shape)
    for layer in range(layers):
        bias = params[f"layers.{layer}.bias"].unsqueeze(2)
        h = torch.baddbmm(bias, params[f"layers.{layer}.weight"], h)
        if layer < layers - 1:
            h = h.relu()
    return h.transpose(1, 2)


def sample_losses(outputs: Tensor, y: Tensor, loss: Loss) -> Tensor:
    """The loss of every sample, `(models, n)`, for outputs `(models, n, outputs)`."""
    match loss:
        case "binary_cross_entropy":
            logits = outputs.squeeze(2)
            return functional.binary_cross_entropy_with_logits(
                logits, y.to(logits).expand_as(logits), reduction="none"
            )
        case "cross_entropy":
            labels = y.expand(outputs.shape[:2])
            return functional.cross_entropy(outputs.transpose(1, 2), labels, reduction="none")
        case "mse":
            return (outputs - y).square().mean(2)


def correct_samples(outputs: Tensor, y: Tensor, loss: Loss) -> Tensor:
    """Which samples are classified right, `(models, n)`; NaN throughout for squared error."""
    match loss:
        case "binary_cross_entropy":
            right = (outputs.squeeze(2) > 0) == (y > 0.5)
        case "cross_entropy":
            right = outputs.argmax(2) == y
        case "mse":
            return torch.full(outputs.shape[:2], torch.nan, device=outputs.device)
    return right & outputs.isfinite().all(2)


def _gradients(params: Params, x: Tensor, y: Tensor, loss: Loss) -> Params:
    leaves = {name: value.detach().requires_grad_() for name, value in params.items()}
    # Members do not touch each other, so the gradient of the sum holds each one's own.
    total = sample_losses(forward(leaves, x), y, loss).mean(1).sum()
    return dict(zip(leaves, torch.autograd.grad(total, list(leaves.values())), strict=True))
