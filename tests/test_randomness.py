from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from prunelimits.randomness import derive, mix, seed_words, uniform

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
