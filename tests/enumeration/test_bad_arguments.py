"""What every public function of the room refuses, and what it takes in another form."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from prunelimits.enumeration import (
    EligibleMasks,
    ModelMasks,
    SequenceSlice,
    canonical,
    count_networks,
    count_networks_by_nonzeros,
    every_widths,
    same_network,
)

SPACES = [EligibleMasks(3, 2), ModelMasks((2, 3, 1)), ModelMasks((2, 3, 1), "network")]


@pytest.mark.parametrize("space", SPACES, ids=repr)
@pytest.mark.parametrize(
    ("ranks", "error", "message"),
    [
        (None, TypeError, "ranks must be a sequence of integers, got None"),
        (3, TypeError, "ranks must be a sequence of integers, got 3"),
        ("12", TypeError, "ranks must be a sequence of integers, got '12'"),
        ({1, 2}, TypeError, "ranks must be a sequence of integers, got {1, 2}"),
        ([0, True], TypeError, r"ranks\[1\] must be an integer, got True"),
        ([0, 1.0], TypeError, r"ranks\[1\] must be an integer, got 1.0"),
        (np.array([0.5]), TypeError, r"ranks\[0\] must be an integer"),
        (np.array([[0]]), TypeError, "ranks must be a sequence of integers, got an array"),
        (torch.tensor([0.5]), TypeError, "one-dimensional integer tensor, got .*float32"),
        (torch.tensor([True]), TypeError, "one-dimensional integer tensor, got .*bool"),
        (torch.tensor(0), TypeError, r"one-dimensional integer tensor, got shape \(\)"),
        (torch.zeros(1, device="meta"), ValueError, "ranks must hold data"),
        (torch.zeros(1).long().to_sparse(), TypeError, "ranks must be a dense tensor"),
        ([-1], IndexError, "ranks must lie in 0 to .*, got -1"),
        ([10**30], IndexError, "ranks must lie in 0 to .*, got 1000"),
        (np.array([2**63], dtype=np.uint64), IndexError, "got 9223372036854775808"),
        (range(10**6), IndexError, "ranks must lie in 0 to .*, got 999999"),
    ],
)
def test_ranks_are_refused(space, ranks: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        space.take(ranks)


@pytest.mark.parametrize("space", SPACES, ids=repr)
def test_ranks_come_as_any_sequence_of_integers(space) -> None:
    expected = space.take([2, 1])
    for ranks in (
        (2, 1),
        range(2, 0, -1),
        np.array([2, 1], dtype=np.uint8),
        [np.int64(2), np.int32(1)],
        torch.tensor([2, 1], dtype=torch.int32),
    ):
        assert torch.equal(space.take(ranks), expected)
    assert len(space.take([])) == len(space.take(np.array([], dtype=int))) == 0


@pytest.mark.parametrize("space", SPACES, ids=repr)
def test_indices_are_integers(space) -> None:
    assert space.index(space[np.int64(1)]) == 1
    for index in (True, 1.0, "1", None, torch.tensor(1)):
        with pytest.raises(TypeError, match="index must be an integer, got"):
            space[index]
    with pytest.raises(TypeError, match=r"start must be an integer, got 0\.5"):
        space.index(space[0], 0.5)
    with pytest.raises(TypeError, match="stop must be an integer, got 'end'"):
        space.index(space[0], 0, "end")


@pytest.mark.parametrize("space", SPACES, ids=repr)
def test_what_is_no_element_is_not_in_a_space(space) -> None:
    for value in (None, 3, "mask", [], {}, np.ones((2, 3), dtype=bool), torch.ones(2, 3)):
        assert value not in space
        with pytest.raises((TypeError, ValueError), match="mask"):
            space.index(value)


MASKS = ModelMasks((2, 3, 1))[0]
META = {name: mask.to("meta") for name, mask in MASKS.items()}


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: EligibleMasks(2.0, 3), TypeError, "d_in must be an integer, got 2.0"),
        (lambda: EligibleMasks(2, "3"), TypeError, "d_out must be an integer, got '3'"),
        (lambda: EligibleMasks(0, 3), ValueError, "d_in must be at least 1, got 0"),
        (lambda: EligibleMasks(2, 3, order=1), ValueError, "order must be one of 'ascending', "),
        (lambda: ModelMasks(3), TypeError, "widths must be a sequence of integers, got 3"),
        (lambda: ModelMasks("231"), TypeError, "widths must be a sequence of integers, got '231'"),
        (lambda: ModelMasks(torch.ones(3)), TypeError, "widths must be a sequence of integers"),
        (lambda: ModelMasks((2, 1), None), ValueError, "symmetry must be one of 'layer', 'netw"),
        (lambda: ModelMasks((2, 1), min_nonzeros="1"), TypeError, "min_nonzeros must be an int"),
        (lambda: ModelMasks((2, 1), max_nonzeros=float("nan")), TypeError, "max_nonzeros must be"),
        (
            lambda: ModelMasks((2, 1), max_nonzeros=-1),
            ValueError,
            "max_nonzeros must be at least 0",
        ),
        (lambda: ModelMasks((2, 1), first_per_count=[1]), TypeError, r"must map layers .* \[1\]"),
        (
            lambda: ModelMasks((2, 1), first_per_count={0: True}),
            TypeError,
            r"count\[0\] must be an",
        ),
        (
            lambda: ModelMasks((2, 1), first_per_count={"0": 1}),
            TypeError,
            "first_per_count's layer must be an int",
        ),
        (lambda: SPACES[1].random(1.0), TypeError, "n must be an integer, got 1.0"),
        (
            lambda: SPACES[1].random(1, generator=3),
            TypeError,
            "generator must be a torch.Generator",
        ),
        (lambda: SPACES[1].ranks([MASKS]), TypeError, "rows must be a bool tensor, got list"),
        (lambda: SPACES[2].ranks(SPACES[2].take([0])[0]), ValueError, "rows must have shape"),
        (lambda: SPACES[1].index(META), ValueError, r"masks\[.layers.0.weight.\] must hold data"),
        (
            lambda: count_networks(None),
            TypeError,
            "widths must be a sequence of integers, got None",
        ),
        (lambda: count_networks((2, True)), TypeError, r"widths\[1\] must be an integer, got True"),
        (
            lambda: count_networks_by_nonzeros((2, 1), max_nonzeros=1.5),
            TypeError,
            "max_nonzeros must be an integer, got 1.5",
        ),
        (
            lambda: count_networks_by_nonzeros((2, 1), max_nonzeros=-1),
            ValueError,
            "max_nonzeros must be at least 0, got -1",
        ),
        (lambda: every_widths("9"), TypeError, "max_nonzeros must be an integer, got '9'"),
        (lambda: every_widths(9, d_in=0), ValueError, "d_in must be at least 1, got 0"),
        (lambda: every_widths(9, hidden_layers=1.0), TypeError, "hidden_layers must be an integer"),
        (lambda: canonical(None), TypeError, "masks must be a dict of bool tensors, got None"),
        (lambda: canonical(META), ValueError, r"masks\[.layers.0.weight.\] must hold data"),
        (lambda: same_network(MASKS, [MASKS]), TypeError, "second must be a dict of bool tensors"),
    ],
)
def test_arguments_are_refused_by_name(
    call: Callable[[], object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        call()


def test_numpy_integers_and_lists_are_taken() -> None:
    two, three = np.int64(2), np.int32(3)
    assert EligibleMasks(three, two) == EligibleMasks(3, 2)
    space = ModelMasks(
        [two, three, 1], max_nonzeros=np.int64(11), first_per_count={np.int64(0): three}
    )
    assert space == ModelMasks((2, 3, 1), max_nonzeros=11, first_per_count={0: 3})
    assert hash(space) == hash(ModelMasks((2, 3, 1), max_nonzeros=11, first_per_count={0: 3}))
    assert "int64" not in repr(space)
    assert count_networks(np.array([2, 3, 1])) == count_networks([2, 3, 1])
    assert every_widths(np.int64(12), hidden_layers=np.int64(1)) == every_widths(
        12, hidden_layers=1
    )
    assert SPACES[1].random(np.int64(2)).shape == (2, 13)


@pytest.mark.parametrize(
    ("source", "ranks", "error", "message"),
    [
        (None, range(1), TypeError, "source must be a lazy sequence, got None"),
        (SPACES[0], [0], TypeError, r"ranks must be a range, got \[0\]"),
        (SPACES[0], range(10**6), IndexError, "ranks must lie in 0 to"),
    ],
)
def test_a_slice_is_of_ranks_that_the_sequence_has(source, ranks, error, message):
    with pytest.raises(error, match=message):
        SequenceSlice(source, ranks)


def test_the_second_of_two_networks_is_named():
    with pytest.raises(TypeError, match=r"second\['layers.0.weight'\] must be a bool tensor"):
        same_network(MASKS, {**MASKS, "layers.0.weight": MASKS["layers.0.weight"].float()})
