"""What to search for: the description that a store is made for."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, get_args

from prunelimits.arguments import (
    checked_choice,
    checked_flag,
    checked_instance,
    checked_integer,
    checked_integers,
    checked_number,
    checked_sequence,
    shown,
)
from prunelimits.enumeration.eligible_counts import Used
from prunelimits.enumeration.eligible_ranks import Order
from prunelimits.enumeration.every_widths import MOST_HIDDEN_LAYERS
from prunelimits.models import check_widths
from prunelimits.search.description import LATER_OPTIONS
from prunelimits.search.spaces import (
    EveryWidths,
    MasksOf,
    Phase,
    StructuredWidths,
    Symmetry,
    checked_pairs,
)
from prunelimits.training import Recipe, search_recipes


@dataclass(frozen=True, kw_only=True)
class SearchConfig:
    """The combinatorial search of [Sparsest Models Elude Pruning](https://arxiv.org/abs/2407.04075).

    Phase one (Section 3.3) trains every choice of hidden widths up to `width` and takes the one
    with the fewest nonzeros that reaches the target. Phase two trains every mask of these widths in
    `ModelMasks`. Nonzeros are weights and biases.

    Attributes:
        target: Accuracy to reach, in (0, 1]: a network counts if its accuracy is at least this. Of
            numbers to predict, all that is said of accuracy is said of R².
        width: Hidden width of the network whose parts are searched. Phase one tries the widths up
            to it, and it sets the fan-in of every initialisation.
        hidden_layers: Hidden layers of the networks of phase one, and with `every_widths`.
        widths: Inputs, hidden units, outputs for phase two; phase one is then left out.
        every_widths: Phase two goes through all networks of any widths with at most
            `max_nonzeros`, each once up to the order of its units; phase one is then left out.
        recipes: How every network is trained; the paper's six by default.
        seeds: Trainings of every network by every recipe, each from an initialisation of its own.
        halving: Rungs of successive halving, (epochs, share) each: trainings stop there and only
            the most accurate share of each shard goes on; epochs ascend. Empty: all run to the end.
        seed: Decides all initialisations, the order of batches and the held-out samples.
        min_nonzeros: Phase two skips smaller networks.
        max_nonzeros: Phase two skips larger networks; it may be left with none.
        first_per_count: Layer -> n: phase two takes only the first n masks of that layer for each
            number of nonzeros (Appendix D). Kept as pairs.
        subset_order: Which masks of a layer are the first: by `"ascending"` rows, or in the order
            of the paper's `"published"` code, as in `EligibleMasks`.
        first_phase_max_nonzeros: Phase one skips larger networks.
        symmetry: Which networks phase two takes for equal, see `ModelMasks`.
        inputs: `"all"`: every network uses every input, as in the paper. `"any"`: phase two also
            tries networks that leave inputs unused, which for most tables are the sparsest. Phase
            one is the same: its networks are fully connected.
        held_out: Share of the data on which accuracy is measured and nothing is trained. 0 measures
            on the training data, as the paper does.
        margin: Accuracy is that with this margin, see `training.evaluate`; 0 as the paper counts.
        shard_size: Trainings in one batch, which is also what an interruption can lose, and which
            compete with each other in `halving`.

    Raises:
        ValueError: If a number is out of its range, or options exclude each other.
        TypeError: If an option is of another kind than it must be.

    Examples:
        >>> SearchConfig(target=0.9, width=8, hidden_layers=2).first_phase
        StructuredWidths(width=8, hidden_layers=2, max_nonzeros=None)
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
    first_per_count: Mapping[int, int] | tuple[tuple[int, int], ...] | None = ()
    subset_order: Order = "ascending"
    first_phase_max_nonzeros: int | None = None
    symmetry: Symmetry = "layer"
    inputs: Used = "all"
    held_out: float = 0.0
    margin: float = 0.0
    shard_size: int = 512

    def __post_init__(self) -> None:
        def keep(name: str, value: object) -> None:
            object.__setattr__(self, name, value)

        keep("target", checked_number("target", self.target, above=0, most=1))
        keep("held_out", checked_number("held_out", self.held_out, least=0, below=1))
        keep("margin", checked_number("margin", self.margin, least=0))
        keep("seed", checked_integer("seed", self.seed))
        for name in ("width", "seeds", "shard_size"):
            keep(name, checked_integer(name, getattr(self, name), 1))
        layers = checked_integer("hidden_layers", self.hidden_layers, 1, MOST_HIDDEN_LAYERS)
        keep("hidden_layers", layers)
        checked_flag("every_widths", self.every_widths)
        keep("recipes", _checked_recipes(self.recipes))
        keep("halving", _checked_halving(self.halving, self.recipes))
        if self.widths is not None:
            keep("widths", check_widths(checked_integers("widths", self.widths)))
        first = () if self.first_per_count is None else self.first_per_count
        keep("first_per_count", checked_pairs("first_per_count", first))
        checked_choice("subset_order", self.subset_order, get_args(Order))
        if self.subset_order == "published" and self.symmetry == "network":
            raise ValueError(
                "subset_order must be left out with symmetry='network', whose layers have no lists "
                f"of their own, got {self.subset_order!r}"
            )
        if self.first_phase_max_nonzeros is not None:
            most = checked_integer("first_phase_max_nonzeros", self.first_phase_max_nonzeros, 1)
            keep("first_phase_max_nonzeros", most)
            if self.widths is not None:
                raise ValueError(
                    "first_phase_max_nonzeros cannot be combined with widths, which leave phase "
                    f"one out, got {most}"
                )
        if self.every_widths:
            self._check_every_widths()
        # Phase two's filter is checked now, not after phase one; any widths of this depth will do.
        self.masks_of(self.widths or (1,) * (self.hidden_layers + 2))
        widest = max((self.widths or ())[1:-1], default=1)
        if widest > self.width:
            raise ValueError(
                f"width must be at least the widest hidden layer of widths {self.widths}, "
                f"got {self.width}"
            )

    def _check_every_widths(self) -> None:
        if self.max_nonzeros is None:
            raise ValueError("every_widths needs max_nonzeros, got None")
        unused = {
            "widths": self.widths,
            "min_nonzeros": self.min_nonzeros,
            "first_per_count": self.first_per_count or None,
            "subset_order": self.subset_order if self.subset_order == "published" else None,
            "first_phase_max_nonzeros": self.first_phase_max_nonzeros,
        }
        for name, value in unused.items():
            if value is not None:
                raise ValueError(f"{name} cannot be combined with every_widths, got {value}")

    @property
    def first_phase(self) -> Phase:
        """What the search begins with: phase one, or phase two where it is all there is."""
        if self.every_widths:
            assert self.max_nonzeros is not None, "checked when the description was made"
            return EveryWidths(self.max_nonzeros, self.hidden_layers, self.inputs)
        if self.widths is not None:
            return self.masks_of(self.widths)
        return StructuredWidths(self.width, self.hidden_layers, self.first_phase_max_nonzeros)

    def masks_of(self, widths: tuple[int, ...]) -> MasksOf:
        """Phase two for these widths."""
        return MasksOf(
            widths,
            self.symmetry,
            self.min_nonzeros,
            self.max_nonzeros,
            checked_pairs("first_per_count", self.first_per_count or ()),
            self.inputs,
            self.subset_order,
        )

    def to_json(self) -> str:
        """The description as JSON, the same text for equal descriptions."""
        values = dataclasses.asdict(self)
        for name, default in LATER_OPTIONS.items():
            if values[name] == default:
                del values[name]
        return json.dumps(values, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> SearchConfig:
        """The description that `to_json` wrote.

        Raises:
            TypeError: If the text is no string, or a field is unknown or of another kind.
            ValueError: If the text is no JSON, describes no search, or a number is out of range.
        """
        checked_instance("text", text, str, "a JSON text")
        try:
            values: Any = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"text must be JSON, got {shown(text)}: {error}") from error
        if not isinstance(values, dict) or not isinstance(values.get("recipes"), list):
            raise ValueError(f"text must describe a search and its recipes, got {shown(text)}")
        values["recipes"] = tuple(Recipe(**recipe) for recipe in values["recipes"])
        return cls(**values)


def _checked_recipes(recipes: object) -> tuple[Recipe, ...]:
    result = checked_sequence("recipes", recipes, "recipes")
    if not result:
        raise ValueError("recipes must hold at least one recipe, got none")
    return tuple(
        checked_instance(f"recipes[{n}]", recipe, Recipe, "a Recipe")
        for n, recipe in enumerate(result)
    )


def _checked_halving(rungs: object, recipes: tuple[Recipe, ...]) -> tuple[tuple[int, float], ...]:
    result: list[tuple[int, float]] = []
    last = 0
    for rung in checked_sequence("halving", rungs, "pairs (epochs, share)"):
        pair = checked_sequence("halving's rungs", rung, "epochs and a share")
        if len(pair) != 2:
            raise ValueError(f"halving must hold pairs (epochs, share), got {rung!r}")
        last = checked_integer("halving's epochs", pair[0], last + 1)
        result.append((last, checked_number("halving's share", pair[1], above=0, below=1)))
    shortest = min(recipe.epochs for recipe in recipes)
    if last >= shortest:
        raise ValueError(
            f"halving must end before the {shortest} epochs of a training, got {last} epochs"
        )
    return tuple(result)
