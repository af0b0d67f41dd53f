from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from prunelimits.randomness import Permutation, derive, mix, seed_words, uniform

GOLDEN = 0x9E3779B97F4A7C15


def plain_mix(word: int) -> int:
    """SplitMix64 in Python's integers, as its paper prints it."""
    z = (word + GOLDEN) % 2**64
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
    return z ^ (z >> 31)


def plain_derive(seed: int, *path: int) -> int:
    word = plain_mix(seed % 2**64)
    for step in path:
        word = plain_mix(word ^ (step % 2**64))
    return word


@pytest.mark.parametrize(
    ("seed", "outputs"),
    [
        (0, [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]),
        (1234567, [6457827717110365317, 3203168211198807973, 9817491932198370423]),
    ],
)
def test_mix_gives_the_published_stream_of_splitmix64(seed: int, outputs: list[int]) -> None:
    states = np.array([(seed + k * GOLDEN) % 2**64 for k in range(3)], dtype=np.uint64)
    assert mix(states).tolist() == outputs


@given(
    st.integers(-(2**80), 2**80),
    st.lists(st.integers(-(2**63), 2**63 - 1), max_size=4),
)
def test_derive_equals_plain_integers(seed: int, path: list[int]) -> None:
    assert derive(seed, *path).tolist() == [plain_derive(seed, *path)]


def test_derive_broadcasts_its_path() -> None:
    words = derive(5, 1, np.arange(3)[:, None], np.arange(4))
    assert words.shape == (3, 4)
    for row in range(3):
        for column in range(4):
            assert int(words[row, column]) == plain_derive(5, 1, row, column)


def test_derive_tells_seeds_places_and_their_order_apart() -> None:
    rows, columns = np.arange(100)[:, None], np.arange(100)
    words = np.stack([derive(seed, rows, columns) for seed in range(10)])
    assert len(np.unique(words)) == words.size


@given(st.lists(st.integers(-(2**70), 2**70), max_size=5))
def test_seeds_of_any_size_and_sign_become_words_modulo_2_to_64(seeds: list[int]) -> None:
    assert seed_words(seeds).tolist() == [seed % 2**64 for seed in seeds]


def test_numpy_integers_are_seeds_too() -> None:
    assert derive(int(np.int64(-3))).tolist() == derive(np.int64(-3)).tolist()  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", [0.5, "0", None])
def test_a_seed_that_is_no_integer_is_refused(seed: object) -> None:
    with pytest.raises(TypeError, match="integer"):
        derive(seed)  # type: ignore[arg-type]


def test_uniform_numbers_use_the_top_53_bits_of_one_more_mixing() -> None:
    words = derive(3, np.arange(1000))
    expected = [(plain_mix(int(word)) >> 11) / 2**53 for word in words]
    assert uniform(words).tolist() == expected


def test_uniform_numbers_are_uniform_and_uncorrelated_along_both_axes() -> None:
    numbers = uniform(derive(0, np.arange(300)[:, None], np.arange(300)))
    assert numbers.min() >= 0
    assert numbers.max() < 1
    assert stats.kstest(numbers.ravel(), "uniform").pvalue > 0.01
    for left, right in ((numbers[:-1], numbers[1:]), (numbers[:, :-1], numbers[:, 1:])):
        assert stats.pearsonr(left.ravel(), right.ravel()).pvalue > 0.01


def test_nothing_is_drawn_from_global_random_states() -> None:
    before = random.getstate(), torch.get_rng_state(), np.random.get_state()[1].tolist()  # noqa: NPY002
    uniform(derive(0, np.arange(10)))
    after = random.getstate(), torch.get_rng_state(), np.random.get_state()[1].tolist()  # noqa: NPY002
    assert before[0] == after[0]
    assert torch.equal(before[1], after[1])
    assert before[2] == after[2]


def plain_feistel(count: int, seed: int, position: int) -> int:
    """One entry of a `Permutation` in Python's integers, walking the grid one cell at a time."""
    rows = next(n for n in range(1, count + 1) if n * n >= count)
    sides = rows, next(n for n in range(1, count + 1) if n * rows >= count)
    while True:
        at = [position // sides[1], position % sides[1]]
        for number in range(8):
            moved, still = number % 2, 1 - number % 2
            shift = plain_mix(plain_derive(seed, number) ^ at[still]) % sides[moved]
            at[moved] = (at[moved] + shift) % sides[moved]
        position = at[0] * sides[1] + at[1]
        if position < count:
            return position


@pytest.mark.parametrize("count", [1, 2, 3, 7, 12, 100])
def test_a_permutation_walks_a_feistel_network_through_a_grid(count: int) -> None:
    expected = [plain_feistel(count, 5, position) for position in range(count)]
    assert Permutation(count, 5).at(range(count)).tolist() == expected


@pytest.mark.parametrize("seed", [0, 1, -3, 2**70])
def test_every_number_comes_once_in_a_permutation_of_any_length(seed: int) -> None:
    for count in [*range(1, 70), 1000, 1023, 1024, 1025, 65_537]:
        shuffled = Permutation(count, seed)
        numbers = shuffled.at(range(count))
        assert sorted(numbers.tolist()) == list(range(count))
        assert shuffled.positions(numbers).tolist() == list(range(count))


@given(st.integers(1, 2**300), st.integers(), st.data())
def test_positions_is_the_inverse_of_a_permutation_of_any_length(
    count: int, seed: int, data: st.DataObject
) -> None:
    shuffled = Permutation(count, seed)
    positions = data.draw(st.lists(st.integers(0, count - 1), max_size=5))
    numbers = shuffled.at(positions)
    assert all(0 <= number < count for number in numbers)
    assert shuffled.positions(numbers.tolist()).tolist() == positions
    assert len(set(numbers.tolist())) == len(set(positions))


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 3, 5, 8, 11])
def test_every_number_is_at_every_position_of_as_many_permutations(count: int) -> None:
    repeats = 500 * count
    found = np.zeros((count, count))
    for seed in range(repeats):
        found[np.arange(count), Permutation(count, seed).at(range(count))] += 1
    statistic = ((found - 500) ** 2 / 500).sum()
    # Rows and columns have fixed sums; one in 10^5 permutations would be refused.
    assert statistic < stats.chi2.isf(1e-5, (count - 1) ** 2)


@pytest.mark.parametrize("count", [10**6, 2**63 + 11, 2**130 + 1, 2**200 - 3])
def test_a_stretch_of_a_long_permutation_is_spread_evenly_and_in_no_order(count: int) -> None:
    numbers = Permutation(count, seed=1).at(range(count // 3, count // 3 + 4000))
    places = np.array([number / count for number in numbers.tolist()])
    assert stats.kstest(places, "uniform").pvalue > 1e-4
    assert abs(np.corrcoef(places[:-1], places[1:])[0, 1]) < 0.07
    assert len(set(numbers.tolist())) == 4000


def test_another_seed_gives_another_permutation() -> None:
    found = {tuple(Permutation(4, seed).at(range(4)).tolist()) for seed in range(500)}
    assert len(found) == 24
    large = [Permutation(2**201, seed).at([0, 1, 2]).tolist() for seed in range(50)]
    assert len({tuple(numbers) for numbers in large}) == 50


def test_a_permutation_takes_positions_as_numpy_arrays_lists_and_ranges() -> None:
    shuffled = Permutation(np.int64(10), np.int32(3))  # pyright: ignore[reportArgumentType]
    assert shuffled == Permutation(10, 3)
    expected = shuffled.at([4, 5]).tolist()
    assert shuffled.at(range(4, 6)).tolist() == expected
    assert shuffled.at(np.array([4, 5], dtype=np.uint8)).tolist() == expected
    assert shuffled.at([]).tolist() == []


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: Permutation(0), ValueError, "count must be at least 1, got 0"),
        (lambda: Permutation(2.0), TypeError, "count must be an integer, got 2.0"),
        (lambda: Permutation(2, "a"), TypeError, "seed must be an integer, got 'a'"),
        (lambda: Permutation(2).at([2]), IndexError, "positions must lie in 0 to 1, got 2"),
        (lambda: Permutation(2).at(np.array([-1])), IndexError, "must lie in 0 to 1, got -1"),
        (lambda: Permutation(2).at([0.0]), TypeError, "positions.0. must be an integer, got 0.0"),
        (lambda: Permutation(2).at(0), TypeError, "positions must be a sequence of integers"),
        (lambda: Permutation(2).at(np.array([0.5])), TypeError, "must be an integer"),
        (lambda: Permutation(2).positions([5]), IndexError, "numbers must lie in 0 to 1, got 5"),
        (lambda: derive(1.5), TypeError, "seed must be an integer, got 1.5"),
        (lambda: derive(1, 1.5), TypeError, "path.0. must be an integer, got 1.5"),
        (lambda: derive(1, 0, np.ones(2)), TypeError, "path.1. must be integers, got an array"),
        (lambda: derive(1, 2**63), ValueError, "path.0. must be from -9223372036854775808 to"),
        (lambda: seed_words("12"), TypeError, "seeds must be a sequence of integers, got '12'"),
    ],
)
def test_randomness_names_the_argument_it_refuses(
    call: Callable[[], object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        call()
