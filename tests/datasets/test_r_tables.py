from __future__ import annotations

import bz2
import gzip
import lzma
import random
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from prunelimits.datasets import r_table

from .r_files import Column, Factor, rda

pytest.importorskip("rdata")

FRAME: dict[str, Column] = {
    "size": [1.5, -2.0, 0.25],
    "wet": [True, False, True],
    "kind": Factor([1, 3, 2], ["a", "b", "c"]),
    "grade": Factor([2, 1, 3], ["low", "mid", "high"], ordered=True),
    "class": Factor([2, 4, 2], ["never", "no", "nowhere", "yes"]),
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "table.rda").write_bytes(rda({"table": FRAME}))
    return tmp_path / "table.rda"


def test_a_data_frame_becomes_numbers_a_column_a_level_and_labels_of_the_levels_that_occur(
    file: Path,
):
    x, y = r_table(file)
    assert x.dtype is torch.float32
    assert x.tolist() == [
        [1.5, 1.0, 1.0, 0.0, 0.0, 1.0],
        [-2.0, 0.0, 0.0, 0.0, 1.0, 0.0],
        [0.25, 1.0, 0.0, 1.0, 0.0, 2.0],
    ]
    assert y.dtype is torch.int64
    assert y.tolist() == [0, 1, 0]


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_packed_files_hold_the_same(file: Path, pack: Callable[[bytes], bytes]):
    expected = r_table(file)
    file.write_bytes(pack(file.read_bytes()))
    assert all(map(torch.equal, r_table(file), expected))


def test_label_and_drop_choose_columns(file: Path):
    x, y = r_table(file, label="size", drop=["kind", "class"])
    assert x.tolist() == [[1.0, 1.0], [0.0, 0.0], [1.0, 2.0]]
    assert y.dtype is torch.float32
    assert y.tolist() == [1.5, -2.0, 0.25]


def test_one_of_several_tables_is_chosen_by_name(tmp_path: Path):
    file = tmp_path / "two.rda"
    file.write_bytes(rda({"first": FRAME, "second": {"x": [1.0, 2.0], "y": [3.0, 4.0]}}))
    assert r_table(file, table="second")[1].tolist() == [3, 4]
    with pytest.raises(ValueError, match=r"table must be a data frame of .*'first', 'second'"):
        r_table(file)


def test_what_rdata_writes_is_read_alike(tmp_path: Path):
    import pandas
    import rdata

    frame = pandas.DataFrame({"x": [1.0, 2.0], "y": pandas.Categorical(["b", "a"])})
    rdata.write_rda(tmp_path / "t.rda", {"t": frame})
    x, y = r_table(tmp_path / "t.rda")
    assert (x.tolist(), y.tolist()) == ([[1.0], [2.0]], [1, 0])


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        ({"x": [1.0, None], "y": [0.0, 1.0]}, r"1 of 2 rows miss some in 'x': drop"),
        ({"x": [1.0, 2.0], "y": Factor([1, None], ["a", "b"])}, r"1 of 2 rows miss some in 'y'"),
        ({"x": [1.0, float("inf")], "y": [0.0, 1.0]}, "infinite ones in 'x'"),
        ({"x": [], "y": []}, "must have rows"),
    ],
)
def test_missing_values_are_named(tmp_path: Path, frame: dict[str, Column], message: str):
    file = tmp_path / "table.rda"
    file.write_bytes(rda({"table": frame}))
    with pytest.raises(ValueError, match=message):
        r_table(file)


def test_a_column_with_missing_values_may_be_dropped(tmp_path: Path):
    file = tmp_path / "table.rda"
    file.write_bytes(rda({"table": {"x": [1.0, 2.0], "gaps": [None, 1.0], "y": [0.0, 1.0]}}))
    assert r_table(file, drop=["gaps"])[0].tolist() == [[1.0], [2.0]]


def test_what_is_no_table_is_refused_by_name(file: Path, tmp_path: Path):
    with pytest.raises(ValueError, match=r"label must be a column of .*'size', .*got 'colour'"):
        r_table(file, label="colour")
    with pytest.raises(ValueError, match=r"drop must be a column of .*got 'colour'"):
        r_table(file, drop=["colour"])
    with pytest.raises(ValueError, match=r"drop must leave the label 'class' and an input"):
        r_table(file, drop=["class"])
    with pytest.raises(FileNotFoundError):
        r_table(tmp_path / "none.rda")
    (tmp_path / "empty.rda").write_bytes(b"")
    with pytest.raises(ValueError, match=r"empty\.rda must be an \.rda file of R"):
        r_table(tmp_path / "empty.rda")


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_a_file_cut_anywhere_is_damaged_and_says_which(file: Path, pack: Callable[[bytes], bytes]):
    whole = pack(file.read_bytes())
    for length in range(7, len(whole) - 8, 23):
        file.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"table\.rda"):
            r_table(file)


@pytest.mark.parametrize("kind", ["text", "binary"])
def test_a_damaged_file_is_read_or_refused_and_nothing_else(kind: str, tmp_path: Path):
    file = tmp_path / "table.rda"
    file.write_bytes(rda({"table": FRAME}))
    if kind == "binary":
        import pandas
        import rdata

        frame = pandas.DataFrame({"x": [1.0, 2.0, 5.0], "y": pandas.Categorical(["b", "a", "b"])})
        rdata.write_rda(file, {"table": frame})
    packed = file.read_bytes()
    whole = gzip.decompress(packed) if packed.startswith(b"\x1f\x8b") else packed
    generator = random.Random(kind)
    refused = read = 0
    for _ in range(200):
        content = bytearray(whole)
        at = generator.randrange(len(content))
        match generator.randrange(3):
            case 0:
                content[at] ^= 1 << generator.randrange(8)
            case 1:
                content[at] = generator.choice(b"0123456789-")
            case _:
                content[at : at + generator.randrange(40)] = generator.randbytes(20)
        file.write_bytes(content)
        try:
            x, y = r_table(file)
        except ValueError as error:
            assert str(file) in str(error)  # noqa: PT017
            refused += 1
        else:
            assert len(x) == len(y)
            read += 1
    assert refused + read == 200
    assert min(refused, read) > 3


def test_what_is_nothing_of_rs_is_told_once(tmp_path: Path):
    (tmp_path / "text.rda").write_text("no table")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        with pytest.raises(ValueError, match=r"text\.rda must be an \.rda file of R"):
            r_table(tmp_path / "text.rda")
    assert not told
