"""What a round of pruning sees, and what a pruner remembers between its rounds."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from prunelimits.types import Masks, Params, Problem


class Seen(NamedTuple):
    """What a round has to go by.

    Attributes:
        problem: The task.
        params: Parameters and buffers by name.
        grads: The loss's gradient by all weights, pruned ones too, where the schedule wants it.
        noise: Uniform in [0, 1), shaped like the masks, for pruners that need it.
    """

    problem: Problem
    params: Params
    grads: Params | None = None
    noise: Params | None = None


class State(NamedTuple):
    """What a pruner remembers between its rounds: tensors only, so that `torch.vmap` maps it.

    Attributes:
        masks: What is kept now: weights only, every prunable one.
        budget: How many weights survive in the end, int64: `(1,)` for all together, `(layers,)`, or
            `(groups,)`.
        start: How many there were at first, int64, shaped like `budget`.
        round: How many rounds are done, int64 without axes.
        memory: What else the schedule needs: the weights that `Rewind` goes back to.
    """

    masks: Masks
    budget: Tensor
    start: Tensor
    round: Tensor
    memory: Params
