from __future__ import annotations

import math
from hashlib import sha256

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from prunelimits.datasets import Parts, three_parts
from prunelimits.models import MLP, leading_block
from prunelimits.training.task import make_task, task_in_parts

X = torch.arange(12.0).reshape(6, 2)
Y = torch.tensor([0, 1, 0, 1, 1, 0])


@pytest.mark.filterwarnings("ignore:held_out holds out")
@given(
    st.integers(4, 40),
    st.floats(0.0, 1.0, exclude_min=True, exclude_max=True),
    st.integers(-(2**65), 2**65),
)
def test_every_sample_is_trained_on_or_measured_on(n: int, share: float, seed: int):
    x, y = torch.arange(float(n))[:, None], torch.arange(n) % 2
    # Or a class could be held out whole, which is refused.
    assume(max(1, math.floor(share * n)) < n // 2)
    task = make_task(x, y, held_out=share, seed=seed)
    assert len(task.measure_x) == max(1, math.floor(share * n))
    train, measured = task.x[:, 0].tolist(), task.measure_x[:, 0].tolist()
    assert sorted(train + measured) == list(range(n))
    assert train == sorted(train)
    assert measured == sorted(measured)
    assert task.y.tolist() == [value % 2 for value in train]
    assert task.measure_y.tolist() == [value % 2 for value in measured]


@pytest.mark.parametrize(
    "y",
    [
        Y,
        Y.bool(),
        Y.to(torch.uint8),
        Y.to(torch.uint16),
        Y.double(),
        Y.to(torch.bfloat16),
    ],
    ids=lambda y: str(y.dtype),
)
def test_labels_of_any_dtype_are_the_same_task(y: torch.Tensor):
    assert make_task(X, y).fingerprint() == make_task(X, Y).fingerprint()


def test_three_classes_have_three_outputs():
    task = make_task(X, torch.tensor([0.0, 1.0, 2.0, 2.0, 1.0, 0.0]))
    assert (task.outputs, task.loss, task.y.dtype) == (3, "cross_entropy", torch.int64)


def test_fingerprints_tell_data_and_starts_apart():
    first, second = MLP((2, 3, 1)), MLP((2, 3, 1))
    tasks = [
        make_task(X, Y),
        make_task(X + 1, Y),
        make_task(X, 1 - Y),
        make_task(X, Y, held_out=0.5),
        make_task(X, Y, held_out=0.5, seed=1),
        make_task(X, Y, initial=first),
        make_task(X, Y, initial=second),
    ]
    assert len({task.fingerprint() for task in tasks}) == len(tasks)
    starts = [task.initial_fingerprint() for task in tasks]
    assert starts[:5] == [None] * 5
    assert starts[5] != starts[6]


def test_the_initial_block_repeats_the_leading_part():
    initial = MLP((2, 5, 4, 1)).double()
    block = make_task(X, Y, initial=initial).initial_block((2, 3, 2, 1), 2)
    assert block is not None
    for name, part in leading_block(dict(initial.named_parameters()), (2, 3, 2, 1)).items():
        assert block[name].dtype == torch.float32
        for model in range(2):
            assert torch.equal(block[name][model], part.float())
    assert make_task(X, Y).initial_block((2, 3, 2, 1), 2) is None


def test_the_default_device_changes_nothing():
    expected = make_task(X, Y, held_out=0.5).fingerprint()
    with torch.device("meta"):
        assert make_task(X, Y, held_out=0.5).fingerprint() == expected


def with_nan() -> MLP:
    network = MLP((2, 3, 1))
    with torch.no_grad():
        network.layers[0].weight[1, 1] = torch.nan
    return network


@pytest.mark.parametrize(
    ("x", "y", "options", "error", "message"),
    [
        (X.to(torch.complex64), Y, {}, TypeError, "x must be a dense tensor of real numbers"),
        (X, Y.to(torch.complex64), {}, TypeError, "y must be a dense tensor of real numbers"),
        (X.to_sparse(), Y, {}, TypeError, "x must be a dense tensor"),
        (X.numpy(), Y, {}, TypeError, "x must be a tensor, got an array"),
        (X, Y.tolist(), {}, TypeError, "y must be a tensor, got"),
        (X.to("meta"), Y, {}, ValueError, "x must hold data"),
        (X, Y[:, None], {}, ValueError, r"y \(n,\), got \(6, 2\) and \(6, 1\)"),
        (X[:0], Y[:0], {}, ValueError, "at least one sample"),
        (X[:, :0], Y, {}, ValueError, "at least one input"),
        (X, Y[:5], {}, ValueError, r"got \(6, 2\) and \(5,\)"),
        (X * torch.nan, Y, {}, ValueError, "x must be finite"),
        (X.double() * 1e300, Y, {}, ValueError, "x must be finite, got inf"),
        (X, Y * torch.nan, {}, ValueError, "y must be finite"),
        (X, Y - 1, {}, ValueError, "y must be labels 0 and 1"),
        (X, Y * 2, {}, ValueError, "none of 6 samples has label 1"),
        (X, Y + 1, {}, ValueError, "none of 6 samples has label 0"),
        (X, Y * 10**9, {}, ValueError, "y must hold every label from 0 to 1000000000"),
        (X, Y * 0.5, {}, ValueError, "y must be labels 0 and 1"),
        (X, Y * 2.5, {}, ValueError, "y must be labels 0 and 1, or integers from 0 up"),
        (X, Y * 1e30, {}, ValueError, "y must hold every label from 0 to 1.0*1505e"),
        (X, Y * 0, {}, ValueError, "y must hold at least two classes, got only label 0"),
        (X, Y * 0 + 1, {}, ValueError, "y must hold at least two classes, got only label 1"),
        (X, Y, {"held_out": -1}, ValueError, "held_out must be at least 0 and below 1, got -1"),
        (X, Y, {"held_out": 5.0}, ValueError, "held_out must be at least 0 and below 1, got 5.0"),
        (X, Y, {"held_out": 1}, ValueError, "held_out must be at least 0 and below 1, got 1"),
        (X, Y, {"held_out": torch.nan}, ValueError, "held_out must be"),
        (X, Y, {"held_out": "0.5"}, TypeError, "held_out must be a number, got '0.5'"),
        (X, Y, {"seed": 0.5}, TypeError, "seed must be an integer, got 0.5"),
        (X, Y, {"initial": (2, 3, 1)}, TypeError, "initial must be an MLP or None, got"),
        (X, Y, {"initial": with_nan()}, ValueError, "initial's layers.0.weight must be finite"),
    ],
)
def test_bad_data_are_named(
    x: object, y: object, options: dict[str, object], error: type[Exception], message: str
):
    with pytest.raises(error, match=message):
        make_task(x, y, **options)


def test_numpy_numbers_are_numbers():
    plain = make_task(X, Y, held_out=0.5, seed=3)
    numpy = make_task(X, Y, held_out=np.float32(0.5), seed=np.int64(3))
    assert numpy.fingerprint() == plain.fingerprint()


def test_kept_runs_know_their_data_by_shapes_dtypes_and_numbers():
    task = make_task(X, Y, held_out=0.5)
    expected = sha256()
    for value in (task.x, task.y, task.measure_x, task.measure_y):
        expected.update(repr((tuple(value.shape), value.dtype)).encode())
        expected.update(value.numpy().tobytes())
    assert task.fingerprint() == expected.hexdigest()


@pytest.mark.filterwarnings("ignore:held_out holds out")
def test_a_class_that_is_held_out_whole_is_named():
    x, y = torch.arange(40.0).reshape(20, 2), torch.tensor([0] * 18 + [1, 2])
    refused = []
    for seed in range(20):
        try:
            task = make_task(x, y, held_out=0.4, seed=seed)
        except ValueError as error:
            refused.append(str(error))
            assert "holds out all 1 of class" in refused[-1]
        else:
            assert task.y.unique().tolist() == [0, 1, 2]
    # Each of the two single rows is held out with probability 0.4.
    assert 5 < len(refused) < 18


def test_three_parts_are_one_task_and_refused_by_their_names():
    x, y = torch.randn(30, 2, generator=torch.Generator().manual_seed(0)), torch.arange(30) % 3
    parts = three_parts(x, y, seed=1)
    task = task_in_parts(parts)
    assert task.test is not None
    found = [(task.x, task.y), (task.measure_x, task.measure_y), task.test]
    for (inputs, labels), (wanted_x, wanted_y) in zip(found, parts, strict=True):
        assert torch.equal(inputs, wanted_x)
        assert torch.equal(labels, wanted_y)
    assert task.fingerprint() != make_task(*parts.train).fingerprint()
    other = parts._replace(test=(parts.test[0], parts.test[1].flip(0)))
    assert task_in_parts(other).fingerprint() != task.fingerprint()
    with pytest.raises(ValueError, match="test: y must be integer labels 0 to 2"):
        task_in_parts(parts._replace(test=(parts.test[0], parts.test[1] + 1)))
    first = (parts.choose[0][parts.choose[1] == 0], parts.choose[1][parts.choose[1] == 0])
    with pytest.raises(ValueError, match="choose: y must have rows of every class, but has none"):
        task_in_parts(parts._replace(choose=first))
    with pytest.raises(TypeError, match="parts must be Parts"):
        task_in_parts((parts.train,))


def test_numbers_to_predict_are_a_task_of_squared_error():
    x = torch.arange(12.0).reshape(6, 2)
    for y, outputs in ((torch.arange(6), 1), (torch.rand(6, 3), 3)):
        task = make_task(x, y, loss="mse")
        assert (task.loss, task.outputs) == ("mse", outputs)
        assert torch.equal(task.y, y.float().reshape(6, outputs))
    # Ages are no classes: neither their rows nor the numbers between them matter.
    ages = torch.tensor([30.0, 31, 50, 50, 31, 90])
    held = make_task(x, ages, loss="mse", held_out=0.5)
    assert torch.cat([held.y, held.measure_y]).sort(0).values.flatten().tolist() == sorted(
        ages.tolist()
    )
    parts = Parts((x[:2], ages[:2]), (x[2:4], ages[1:3]), (x[4:], ages[4:]))
    assert task_in_parts(parts, loss="mse").test[1].tolist() == [[31.0], [90.0]]
    assert make_task(x, ages % 2, loss="mse").fingerprint() != make_task(x, ages % 2).fingerprint()


def test_numbers_that_tell_nothing_are_refused():
    x = torch.arange(12.0).reshape(6, 2)
    with pytest.raises(ValueError, match="y must vary for squared error, but all 6 targets are"):
        make_task(x, torch.ones(6), loss="mse")
    with pytest.raises(
        ValueError, match=r"y \(n,\) or \(n, outputs\), got \(6, 2\) and \(6, 1, 1\)"
    ):
        make_task(x, torch.ones(6, 1, 1), loss="mse")
    with pytest.raises(ValueError, match="loss must be 'cross_entropy' for 3 classes, or 'mse'"):
        make_task(x, torch.arange(6) % 3, loss="binary_cross_entropy")
    with pytest.raises(ValueError, match="loss must be one of"):
        make_task(x, torch.arange(6) % 3, loss="hinge")  # pyright: ignore[reportArgumentType]
    y = torch.arange(6.0)
    parts = Parts((x, y), (x[:2], torch.zeros(2)), (x, y))
    with pytest.raises(ValueError, match="choose: y must vary"):
        task_in_parts(parts, loss="mse")


def test_a_class_that_no_held_out_row_has_is_told():
    x, y = torch.arange(40.0)[:, None], torch.arange(40) % 2
    with pytest.warns(UserWarning, match="held_out holds out 1 of 40 samples, none of class [01]:"):
        make_task(x, y, held_out=0.001)
    make_task(x, y, held_out=0.5)
