"""What an elimination's result depends on."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, get_args

from prunelimits.arguments import checked_choice, checked_flag, checked_integer
from prunelimits.elimination.config import Elimination
from prunelimits.elimination.data import EliminationData
from prunelimits.elimination.goal import Goal
from prunelimits.models import check_widths
from prunelimits.resuming import digest
from prunelimits.training import Loss, MLPEnsemble, Recipe


@dataclass(frozen=True, kw_only=True)
class Description:
    """All that decides an elimination's result but for rounding, which depends on the engine.

    Attributes:
        method: How.
        goal: What to reach.
        seed: Of everything random.
        trained: Whether the starting networks were trained already.
        widths: Of the starting networks.
        start: Fingerprint of their parameters and masks.
        loss: The training loss.
        data: Fingerprint of the training data.
        measure: Fingerprint of the data on which the score is measured.
        samples: How many these are.
    """

    method: Elimination
    goal: Goal
    seed: int
    trained: bool
    widths: tuple[int, ...]
    start: str
    loss: Loss
    data: str
    measure: str
    samples: int

    @classmethod
    def of(
        cls,
        method: Elimination,
        goal: Goal,
        data: EliminationData,
        start: MLPEnsemble,
        trained: bool,
        seed: int,
    ) -> Description:
        """The description of an elimination that is to be done."""
        return cls(
            method=method,
            goal=goal,
            seed=seed,
            trained=trained,
            widths=start.widths,
            start=digest(start.params, start.masks),
            loss=data.loss,
            data=digest(data.x, data.y),
            measure=digest(data.measure_x, data.measure_y),
            samples=len(data.measure_x),
        )

    def to_dict(self) -> dict[str, Any]:
        """The description in JSON's types, with the numbers of the method and the goal by name."""
        values = dataclasses.asdict(self)
        values |= {"widths": list(self.widths)}
        return values.pop("method") | values.pop("goal") | values

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Description:
        """The inverse of `to_dict`.

        Raises:
            KeyError, TypeError, ValueError: If it is not what `to_dict` gave.
        """
        # Stores of earlier versions have no margin.
        values = {"margin": 0.0} | values
        method = {field.name: values[field.name] for field in dataclasses.fields(Elimination)}
        for name in ("dense", "recovery"):
            method[name] = Recipe(**method[name])
        texts = {name: str(values[name]) for name in ("start", "data", "measure")}
        return cls(
            method=Elimination(**method),
            goal=Goal(values["target"], values["nonzeros"]),
            seed=checked_integer("seed", values["seed"]),
            trained=checked_flag("trained", values["trained"]),
            widths=check_widths(values["widths"]),
            loss=checked_choice("loss", values["loss"], get_args(Loss)),
            samples=checked_integer("samples", values["samples"], 1),
            **texts,
        )
