from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from prunelimits.datasets import Parts, constant_columns, standardised, three_parts


@given(
    sizes=st.lists(st.integers(3, 40), min_size=1, max_size=5),
    choose=st.floats(0.01, 0.6),
    test=st.floats(0.01, 0.39),
    seed=st.integers(0, 5),
)
def test_every_row_is_in_one_part_and_every_class_in_all(
    sizes: list[int], choose: float, test: float, seed: int
):
    y = torch.cat([torch.full((m,), c) for c, m in enumerate(sizes)])
    x = torch.arange(float(len(y)))[:, None]
    parts = three_parts(x, y, choose=choose, test=test, seed=seed)
    assert torch.equal(torch.cat([part[0] for part in parts]).sort(0).values, x)
    for inputs, labels in parts:
        # Rows keep their order and their labels.
        assert torch.equal(inputs, inputs.sort(0).values)
        assert torch.equal(labels, y[inputs[:, 0].long()])
        assert labels.unique().tolist() == list(range(len(sizes)))
    for c, m in enumerate(sizes):
        found = [int((labels == c).sum()) for _, labels in parts]
        wanted = [m * (1 - choose - test), m * choose, m * test]
        assert all(abs(f - w) <= 2 or f == 1 for f, w in zip(found, wanted, strict=True))


def test_shares_are_those_asked_for_and_seeds_differ():
    y = torch.arange(1000) % 2
    x = torch.arange(1000.0)[:, None]
    parts = [three_parts(x, y, seed=seed) for seed in (0, 0, 1)]
    assert [len(labels) for _, labels in parts[0]] == [600, 200, 200]
    assert torch.equal(parts[0].test[0], parts[1].test[0])
    assert not torch.equal(parts[0].test[0], parts[2].test[0])


def test_targets_are_divided_as_one_class_and_floats_may_be_labels():
    y = torch.linspace(0, 1, 10)[:, None]
    assert [len(targets) for _, targets in three_parts(torch.zeros(10, 2), y)] == [6, 2, 2]
    labels = three_parts(torch.zeros(6, 2), torch.tensor([0.0, 1.0] * 3))
    assert [sorted(part[1].tolist()) for part in labels] == [[0.0, 1.0]] * 3


def test_standardising_takes_its_numbers_from_the_training_part_alone():
    x = torch.randn(300, 4, generator=torch.Generator().manual_seed(0)) * 5 + 3
    x[:, 2] = 16_777_217.3  # constant, and not a number that float32 averages exactly
    y = torch.arange(300) % 3
    plain, scaled = (three_parts(x, y, standardise=s) for s in (False, True))
    mean, deviation = plain.train[0].mean(0), plain.train[0].std(0, correction=0)
    for (before, _), (after, _) in zip(plain, scaled, strict=True):
        for column in (0, 1, 3):
            expected = (before[:, column] - mean[column]) / deviation[column]
            torch.testing.assert_close(after[:, column], expected, rtol=1e-4, atol=1e-5)
        assert bool((after[:, 2] == 0).all())


def test_a_column_constant_in_training_alone_keeps_its_distance_elsewhere():
    rows = torch.tensor([[5.0], [5.0]]), torch.tensor([0, 1])
    other = torch.tensor([[7.0], [5.0]]), torch.tensor([0, 1])
    assert standardised(Parts(rows, other, rows)).choose[0].tolist() == [[2.0], [0.0]]


def test_constant_columns_are_found():
    assert constant_columns(torch.tensor([[1.0, 2.0, 0.0], [1.0, 3.0, 0.0]])) == [0, 2]


@pytest.mark.parametrize("rows", [1, 2])
def test_a_class_of_too_few_rows_is_named(rows: int):
    y = torch.tensor([0] * 10 + [1] * rows)
    with pytest.raises(ValueError, match=f"class 1 must have at least three rows.* got {rows}"):
        three_parts(torch.zeros(len(y), 2), y)


def test_shares_that_leave_nothing_to_train_on_are_refused():
    with pytest.raises(ValueError, match=r"must leave rows to train on, got 0\.5 and 0\.5"):
        three_parts(torch.zeros(10, 2), torch.arange(10) % 2, choose=0.5, test=0.5)


def test_whole_numbers_to_predict_are_no_classes():
    x, y = torch.arange(20.0).reshape(10, 2), torch.arange(10)
    with pytest.raises(ValueError, match="y must be classes of at least three rows"):
        three_parts(x, y)
    parts = three_parts(x, y, by_class=False)
    assert [len(labels) for _, labels in parts] == [6, 2, 2]
    assert sorted(label for _, labels in parts for label in labels.tolist()) == list(range(10))
    # As if they had been no whole numbers.
    for part, other in zip(parts, three_parts(x, y + 0.5), strict=True):
        assert torch.equal(part[1] + 0.5, other[1])


def test_many_whole_numbers_are_no_classes_and_the_way_out_is_named():
    y = torch.arange(30)
    with pytest.raises(ValueError, match="30 different labels for 30 rows: by_class=False"):
        three_parts(torch.zeros(30, 2), y)


def test_no_rows_are_refused():
    with pytest.raises(ValueError, match=r"x and y must have rows, got shapes \(0, 2\) and \(0,\)"):
        three_parts(torch.zeros(0, 2), torch.zeros(0))


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_what_would_spread_to_a_whole_column_is_named_by_its_place(value: float):
    x, y = torch.arange(20.0).reshape(10, 2), torch.arange(10) % 2
    parts = three_parts(x, y)
    x[4, 1] = value
    # By itself a split computes nothing from the inputs.
    assert sum(int(part[0].isfinite().all()) for part in three_parts(x, y)) == 2
    with pytest.raises(ValueError, match=rf"x must be finite to be standardised, got {value} at "):
        three_parts(x, y, standardise=True)
    wrong = parts._replace(test=(x, y))
    with pytest.raises(ValueError, match=r"parts\.test's x must be finite .* at \[4, 1\]"):
        standardised(wrong)


def test_there_is_nothing_to_standardise_by_without_inputs():
    with pytest.raises(
        ValueError, match=r"must hold numbers to standardise by, got shape \(6, 0\)"
    ):
        three_parts(torch.zeros(10, 0), torch.arange(10) % 2, standardise=True)
