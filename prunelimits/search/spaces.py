"""The three spaces a search can go through, each described by one frozen, hashable value.

A description is what a search passes between its parts and keeps in its store. `space` gives the
networks themselves, by rank, for so many inputs and outputs.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, Literal, TypeAlias, cast, get_args

from prunelimits.arguments import (
    checked_choice,
    checked_integer,
    checked_integers,
    checked_size,
    shown,
)
from prunelimits.enumeration import ModelMasks, every_widths
from prunelimits.enumeration.eligible_counts import Used
from prunelimits.enumeration.eligible_ranks import Order
from prunelimits.enumeration.every_widths import MOST_HIDDEN_LAYERS
from prunelimits.models import check_widths
from prunelimits.search.ranked_networks import AbstractSpace, FamilySpace, MaskSpace, WidthSpace

Symmetry: TypeAlias = Literal["layer", "network"]
FirstPerCount: TypeAlias = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class StructuredWidths:
    """Phase one: every choice of hidden widths, fully connected.

    Attributes:
        width: Units of a hidden layer, at most; at least 1.
        hidden_layers: How many hidden layers.
        max_nonzeros: Larger networks are left out; None: none.
        number: Of the phase, 1.

    Examples:
        >>> StructuredWidths(width=16, hidden_layers=3).space(2, 1).count
        4096
        >>> StructuredWidths(width=16, hidden_layers=3, max_nonzeros=60).space(2, 1).count
        339
    """

    width: int
    hidden_layers: int
    max_nonzeros: int | None = None
    number: ClassVar[Literal[1]] = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "width", checked_integer("width", self.width, 1))
        _keep_hidden_layers(self)
        if self.max_nonzeros is not None:
            most = checked_integer("max_nonzeros", self.max_nonzeros, 0)
            object.__setattr__(self, "max_nonzeros", most)

    def space(self, inputs: int, outputs: int) -> AbstractSpace:
        """The networks by rank.

        Raises:
            TypeError: If a number is not an integer.
            ValueError: If one is below 1, or there are more than ten million networks.
        """
        return _space(self, *_checked_ends(inputs, outputs))

    def __str__(self) -> str:
        return "choices of widths"


@dataclass(frozen=True)
class MasksOf:
    """Phase two: the masks of one choice of widths that a filter lets through, as `ModelMasks`.

    Attributes:
        widths: Inputs, hidden units of each layer, outputs.
        symmetry: Which networks count as equal.
        min_nonzeros: Smaller networks are left out; None: none.
        max_nonzeros: Larger networks are left out; None: none.
        first_per_count: (layer, n): of that layer's masks only the first n of each size; a mapping
            is taken too.
        inputs: `"all"`: every input is used. `"any"`: inputs may be unused.
        order: In which order a layer's masks are listed, see `EligibleMasks`: which of them are the
            first.
        number: Of the phase, 2.

    Raises:
        TypeError: If a number is not an integer.
        ValueError: If a number is out of its range, or two of them do not fit each other.

    Examples:
        >>> phase = MasksOf((2, 7, 3, 3, 1), max_nonzeros=49, first_per_count={1: 3})
        >>> phase.space(2, 1).count
        63208
    """

    widths: tuple[int, ...]
    symmetry: Symmetry = "layer"
    min_nonzeros: int | None = None
    max_nonzeros: int | None = None
    first_per_count: FirstPerCount = ()
    inputs: Used = "all"
    order: Order = "ascending"
    number: ClassVar[Literal[2]] = 2

    def __post_init__(self) -> None:
        def keep(name: str, value: object) -> None:
            object.__setattr__(self, name, value)

        keep("widths", check_widths(checked_integers("widths", self.widths)))
        checked_choice("symmetry", self.symmetry, get_args(Symmetry))
        checked_choice("inputs", self.inputs, get_args(Used))
        for name in ("min_nonzeros", "max_nonzeros"):
            if (limit := getattr(self, name)) is not None:
                keep(name, checked_integer(name, limit, 0))
        keep("first_per_count", checked_pairs("first_per_count", self.first_per_count))
        # Checks that the options fit together; no table is built yet.
        self.masks()

    def masks(self) -> ModelMasks:
        """The masks as a sequence that is computed from ranks."""
        return ModelMasks(
            self.widths,
            self.symmetry,
            min_nonzeros=self.min_nonzeros,
            max_nonzeros=self.max_nonzeros,
            first_per_count=dict(self.first_per_count),
            inputs=self.inputs,
            order=self.order,
        )

    def space(self, inputs: int, outputs: int) -> AbstractSpace:
        """The networks by rank.

        Raises:
            TypeError: If a number is not an integer.
            ValueError: If `inputs` and `outputs` are not those of `widths`.
        """
        inputs, outputs = _checked_ends(inputs, outputs)
        if (inputs, outputs) != (self.widths[0], self.widths[-1]):
            raise ValueError(
                f"widths must start with {inputs} and end with {outputs}, inputs and outputs of "
                "this data, "
                f"got {self.widths}"
            )
        return _space(self, inputs, outputs)

    def __str__(self) -> str:
        return f"masks of widths {'-'.join(map(str, self.widths))}"


@dataclass(frozen=True)
class EveryWidths:
    """Phase two over all widths at once: every small network, once up to the order of its units.

    Attributes:
        max_nonzeros: Of the networks, weights and biases.
        hidden_layers: How many hidden layers.
        inputs: `"all"`: every input is used. `"any"`: inputs may be unused.
        number: Of the phase, 2.

    Examples:
        >>> EveryWidths(max_nonzeros=28, hidden_layers=3).space(2, 1).count
        80578
    """

    max_nonzeros: int
    hidden_layers: int
    inputs: Used = "all"
    number: ClassVar[Literal[2]] = 2

    def __post_init__(self) -> None:
        most = checked_integer("max_nonzeros", self.max_nonzeros, 1)
        object.__setattr__(self, "max_nonzeros", most)
        _keep_hidden_layers(self)
        checked_choice("inputs", self.inputs, get_args(Used))

    def widest(self, inputs: int, outputs: int) -> int:
        """Units of the widest hidden layer among the networks; 0 if there is no network.

        Examples:
            >>> EveryWidths(max_nonzeros=28, hidden_layers=3).widest(2, 1)
            7
        """
        return max((max(space.widths[1:-1]) for space in self.family(inputs, outputs)), default=0)

    def family(self, inputs: int, outputs: int) -> list[ModelMasks]:
        """The networks, one sequence of masks for each choice of widths.

        Raises:
            TypeError: If a number is not an integer.
            ValueError: If one is below 1.
        """
        inputs, outputs = _checked_ends(inputs, outputs)
        return every_widths(
            self.max_nonzeros,
            d_in=inputs,
            d_out=outputs,
            hidden_layers=self.hidden_layers,
            inputs=self.inputs,
        )

    def space(self, inputs: int, outputs: int) -> AbstractSpace:
        """The networks by rank.

        Raises:
            TypeError: If a number is not an integer.
            ValueError: If one is below 1, or there are too many widths to count their networks.
        """
        return _space(self, *_checked_ends(inputs, outputs))

    def __str__(self) -> str:
        return "networks of every widths"


def _keep_hidden_layers(phase: StructuredWidths | EveryWidths) -> None:
    layers = checked_integer("hidden_layers", phase.hidden_layers, 1, MOST_HIDDEN_LAYERS)
    object.__setattr__(phase, "hidden_layers", layers)


def _checked_ends(inputs: int, outputs: int) -> tuple[int, int]:
    return checked_size("inputs", inputs), checked_size("outputs", outputs)


Phase: TypeAlias = StructuredWidths | MasksOf | EveryWidths
"""What one phase of a search goes through."""


def checked_phase(name: str, value: object) -> Phase:
    """`value`, if it describes a phase.

    Raises:
        TypeError: If it does not.
    """
    if not isinstance(value, StructuredWidths | MasksOf | EveryWidths):
        raise TypeError(
            f"{name} must be a StructuredWidths, MasksOf or EveryWidths, got {shown(value)}"
        )
    return value


def phase_to_json(phase: Phase) -> str:
    """A description as JSON, the same text for equal descriptions."""
    return json.dumps({type(phase).__name__: dataclasses.asdict(phase)}, sort_keys=True)


def phase_from_json(text: str) -> Phase:
    """The description that `phase_to_json` wrote.

    Raises:
        TypeError: If a field is unknown or of another kind.
        ValueError: If the text is no JSON, describes no phase, or a number is out of its range.
    """
    content: Any = json.loads(text)
    for kind in get_args(Phase):
        if isinstance(content, dict) and list(cast("dict[str, Any]", content)) == [kind.__name__]:
            return kind(**content[kind.__name__])
    raise ValueError(f"a phase must be one of {Phase}, got {shown(text)}")


def checked_pairs(name: str, value: object) -> FirstPerCount:
    """Pairs of integers, ascending: a mapping, or a sequence of pairs.

    Raises:
        TypeError: If `value` is neither.
        ValueError: If a key comes twice.
    """
    content: Any = value.items() if isinstance(value, Mapping) else value
    try:
        pairs = sorted(checked_integers(name, tuple(pair), length=2) for pair in content)
    except TypeError:
        raise TypeError(f"{name} must map integers to integers, got {shown(value)}") from None
    if len({key for key, _ in pairs}) < len(pairs):
        raise ValueError(f"{name} must name every layer once, got {shown(value)}")
    return tuple((key, number) for key, number in pairs)


# Building a space can take a second; every process keeps the few it works on.
@lru_cache(maxsize=4)
def _space(phase: Phase, inputs: int, outputs: int) -> AbstractSpace:
    match phase:
        case StructuredWidths():
            return WidthSpace(
                inputs,
                outputs,
                hidden_layers=phase.hidden_layers,
                width=phase.width,
                max_nonzeros=phase.max_nonzeros,
            )
        case MasksOf():
            return MaskSpace(phase.masks())
        case EveryWidths():
            return FamilySpace(phase.family(inputs, outputs))
