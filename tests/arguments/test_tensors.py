import math

import numpy as np
import pytest
import torch

from prunelimits.arguments import checked_device, checked_tensor


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        ([1.0], TypeError, "x must be a tensor"),
        (np.ones(2), TypeError, "x must be a tensor, got an array"),
        (torch.ones(2, 2).to_sparse(), TypeError, "x must be a dense tensor of real numbers"),
        (torch.ones(2, dtype=torch.complex64), TypeError, "x must be a dense tensor"),
        (torch.ones(2, device="meta"), ValueError, "x must hold data"),
        (torch.nn.LazyLinear(2).weight, ValueError, "x must have a shape, got an uninitialised"),
        (torch.tensor([1.0, math.nan]), ValueError, "x must be finite"),
    ],
)
def test_a_tensor_is_dense_real_and_holds_data(value, error, message):
    with pytest.raises(error, match=message):
        checked_tensor("x", value, finite=True)


def test_a_device_is_one_of_this_machine():
    assert checked_device("device", "cpu") == torch.device("cpu")
    assert checked_device("device", torch.device("cpu")) == torch.device("cpu")
    for value in (0, None, b"cpu", 1j):
        with pytest.raises(TypeError, match="device must be a device, such as 'cpu', got "):
            checked_device("device", value)
    for value in ("text", "", "cuda:99", "cpu:-3"):
        with pytest.raises(ValueError, match="device must be a device of this machine"):
            checked_device("device", value)
    with pytest.raises(ValueError, match="device must hold data, got 'meta'"):
        checked_device("device", "meta")
