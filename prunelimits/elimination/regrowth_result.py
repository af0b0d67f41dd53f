"""What a regrowth chose, and what it cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic

from torch import nn
from typing_extensions import TypeVar

from prunelimits.elimination.regrowth_config import Regrowth
from prunelimits.elimination.result import EliminatedNetwork
from prunelimits.types import Masks


@dataclass(frozen=True, eq=False)
class RegrownModule:
    """A module that a regrowth pruned and trained.

    Attributes:
        nonzeros: Parameters that it keeps: weights that the masks keep, and all that is never
            pruned, such as biases.
        score: Accuracy, or the coefficient of determination for squared error.
        model: A copy of the module that was given, trained, pruned weights zero.
        masks: Which of its weights it keeps, as `pruners.prune` gives them; every one lies on a
            path from an input to an output.
        origin: Which start it descends from.
    """

    nonzeros: int
    score: float
    model: nn.Module
    masks: Masks
    origin: int


Network = TypeVar("Network", EliminatedNetwork, RegrownModule, default=EliminatedNetwork)


@dataclass(frozen=True, eq=False)
class RegrowthResult(Generic[Network]):
    """The network that a regrowth chose.

    Attributes:
        network: With its masks; its score is accuracy, or the coefficient of determination for
            squared error, on the rows to choose by. An `EliminatedNetwork` where the starts were
            widths, a `RegrownModule` where they were modules.
        weights: Weights that it keeps, at most the goal; biases are kept besides: of an MLP those
            of units in use, of a module all.
        method: How it was found.
        work: Kept parameters times samples, summed over all trainings: the paper's measure of cost.
        seconds: Time taken.
    """

    network: Network
    weights: int
    method: Regrowth
    work: int
    seconds: float
