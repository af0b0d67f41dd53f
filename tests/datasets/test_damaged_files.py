"""Damaged and hostile files of images: a `ValueError` that names the file, in little memory."""

from __future__ import annotations

import gzip
import random
import resource
import struct
import sys
import warnings
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

from prunelimits.datasets import cifar10, cifar100, mnist, tiny_imagenet

from .cifar_files import array, binary, numbers, pickled, pixels

MUTATIONS = 300


def jpeg(size: tuple[int, int] = (64, 64)) -> bytes:
    image = pytest.importorskip("PIL.Image")
    file = BytesIO()
    image.new("RGB", size, (200, 30, 90)).save(file, "JPEG")
    return file.getvalue()


def idx(axes: tuple[int, ...], data: bytes) -> bytes:
    return bytes([0, 0, 8, len(axes)]) + struct.pack(f">{len(axes)}I", *axes) + data


def write_mnist(folder: Path, *, packed: bool) -> dict[str, bytes]:
    files = {
        "t10k-images-idx3-ubyte": idx((3, 2, 2), bytes(range(12))),
        "t10k-labels-idx1-ubyte": idx((3,), bytes([1, 2, 3])),
    }
    if packed:
        return {f"{name}.gz": gzip.compress(data) for name, data in files.items()}
    return files


def cifar_batch(labels: bytes) -> bytes:
    return pickled({b"data": array(2, 3072, pixels(0, 2)), labels: numbers([0, 3])})


def tiny(folder: Path) -> dict[str, bytes]:
    return {
        "wnids.txt": b"n01\nn02\n",
        "val/val_annotations.txt": b"a.JPEG\tn01\t0\t0\t9\t9\nb.JPEG\tn02\t0\t0\t9\t9\n",
        "val/images/a.JPEG": jpeg(),
        "val/images/b.JPEG": jpeg(),
    }


FORMS: dict[str, tuple[Callable[[Path], dict[str, bytes]], Callable[..., object]]] = {
    "mnist": (lambda folder: write_mnist(folder, packed=False), mnist),
    "mnist packed": (lambda folder: write_mnist(folder, packed=True), mnist),
    "cifar10 binary": (lambda _: {"test_batch.bin": binary([(0,), (3,)], 0)}, cifar10),
    "cifar100 binary": (lambda _: {"test.bin": binary([(0, 1), (3, 2)], 0)}, cifar100),
    "cifar10 python": (lambda _: {"test_batch": cifar_batch(b"labels")}, cifar10),
    "cifar100 python": (lambda _: {"test": cifar_batch(b"fine_labels")}, cifar100),
    "tiny imagenet": (tiny, tiny_imagenet),
}


def mutated(data: bytes, draw: random.Random) -> bytes:
    """A few bytes changed, cut out, doubled or put in."""
    result = bytearray(data)
    for _ in range(draw.randint(1, 4)):
        place = draw.randrange(len(result) or 1)
        kind = draw.randrange(5)
        if kind == 0:
            result[place : place + 1] = bytes([draw.randrange(256)])
        elif kind == 1:
            del result[place : place + draw.randint(1, 50)]
        elif kind == 2:
            result[place:place] = bytes(draw.randrange(256) for _ in range(draw.randint(1, 9)))
        elif kind == 3:
            del result[place:]
        else:  # the numbers that sizes and opcodes stand in are at the head
            result[draw.randrange(min(64, len(result) or 1))] = draw.choice([0, 255, 127, 128])
        if not result:
            break
    return bytes(result)


@pytest.mark.parametrize("form", FORMS)
def test_whatever_happens_to_a_file_is_told_by_its_name(form: str, tmp_path: Path):
    make, read = FORMS[form]
    files = make(tmp_path)
    for name, data in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    read(tmp_path, train=False)
    draw = random.Random(form)
    refused = 0
    for _ in range(MUTATIONS):
        name = draw.choice(list(files))
        (tmp_path / name).write_bytes(mutated(files[name], draw))
        try:
            read(tmp_path, train=False)
        except (ValueError, OSError) as error:
            refused += 1
            assert str(tmp_path) in str(error)  # noqa: PT017
        (tmp_path / name).write_bytes(files[name])
    assert refused > MUTATIONS / 20


def peak() -> int:
    scale = 1 if sys.platform == "darwin" else 1024
    return scale * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def test_a_packed_file_expands_no_further_than_its_sizes_say(tmp_path: Path):
    bomb = gzip.compress(idx((2, 2, 2), bytes(8)) + bytes(300_000_000), 9)
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(bomb)
    (tmp_path / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx((2,), bytes(2))))
    before = peak()
    with pytest.raises(ValueError, match=r"images.*gz must hold 2 x 2 x 2 bytes, got more"):
        mnist(tmp_path, train=False)
    sizes = idx((60_000, 2_000, 2_000), b"")
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(gzip.compress(sizes))
    with pytest.raises(ValueError, match="must hold at most 1073741824 bytes, got 240000000000"):
        mnist(tmp_path, train=False)
    assert peak() - before < 100_000_000


def test_text_that_is_no_utf_8_is_told_by_the_file(tmp_path: Path):
    for name, data in tiny(tmp_path).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    (tmp_path / "val" / "val_annotations.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match=r"val_annotations.txt must be UTF-8"):
        tiny_imagenet(tmp_path, train=False)
    (tmp_path / "wnids.txt").write_bytes(b"n01\n\xc3")
    with pytest.raises(ValueError, match=r"wnids.txt must be UTF-8"):
        tiny_imagenet(tmp_path, train=False)


def test_a_jpeg_that_claims_to_be_huge_is_refused_before_it_is_read(tmp_path: Path):
    for name, data in tiny(tmp_path).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    honest = jpeg()
    place = honest.index(b"\xff\xc0") + 5
    for side in (9_000, 30_000, 65_500):  # a warning and an error of Pillow's, and beyond
        bomb = honest[:place] + struct.pack(">2H", side, side) + honest[place + 4 :]
        (tmp_path / "val" / "images" / "a.JPEG").write_bytes(bomb)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with pytest.raises(ValueError, match=r"a.JPEG must be a JPEG of 64 by 64 pixels"):
                tiny_imagenet(tmp_path, train=False)


def test_a_pickle_of_nested_tuples_does_not_end_python(tmp_path: Path):
    nested = b"\x80\2}(N" + b"\x85" * 200_000 + b"K\1u."
    (tmp_path / "test_batch").write_bytes(nested)
    with pytest.raises(ValueError, match=r"test_batch must be .*it has more than 1000 tuples"):
        cifar10(tmp_path, train=False)


@pytest.mark.parametrize("read", [mnist, cifar10, cifar100, tiny_imagenet])
def test_arguments_of_another_kind_are_refused(read: Callable[..., object], tmp_path: Path):
    for folder in (None, 3, b"folder", ["folder"], np.array("folder")):
        with pytest.raises(TypeError, match="folder must be a path"):
            read(folder)
    for folder in ("", "a\0b"):
        with pytest.raises(ValueError, match="folder must be a path"):
            read(folder)
    for train in (None, 1, "yes"):
        with pytest.raises(TypeError, match="train must be True or False"):
            read(tmp_path, train=train)
