"""What to search for: the description that a store is made for."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from prunelimits.arguments import checked_integer
from prunelimits.models import check_widths
from prunelimits.training import Recipe, search_recipes

Symmetry = Literal["layer", "network"]


@dataclass(frozen=True, kw_only=True)
class SearchConfig:
    """The combinatorial search of [Sparsest Models Elude Pruning](https://arxiv.org/abs/2407.04075).

    Phase one (Section 3.3) trains every choice of hidden widths up to `width` and takes the one
    with the fewest nonzeros that reaches the target. Phase two trains every mask of these widths in
    `ModelMasks`. Nonzeros are weights and biases.

    Attributes:
        target: Accuracy to reach, in (0, 1]: a network counts if its accuracy is at least this.
        width: Hidden width of the network whose parts are searched. Phase one tries the widths up
            to it, and it sets the fan-in of every initialisation.
        hidden_layers: Hidden layers of the networks of phase one.
        widths: Inputs, hidden units, outputs for phase two; phase one is then left out.
        every_widths: Phase two goes through all networks of any widths with at most
            `max_nonzeros`, each once up to the order of its units; phase one is then left out.
        recipes: How every network is trained; the paper's six by default.
        seeds: Trainings of every network by every recipe, each from an initialisation of its own.
        halving: Rungs of successive halving, (epochs, share) each: trainings stop there and only
            the most accurate share of each shard goes on; epochs ascend. None: all run to the end.
        seed: Decides all initialisations, the order of batches and the held-out samples.
        min_nonzeros: Phase two skips smaller networks.
        max_nonzeros: Phase two skips larger networks.
        first_per_count: Layer -> n: phase two takes only the first n masks of that layer for each
            number of nonzeros (Appendix D).
        symmetry: Which networks phase two takes for equal, see `ModelMasks`.
        held_out: Share of the data on which accuracy is measured and nothing is trained. 0 measures
            on the training data, as the paper does.
        shard_size: Trainings in one batch, which is also what an interruption can lose, and which
            compete with each other in `halving`.

    Raises:
        ValueError: If a number is out of its range.
        TypeError: If a number that must be an integer is not.
    """

    target: float
    width: int = 16
    hidden_layers: int = 3
    widths: tuple[int, ...] | None = None
    every_widths: bool = False
    recipes: tuple[Recipe, ...] = field(default_factory=search_recipes)
    seeds: int = 1
    halving: tuple[tuple[int, float], ...] = ()
    seed: int = 0
    min_nonzeros: int | None = None
    max_nonzeros: int | None = None
    first_per_count: Mapping[int, int] | None = None
    symmetry: Symmetry = "layer"
    held_out: float = 0.0
    shard_size: int = 512

    def __post_init__(self) -> None:
        if not 0 < self.target <= 1:
            raise ValueError(f"target must be in (0, 1], got {self.target!r}")
        for name in ("width", "hidden_layers", "seeds", "shard_size"):
            checked_integer(name, getattr(self, name), 1)
        if not 0 <= self.held_out < 1:
            raise ValueError(f"held_out must be in [0, 1), got {self.held_out!r}")
        if not self.recipes:
            raise ValueError("recipes must hold at least one recipe, got none")
        self._check_halving()
        if self.symmetry not in get_args(Symmetry):
            raise ValueError(
                f"symmetry must be one of {', '.join(get_args(Symmetry))}, got {self.symmetry!r}"
            )
        if self.every_widths:
            self._check_every_widths()
        if self.widths is not None:
            widest = max(check_widths(self.widths)[1:-1], default=1)
            if widest > self.width:
                raise ValueError(
                    f"width must be at least the widest hidden layer of widths {self.widths}, "
                    f"got {self.width}"
                )

    def _check_halving(self) -> None:
        last = 0
        for epochs, share in self.halving:
            checked_integer("halving's epochs", epochs, last + 1)
            if not 0 < share < 1:
                raise ValueError(f"halving's share must be in (0, 1), got {share!r}")
            last = epochs
        shortest = min(recipe.epochs for recipe in self.recipes)
        if last >= shortest:
            raise ValueError(
                f"halving must end before the {shortest} epochs of a training, got {last} epochs"
            )

    def _check_every_widths(self) -> None:
        if self.max_nonzeros is None:
            raise ValueError("every_widths needs max_nonzeros, got None")
        unused = {
            "widths": self.widths,
            "min_nonzeros": self.min_nonzeros,
            "first_per_count": self.first_per_count,
        }
        for name, value in unused.items():
            if value is not None:
                raise ValueError(f"{name} cannot be combined with every_widths, got {value}")

    def to_json(self) -> str:
        """The description as JSON, the same text for equal descriptions."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> SearchConfig:
        """The description that `to_json` wrote."""
        values = json.loads(text)
        values["recipes"] = tuple(Recipe(**recipe) for recipe in values["recipes"])
        values["halving"] = tuple((epochs, share) for epochs, share in values["halving"])
        if values["widths"] is not None:
            values["widths"] = tuple(values["widths"])
        if values["first_per_count"] is not None:
            # JSON has only strings for keys.
            values["first_per_count"] = {int(k): n for k, n in values["first_per_count"].items()}
        return cls(**values)
