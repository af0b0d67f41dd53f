"""What an engine is: a way to train, evaluate and differentiate a whole ensemble."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from torch import Tensor

from prunelimits.training.ensemble import MLPEnsemble
from prunelimits.types import Params

Loss: TypeAlias = Literal["binary_cross_entropy", "cross_entropy", "mse"]
"""Mean over the samples of: binary cross-entropy with logits, for one output and labels 0 or 1,
float `(n,)`; cross-entropy of a softmax, for int64 labels `(n,)`; squared error averaged over the
outputs, for float targets `(n, outputs)`."""


@dataclass(frozen=True)
class Plan:
    """A recipe made concrete for an ensemble: exactly what an engine has to execute.

    Step t (counted from 0 over the whole training) belongs to epoch `t // steps_per_epoch` and
    takes samples `order(epoch)[b * batch_size : (b + 1) * batch_size]`, `b` being its place in the
    epoch. It updates every parameter p with gradient g inside the mask by
    `v = momentum v + g + weight_decay p`, `p = p - lr[epoch] v`.

    Attributes:
        loss: The training loss.
        batch_size: Samples a step.
        steps_per_epoch: Whole batches in the data.
        lr: Learning rates, float64 `(epochs, models)`.
        momentum: float64 `(models,)`.
        weight_decay: float64 `(models,)`.
        start: First step to take.
        stop: First step not to take.
        order: Epoch -> permutation of the samples, int64 `(n,)`, the same for every member.
    """

    loss: Loss
    batch_size: int
    steps_per_epoch: int
    lr: Tensor
    momentum: Tensor
    weight_decay: Tensor
    start: int
    stop: int
    order: Callable[[int], Tensor]

    def samples(self, step: int) -> Tensor:
        """Which samples a step takes, int64 `(batch_size,)`."""
        epoch, place = divmod(step, self.steps_per_epoch)
        return self.order(epoch)[place * self.batch_size :][: self.batch_size]

    def of(self, members: slice | Tensor) -> Plan:
        """The plan for some of the members: a slice or indices."""
        return replace(
            self,
            lr=self.lr[:, members],
            momentum=self.momentum[members],
            weight_decay=self.weight_decay[members],
        )


@dataclass(frozen=True)
class Evaluation:
    """Loss and accuracy of every member on one data set, float64 `(models,)` each.

    A sample with an output that is not finite counts as wrong. Accuracy is NaN for squared error.
    """

    loss: Tensor
    accuracy: Tensor


class AbstractEngine(ABC):
    """Trains, evaluates and differentiates all members of an ensemble at once.

    Engines get checked input: `x` is `(n, inputs)` in the ensemble's dtype and on its device, `y`
    fits the loss. They return new ensembles and leave their input as it is.
    """

    @property
    @abstractmethod
    def name(self) -> str:
        """What results depend on to the last bit: the engine, its instruction set, its threads."""

    @abstractmethod
    def supports(self, ensemble: MLPEnsemble) -> bool:
        """Whether this engine can work on the ensemble's device, dtype and widths."""

    @abstractmethod
    def train(self, ensemble: MLPEnsemble, x: Tensor, y: Tensor, plan: Plan) -> MLPEnsemble:
        """The ensemble after the plan's steps, momentum included."""

    @abstractmethod
    def evaluate(self, ensemble: MLPEnsemble, x: Tensor, y: Tensor, loss: Loss) -> Evaluation:
        """Loss and accuracy of every member on all samples."""

    @abstractmethod
    def gradients(self, ensemble: MLPEnsemble, x: Tensor, y: Tensor, loss: Loss) -> Params:
        """The loss's gradient by ALL parameters, pruned ones included: name -> `(models, *shape)`.

        Methods that grow weights back, such as RigL, rank pruned weights by it.
        """


@dataclass(frozen=True)
class Training:
    """All of a training but the networks: an engine, checked data and a plan."""

    engine: AbstractEngine
    x: Tensor
    y: Tensor
    plan: Plan

    def run(self, ensemble: MLPEnsemble, plan: Plan) -> MLPEnsemble:
        """The ensemble after another plan's steps on this data."""
        return self.engine.train(ensemble, self.x, self.y, plan)

    def gradients(self, ensemble: MLPEnsemble, step: int) -> Params:
        """The gradients by all parameters on the batch of a step."""
        batch = self.plan.samples(step)
        return self.engine.gradients(ensemble, self.x[batch], self.y[batch], self.plan.loss)
