import math

import numpy as np
import pytest
import torch

from prunelimits.arguments import (
    checked_callable,
    checked_choice,
    checked_flag,
    checked_generator,
    checked_instance,
    checked_integer,
    checked_integers,
    checked_number,
    checked_sequence,
    checked_size,
    checked_sizes,
)


@pytest.mark.parametrize("value", [5, np.int64(5), np.uint8(5)])
def test_an_integer_is_pythons_or_numpys(value):
    result = checked_integer("keep", value, 0)
    assert result == 5
    assert type(result) is int


@pytest.mark.parametrize(
    "value", [True, np.bool_(True), 5.0, np.float64(5), "5", None, torch.tensor(5), np.array([5])]
)
def test_nothing_else_is_an_integer(value):
    with pytest.raises(TypeError, match="keep must be an integer, got "):
        checked_integer("keep", value, 0)


@pytest.mark.parametrize(
    ("least", "most", "message"),
    [
        (6, None, "at least 6, got 5"),
        (None, 4, "at most 4, got 5"),
        (6, 9, "from 6 to 9, got 5"),
        (0, 4, "from 0 to 4, got 5"),
    ],
)
def test_an_integer_out_of_its_range_is_told_with_the_range(least, most, message):
    with pytest.raises(ValueError, match=f"keep must be {message}"):
        checked_integer("keep", 5, least, most)


def test_integers_of_any_sequence_become_a_tuple():
    for values in ([2, 3, 1], (2, 3, 1), np.array([2, 3, 1]), [np.int32(2), 3, 1]):
        result = checked_integers("widths", values, 1)
        assert result == (2, 3, 1)
        assert all(type(n) is int for n in result)
    assert checked_integers("widths", range(2)) == (0, 1)
    assert checked_integers("widths", np.array([2**64 - 1], dtype=np.uint64)) == (2**64 - 1,)
    assert checked_integers("widths", [], 1) == checked_integers("widths", np.empty(0, int)) == ()


@pytest.mark.parametrize(
    "values", ["231", b"231", 5, None, {2, 3}, torch.tensor([2, 3]), np.ones((2, 2), dtype=int)]
)
def test_what_is_no_sequence_of_integers_is_refused(values):
    with pytest.raises(TypeError, match="widths must be a sequence of integers"):
        checked_integers("widths", values, 1)
    with pytest.raises(TypeError, match="names must be a sequence of texts"):
        checked_sequence("names", values, "texts")


def test_one_wrong_integer_of_several_is_told_by_its_place():
    with pytest.raises(TypeError, match=r"widths\[1\] must be an integer, got 3.0"):
        checked_integers("widths", [2, 3.0], 1)
    with pytest.raises(ValueError, match=r"widths\[2\] must be at least 1, got 0"):
        checked_integers("widths", [2, 3, 0], 1)
    with pytest.raises(ValueError, match=r"widths\[2\] must be at least 1, got 0"):
        checked_integers("widths", np.array([2, 3, 0]), 1)
    with pytest.raises(TypeError, match=r"widths\[1\] must be an integer, got True"):
        checked_integers("widths", [2, True, 3])
    with pytest.raises(TypeError, match=r"widths\[0\] must be an integer, got "):
        checked_integers("widths", np.array([True, False]))
    with pytest.raises(ValueError, match="seeds must hold 3 integers, got 2"):
        checked_integers("seeds", [2, 3], 0, length=3)


@pytest.mark.parametrize("value", [0.5, np.float32(0.5), np.float64(0.5)])
def test_a_number_is_pythons_or_numpys(value):
    result = checked_number("share", value, above=0, most=1)
    assert result == 0.5
    assert type(result) is float
    assert checked_number("share", np.int64(3)) == 3.0


@pytest.mark.parametrize(
    "value", [True, np.bool_(True), "0.5", None, 0.5j, np.complex64(1), torch.tensor(0.5), [0.5]]
)
def test_nothing_else_is_a_number(value):
    with pytest.raises(TypeError, match="share must be a number"):
        checked_number("share", value)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, np.float64("nan")])
def test_a_number_is_finite(value):
    with pytest.raises(ValueError, match="share must be finite"):
        checked_number("share", value)
    with pytest.raises(ValueError, match=r"share must be (finite and )?at least 0"):
        checked_number("share", value, least=0)


def test_infinity_is_told_from_what_is_too_small():
    with pytest.raises(ValueError, match="share must be finite and at least 0, got inf"):
        checked_number("share", math.inf, least=0)
    with pytest.raises(ValueError, match="share must be at most 1, got inf"):
        checked_number("share", math.inf, most=1)


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        ({"least": 0.6}, "at least 0.6"),
        ({"above": 0.5}, "above 0.5"),
        ({"most": 0.4}, "at most 0.4"),
        ({"below": 0.5}, "below 0.5"),
        ({"above": 0.5, "most": 1}, "above 0.5 and at most 1"),
    ],
)
def test_a_number_out_of_its_range_is_told_with_the_range(bounds, message):
    with pytest.raises(ValueError, match=f"share must be {message}, got 0.5"):
        checked_number("share", 0.5, **bounds)


@pytest.mark.parametrize("value", ["other", 1, None, torch.ones(2), np.ones(2)])
def test_a_choice_is_one_of_those_allowed(value):
    assert checked_choice("order", "a", ("a", "b")) == "a"
    with pytest.raises(ValueError, match="order must be one of 'a', 'b', got "):
        checked_choice("order", value, ("a", "b"))


@pytest.mark.parametrize("value", [0, 1, None, "yes", np.bool_(True)])
def test_a_flag_is_true_or_false(value):
    assert checked_flag("whole", True) is True
    with pytest.raises(TypeError, match="whole must be True or False"):
        checked_flag("whole", value)


def test_other_kinds_are_told_by_what_they_should_be():
    with pytest.raises(TypeError, match=r"model must be a torch.nn.Module, got \[1\]"):
        checked_instance("model", [1], torch.nn.Module, "a torch.nn.Module")
    with pytest.raises(TypeError, match="loss must be a function, got 3"):
        checked_callable("loss", 3, "a function")
    assert checked_callable("loss", len, "a function") is len
    with pytest.raises(TypeError, match=r"generator must be a torch.Generator or None, got 0"):
        checked_generator("generator", 0)
    assert checked_generator("generator", None) is None


def test_numbers_beyond_all_bounds_are_refused_like_others():
    with pytest.raises(ValueError, match="share must be finite, got a int"):
        checked_number("share", 10**5000)
    with pytest.raises(ValueError, match="keep must be at most 5, got a int"):
        checked_integer("keep", 10**5000, most=5)


def test_a_size_is_one_of_a_tensor():
    assert checked_sizes("widths", [2, np.int64(3)]) == (2, 3)
    for value, message in ((0, "at least 1, got 0"), (2**31, "at most 2147483647, got 2147483648")):
        with pytest.raises(ValueError, match=f"classes must be {message}"):
            checked_size("classes", value)
        with pytest.raises(ValueError, match=rf"widths\[1\] must be {message}"):
            checked_sizes("widths", [2, value])
