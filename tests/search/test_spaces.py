"""The descriptions of spaces: one frozen value each."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from prunelimits.enumeration import ModelMasks, every_widths
from prunelimits.search.spaces import (
    EveryWidths,
    MasksOf,
    Phase,
    StructuredWidths,
    phase_from_json,
    phase_to_json,
)

PHASES: list[Phase] = [
    StructuredWidths(3, 2),
    StructuredWidths(3, 3),
    StructuredWidths(3, 3, 20),
    MasksOf((2, 3, 1)),
    MasksOf((2, 3, 1), "network"),
    MasksOf((2, 7, 3, 3, 1), min_nonzeros=20, max_nonzeros=36, first_per_count=((1, 3),)),
    MasksOf((2, 3, 1), inputs="any"),
    MasksOf((2, 3, 1), order="published"),
    EveryWidths(20, 3),
    EveryWidths(20, 3, "any"),
]


@pytest.mark.parametrize("phase", PHASES, ids=repr)
def test_a_description_is_one_value(phase: Phase):
    assert phase_from_json(phase_to_json(phase)) == phase
    assert pickle.loads(pickle.dumps(phase)) == phase
    assert [other for other in PHASES if other == phase] == [phase]
    assert {other: n for n, other in enumerate(PHASES)}[phase] == PHASES.index(phase)
    # Building a space may take long; equal descriptions share it.
    assert phase.space(2, 1) is phase_from_json(phase_to_json(phase)).space(2, 1)


def test_lists_mappings_and_numpy_integers_become_plain_tuples():
    given = MasksOf([2, np.int64(7), 3, 3, 1], max_nonzeros=np.int32(49), first_per_count={1: 3})
    assert given == MasksOf((2, 7, 3, 3, 1), max_nonzeros=49, first_per_count=((1, 3),))
    assert [type(width) for width in given.widths] == [int] * 5
    assert phase_from_json(phase_to_json(given)) == given
    assert StructuredWidths(np.int64(3), 2) == StructuredWidths(3, 2)
    assert type(EveryWidths(np.int64(20), 3).max_nonzeros) is int


def test_a_space_is_that_of_its_description():
    assert StructuredWidths(7, 3).space(2, 1).count == 7**3
    filtered = MasksOf((2, 7, 3, 3, 1), max_nonzeros=49, first_per_count={1: 3})
    assert filtered.space(2, 1).count == 63_208
    assert filtered.masks() == ModelMasks((2, 7, 3, 3, 1), max_nonzeros=49, first_per_count={1: 3})
    published = MasksOf((2, 6, 3, 2, 1), max_nonzeros=44, first_per_count={1: 6}, order="published")
    assert published.space(2, 1).count == 23_528
    assert published.masks().order == "published"
    assert EveryWidths(28, 3).space(2, 1).count == 80_578
    assert EveryWidths(5, 3).space(2, 1).count == 0
    assert MasksOf((2, 3, 1), max_nonzeros=4).space(2, 1).count == 0


@pytest.mark.parametrize("most", range(1, 30))
@pytest.mark.parametrize(("inputs", "outputs", "layers"), [(2, 1, 3), (4, 3, 1), (1, 5, 2)])
def test_the_widest_layer_is_that_of_some_network(
    most: int, inputs: int, outputs: int, layers: int
):
    for used in ("all", "any"):
        family = every_widths(most, d_in=inputs, d_out=outputs, hidden_layers=layers, inputs=used)
        widest = max((max(space.widths[1:-1]) for space in family), default=0)
        assert EveryWidths(most, layers, used).widest(inputs, outputs) == widest


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: StructuredWidths(0, 1), ValueError, "width must be at least 1, got 0"),
        (lambda: StructuredWidths(2, 1, -1), ValueError, "max_nonzeros must be at least 0, got -1"),
        (lambda: MasksOf((2, 3, 1), order="first"), ValueError, "order must be one of"),
        (lambda: StructuredWidths(1, 1.5), TypeError, "hidden_layers must be an integer"),
        (
            lambda: StructuredWidths(16, 8).space(2, 1),
            ValueError,
            "width and hidden_layers must give",
        ),
        (lambda: MasksOf(()), ValueError, "widths needs an input and an output width"),
        (lambda: MasksOf((2, 0, 1)), ValueError, r"widths\[1\] must be at least 1"),
        (lambda: MasksOf("231"), TypeError, "widths must be a sequence of integers"),
        (lambda: MasksOf((2, 3, 1), "all"), ValueError, "symmetry must be one of"),
        (lambda: MasksOf((2, 3, 1), min_nonzeros=9, max_nonzeros=8), ValueError, "min_nonzeros"),
        (
            lambda: MasksOf((2, 3, 1), first_per_count={5: 1}),
            ValueError,
            "first_per_count's layer must be from 0 to 1, got 5",
        ),
        (lambda: MasksOf((2, 3, 1), first_per_count=3), TypeError, "first_per_count must map"),
        (
            lambda: MasksOf((2, 3, 1), first_per_count=((0, 1), (0, 2))),
            ValueError,
            "first_per_count must name every layer once",
        ),
        (lambda: MasksOf((2, 3, 1)).space(3, 1), ValueError, "widths must start with 3"),
        (lambda: MasksOf((2, 3, 1), inputs="some"), ValueError, "inputs must be one of"),
        (lambda: EveryWidths(9, 3, inputs=2), ValueError, "inputs must be one of"),
        (lambda: EveryWidths(0, 3), ValueError, "max_nonzeros must be at least 1, got 0"),
        (lambda: EveryWidths(9, True), TypeError, "hidden_layers must be an integer, got True"),
        (lambda: phase_from_json('{"Phase": {}}'), ValueError, "a phase must be one of"),
        (lambda: phase_from_json("[1]"), ValueError, "a phase must be one of"),
    ],
)
def test_what_describes_no_space_is_named(make: object, error: type[Exception], message: str):
    with pytest.raises(error, match=message):
        make()
