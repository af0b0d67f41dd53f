from __future__ import annotations

import gzip
from pathlib import Path

import pytest
import torch

from prunelimits.datasets import mnist


def idx(*shape: int, numbers: bytes) -> bytes:
    """A file in the IDX format, written byte by byte."""
    sizes = b"".join(bytes([n >> 24, n >> 16 & 255, n >> 8 & 255, n & 255]) for n in shape)
    return bytes([0, 0, 8, len(shape)]) + sizes + numbers


def pixel(image: int, place: int) -> int:
    return (7 * image + place) % 256


def images(count: int) -> bytes:
    return idx(
        count, 28, 28, numbers=bytes(pixel(i, p) for i in range(count) for p in range(28 * 28))
    )


def labels(count: int) -> bytes:
    return idx(count, numbers=bytes(i % 10 for i in range(count)))


def write(folder: Path, kind: str, count: int, end: str = "-idx%d-ubyte") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, axes, data in (("images", 3, images(count)), ("labels", 1, labels(count))):
        file = folder / (f"{kind}-{name}" + end % axes)
        file.write_bytes(gzip.compress(data) if file.suffix == ".gz" else data)


@pytest.mark.parametrize("place", [".", "MNIST/raw", "raw"])
@pytest.mark.parametrize("end", ["-idx%d-ubyte", "-idx%d-ubyte.gz", ".idx%d-ubyte"])
def test_what_was_written_is_read(tmp_path: Path, place: str, end: str) -> None:
    write(tmp_path / place, "train", 12, end)
    write(tmp_path / place, "t10k", 3, end)
    for train, count in ((True, 12), (False, 3)):
        x, y = mnist(tmp_path, train=train)
        assert x.shape == (count, 1, 28, 28)
        assert (x.dtype, y.dtype) == (torch.float32, torch.int64)
        assert y.tolist() == [i % 10 for i in range(count)]
        for image, row, column in ((0, 0, 0), (1, 3, 5), (count - 1, 27, 27)):
            expected = (pixel(image, 28 * row + column) / 255 - 0.1307) / 0.3081
            assert float(x[image, 0, row, column]) == pytest.approx(expected, abs=1e-6)


def test_a_folder_without_the_files_is_named(tmp_path: Path) -> None:
    write(tmp_path, "train", 2)
    with pytest.raises(FileNotFoundError, match=r"folder '.*' must hold one of t10k-images-idx3"):
        mnist(str(tmp_path), train=False)
    (tmp_path / "train-labels-idx1-ubyte").unlink()
    with pytest.raises(FileNotFoundError, match=r"train-labels-idx1-ubyte, train-labels-idx1-u"):
        mnist(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("images-idx3", idx(2, 28, 28, numbers=bytes(100)), "must hold 2 x 28 x 28 bytes, got 100"),
        ("images-idx3", labels(2), "IDX file of bytes with 3 axes"),
        ("images-idx3", b"", "IDX file of bytes with 3 axes"),
        ("images-idx3", images(2)[:9], "IDX file of bytes with 3 axes"),
        ("images-idx3", b"\0\0\x0d\3" + images(2)[4:], "IDX file of bytes"),
        ("images-idx3", images(3), "holds 3 images, but .* 2 labels"),
        ("images-idx3", idx(*3 * [2**32 - 1], numbers=bytes(9)), "must hold at most .* bytes"),
        ("labels-idx1", idx(2, numbers=bytes([3, 10])), "labels below 10, got 10"),
    ],
)
def test_damaged_files_are_refused(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    write(tmp_path, "train", 2)
    (tmp_path / f"train-{name}-ubyte").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        mnist(tmp_path)


@pytest.mark.parametrize(
    "content",
    # gzip writes the time into its header: without it, the tests' names do not change.
    [b"no archive", *(gzip.compress(images(2), mtime=0)[:end] for end in (-20, 9))],
    ids=["no archive", "no end", "header alone"],
)
def test_damaged_archives_are_refused(tmp_path: Path, content: bytes) -> None:
    write(tmp_path, "train", 2, "-idx%d-ubyte.gz")
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(content)
    with pytest.raises(ValueError, match=r"train-images-idx3-ubyte.gz is damaged"):
        mnist(tmp_path)
