from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from prunelimits.training.data import check_data, default_loss
from prunelimits.training.engine import Loss

X = torch.linspace(-1, 1, 8).reshape(4, 2)
BINARY = torch.tensor([0.0, 1.0, 1.0, 0.0])


def test_default_losses() -> None:
    assert default_loss(1) == "binary_cross_entropy"
    assert default_loss(2) == "cross_entropy"
    assert default_loss(10) == "cross_entropy"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    "given", [BINARY, BINARY.double(), BINARY.long(), BINARY.bool(), BINARY.to(torch.uint8)]
)
def test_binary_labels_of_any_dtype(given: Tensor, dtype: torch.dtype) -> None:
    x, y = check_data(X, given, inputs=2, outputs=1, loss="binary_cross_entropy", dtype=dtype)
    assert x.dtype == y.dtype == dtype
    assert torch.equal(x, X.to(dtype))
    assert y.tolist() == BINARY.tolist()


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.uint8])
def test_class_labels_become_int64(dtype: torch.dtype) -> None:
    labels = torch.tensor([0, 2, 1, 2], dtype=dtype)
    _, y = check_data(X, labels, inputs=2, outputs=3, loss="cross_entropy")
    assert y.dtype == torch.int64
    assert y.tolist() == [0, 2, 1, 2]


def test_targets_of_squared_error() -> None:
    x, y = check_data(X.double(), X.long(), inputs=2, outputs=2, loss="mse")
    assert x.dtype == y.dtype == torch.float32
    assert y.tolist() == X.long().tolist()
    _, one = check_data(X, BINARY, inputs=2, outputs=1, loss="mse")
    assert one.tolist() == [[0.0], [1.0], [1.0], [0.0]]


def test_data_that_need_gradients_are_detached() -> None:
    x, y = check_data(
        X.clone().requires_grad_(), X.clone().requires_grad_(), inputs=2, outputs=2, loss="mse"
    )
    assert not x.requires_grad
    assert not y.requires_grad


def replaced(tensor: Tensor, value: float, *place: int) -> Tensor:
    result = tensor.clone()
    result[place] = value
    return result


@pytest.mark.parametrize(
    ("x", "y", "outputs", "loss", "error", "message"),
    [
        (X, BINARY, 1, "hinge", ValueError, "loss must be one of .*'hinge'"),
        (X.numpy(), BINARY, 1, None, TypeError, r"x must be a tensor, got an array \(4, 2\)"),
        (X, [0.0, 1.0, 1.0, 0.0], 1, None, TypeError, r"y must be a tensor, got \[0\.0"),
        (X, np.zeros(4), 1, None, TypeError, r"y must be a tensor, got an array \(4,\)"),
        (X[0], BINARY, 1, None, ValueError, r"x must have shape \(n, 2\), got \(2,\)"),
        (X.T, BINARY, 1, None, ValueError, r"x must have shape \(n, 2\), got \(2, 4\)"),
        (X[:0], BINARY[:0], 1, None, ValueError, r"x must hold at least one sample.*\(0, 2\)"),
        (X, BINARY[:3], 1, None, ValueError, r"y must have one entry .* 4 samples.*\(3,\)"),
        (X, BINARY[0], 1, None, ValueError, r"y must have one entry .* 4 samples.*\(\)"),
        (replaced(X, math.nan, 2, 1), BINARY, 1, None, ValueError, r"x must be finite.*\[2, 1\]"),
        (replaced(X, math.inf, 0, 0), BINARY, 1, None, ValueError, r"x must be finite.*inf"),
        (
            replaced(X.double(), 1e300, 1, 0),
            BINARY,
            1,
            None,
            ValueError,
            r"finite.*inf at \[1, 0\]",
        ),
        (X, replaced(BINARY, math.nan, 3), 1, None, ValueError, r"y must be finite.*nan at \[3\]"),
        (X, replaced(BINARY, 2.0, 3), 1, None, ValueError, "y must be labels 0 and 1.*0.0 to 2.0"),
        (X, replaced(BINARY, 0.5, 0), 1, None, ValueError, "y must be labels 0 and 1"),
        (X, replaced(BINARY, -1.0, 0), 1, None, ValueError, "y must be labels 0 and 1.*-1.0 to"),
        (X, BINARY[:, None], 1, None, ValueError, r"y must be labels 0 and 1.*\(4, 1\)"),
        (X, BINARY[:, None][:, :0], 1, None, ValueError, r"y must be labels 0 and 1.*\(4, 0\)"),
        (X, BINARY, 2, "binary_cross_entropy", ValueError, "needs one output, got 2"),
        (X, BINARY.long(), 1, "cross_entropy", ValueError, "at least two outputs, got 1"),
        (X, BINARY, 2, None, ValueError, "y must be integer labels 0 to 1.*torch.float32"),
        (X, BINARY.long() + 1, 2, None, ValueError, "y must be integer labels 0 to 1.*1 to 2"),
        (X, BINARY.long() - 1, 2, None, ValueError, "y must be integer labels 0 to 1.*-1 to 0"),
        (X, BINARY.long()[:, None], 2, None, ValueError, r"integer labels.*\(4, 1\)"),
        (X, BINARY, 2, "mse", ValueError, r"y must have shape \(n, 2\).*\(4,\)"),
        (X, X[:, :1], 2, "mse", ValueError, r"y must have shape \(n, 2\).*\(4, 1\)"),
        (X, replaced(X, math.inf, 1, 1), 2, "mse", ValueError, r"y must be finite.*\[1, 1\]"),
        (X, replaced(X.double(), 1e300, 1, 1), 2, "mse", ValueError, "y must be finite.*inf"),
    ],
)
def test_bad_data(
    x: Tensor,
    y: Tensor,
    outputs: int,
    loss: Loss | None,
    error: type[Exception],
    message: str,
) -> None:
    with pytest.raises(error, match=message):
        check_data(x, y, inputs=2, outputs=outputs, loss=loss or default_loss(outputs))
