from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from prunelimits.datasets import cifar10, cifar100

from .cifar_files import array, binary, numbers, pickled, pixel, pixels, short

MEANS = {10: (0.491, 0.482, 0.447), 100: (0.507, 0.487, 0.441)}
DEVIATIONS = {10: (0.247, 0.243, 0.262), 100: (0.267, 0.256, 0.276)}


def write_ten(folder: Path, version: str) -> None:
    """Two images a batch; the labels are 0 to 9 in the order of the training images."""
    folder.mkdir(parents=True, exist_ok=True)
    names = [*(f"data_batch_{part}" for part in range(1, 6)), "test_batch"]
    for part, name in enumerate(names):
        labels = [2 * part % 10, (2 * part + 1) % 10]
        if version == "binary":
            content = binary([(label,) for label in labels], 2 * part)
            (folder / f"{name}.bin").write_bytes(content)
        else:
            data = array(2, 3072, pixels(2 * part, 2))
            entries = {b"batch_label": short(b"a batch"), b"labels": numbers(labels), b"data": data}
            (folder / name).write_bytes(pickled(entries))


def write_hundred(folder: Path, version: str) -> None:
    """Three training images and one test image; coarse and fine labels differ."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, first, labels in (("train", 0, [(1, 90), (2, 0), (3, 99)]), ("test", 3, [(4, 50)])):
        coarse, fine = (list(part) for part in zip(*labels, strict=True))
        if version == "binary":
            (folder / f"{name}.bin").write_bytes(binary(labels, first))
        else:
            data = array(len(labels), 3072, pixels(first, len(labels)))
            entries = {
                b"coarse_labels": numbers(coarse),
                b"fine_labels": numbers(fine),
                b"data": data,
            }
            (folder / name).write_bytes(pickled(entries))


def check(x: Tensor, classes: int, first: int) -> None:
    """Every channel's first and last pixel of every image, from the formula."""
    assert x.dtype == torch.float32
    for image, channels in enumerate(x):
        for channel, values in enumerate(channels):
            mean, deviation = MEANS[classes][channel], DEVIATIONS[classes][channel]
            for row, column in ((0, 0), (4, 9), (31, 31)):
                place = 1024 * channel + 32 * row + column
                expected = (pixel(first + image, place) / 255 - mean) / deviation
                assert float(values[row, column]) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("version", "place"),
    [("binary", ""), ("binary", "cifar-10-batches-bin"), ("python", "cifar-10-batches-py")],
)
def test_cifar_10_as_it_was_written(tmp_path: Path, version: str, place: str) -> None:
    write_ten(tmp_path / place, version)
    x, y = cifar10(tmp_path)
    assert x.shape == (10, 3, 32, 32)
    assert y.tolist() == list(range(10))
    check(x, 10, 0)
    x, y = cifar10(tmp_path, train=False)
    assert (x.shape, y.dtype, y.tolist()) == ((2, 3, 32, 32), torch.int64, [0, 1])
    check(x, 10, 10)


@pytest.mark.parametrize(
    ("version", "place"),
    [("binary", "cifar-100-binary"), ("python", "cifar-100-python"), ("python", "")],
)
def test_cifar_100_as_it_was_written(tmp_path: Path, version: str, place: str) -> None:
    write_hundred(tmp_path / place, version)
    x, y = cifar100(tmp_path)
    assert (x.shape, y.tolist()) == ((3, 3, 32, 32), [90, 0, 99])
    check(x, 100, 0)
    x, y = cifar100(tmp_path, train=False)
    assert (x.shape, y.tolist()) == ((1, 3, 32, 32), [50])
    check(x, 100, 3)


def test_the_writer_writes_what_python_reads(tmp_path: Path) -> None:
    """The pickles of these tests are pickles: Python's own unpickler makes the same arrays."""
    write_hundred(tmp_path, "python")
    content = pickle.loads((tmp_path / "train").read_bytes(), encoding="bytes")
    assert content[b"fine_labels"] == [90, 0, 99]
    assert isinstance(content[b"data"], np.ndarray)
    assert content[b"data"].dtype == np.uint8
    assert content[b"data"].tobytes() == pixels(0, 3)


class Command:
    """Runs a command on being unpickled."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (self.command,)


HOSTILE = {
    "a reduced call": lambda mark: pickle.dumps({b"data": Command(f"touch {mark}")}, protocol=2),
    "one in a frame": lambda mark: pickle.dumps([Command(f"touch {mark}")], protocol=5),
    "an instance": lambda mark: f"(S'touch {mark}'\nios\nsystem\n.".encode(),
    "an old call": lambda mark: f"cposix\nsystem\n(S'touch {mark}'\ntR.".encode(),
    "a builtin": lambda mark: f"cos\nmkdir\n(S'{mark}'\ntR.".encode(),
    "a path in a name": lambda mark: (
        f"\x80\x04\x8c\x05numpy\x8c\x11ndarray.__class__\x93(S'{mark}'\ntR.".encode("latin1")
    ),
    "numpy's loader": lambda mark: f"cnumpy\nload\n(S'{mark}'\ntR.".encode(),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused_before_they_run(tmp_path: Path, name: str) -> None:
    mark = tmp_path / "mark"
    (tmp_path / "train").write_bytes(HOSTILE[name](mark))
    with pytest.raises(ValueError, match=r"train must be a pickle of plain data.*asks for "):
        cifar100(tmp_path)
    assert not mark.exists()


def test_the_hostile_files_are_hostile(tmp_path: Path) -> None:
    """Python's own unpickler does what they say: the tests above could fail."""
    for name in ("a reduced call", "one in a frame", "an instance", "an old call", "a builtin"):
        mark = tmp_path / name.replace(" ", "-")
        pickle.loads(HOSTILE[name](mark))
        assert mark.exists(), name


DATA = array(1, 3072, pixels(0, 1))
LABELS = numbers([5])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "must be a pickle"),
        (b"\x80\2]q\0.", "must be a pickled dict, got list"),
        (pickled({b"data": DATA, b"fine_labels": LABELS})[:-500], "must be a pickle"),
        (pickled({b"data": DATA}), "an array 'data' and a list 'fine_labels'"),
        (pickled({b"fine_labels": LABELS}), "an array 'data' and a list 'fine_labels'"),
        (pickled({b"data": LABELS, b"fine_labels": LABELS}), "an array 'data'"),
        (pickled({b"data": DATA, b"fine_labels": numbers([5, 6])}), "each of 2 labels"),
        (pickled({b"data": DATA, b"fine_labels": numbers([100])}), "labels below 100, got 100"),
        (pickled({b"data": DATA, b"fine_labels": numbers([-1])}), "is damaged"),
        (pickled({b"data": DATA, b"fine_labels": b"](" + short(b"5") + b"e"}), "is damaged"),
        (
            pickled({b"data": array(2, 3072, pixels(0, 1)), b"fine_labels": LABELS}),
            "train is damaged: cannot reshape",
        ),
        (
            pickled({b"data": array(1, 1, pixels(0, 1)[:1]), b"fine_labels": LABELS}),
            r"each of 1 labels, got \(1, 1\)",
        ),
        (
            pickled({b"data": array(1, 384, pixels(0, 1), b"f8"), b"fine_labels": LABELS}),
            "is no table of bytes",
        ),
        (
            pickled({b"data": array(1, 384, pixels(0, 1), b"O8"), b"fine_labels": LABELS}),
            "is no table of bytes",
        ),
        (
            pickled({b"data": b"cnumpy\nndarray\n", b"fine_labels": LABELS}),
            "an array 'data' and a list",
        ),
        (pickled({b"data": b"cnumpy\nndarray\n)R", b"fine_labels": LABELS}), "no table of bytes"),
    ],
)
def test_damaged_pickles_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "train").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        cifar100(tmp_path)


@pytest.mark.parametrize("content", [b"", bytes(3073), bytes(2 * 3074 - 1)])
def test_damaged_records_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "train.bin").write_bytes(content)
    with pytest.raises(ValueError, match=r"train\.bin must hold records of 3074 bytes, got "):
        cifar100(tmp_path)


def test_a_label_out_of_range_is_refused(tmp_path: Path) -> None:
    write_ten(tmp_path, "binary")
    (tmp_path / "data_batch_3.bin").write_bytes(binary([(10,)], 0))
    with pytest.raises(ValueError, match=r"data_batch_3\.bin must hold labels below 10, got 10"):
        cifar10(tmp_path)


def test_a_folder_without_the_files_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        FileNotFoundError,
        match=r"folder '.*' must hold one of test_batch\.bin, cifar-10-batches-bin/test_batch"
        r"\.bin, test_batch, cifar-10-batches-py/test_batch",
    ):
        cifar10(tmp_path, train=False)
    with pytest.raises(FileNotFoundError, match="cifar-100-python/train"):
        cifar100(tmp_path)
    write_ten(tmp_path, "python")
    (tmp_path / "data_batch_5").unlink()
    with pytest.raises(FileNotFoundError, match=r"data_batch_5\.bin"):
        cifar10(tmp_path)
