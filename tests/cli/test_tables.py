"""What is wrong with a table is told in words that help; what programs write is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from prunelimits.cli.advice import advise
from prunelimits.cli.data import OwnData, read_data


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)


ROWS = [(0.5 * n, 3.0 - n, n % 2) for n in range(12)]


def write(name: str, lines: list[str], encoding: str = "utf-8") -> Path:
    Path(name).write_text("\n".join(lines) + "\n", encoding=encoding)
    return Path(name)


def table(*, head: str = "a,b,label", row: str = "{0},{1},{2}") -> list[str]:
    return [head, *(row.format(*cells, n=n) for n, cells in enumerate(ROWS))]


def error(path: Path, **options: Any) -> str:
    with pytest.raises(ValueError, match="--data") as raised:
        read_data(path, **options)
    return str(raised.value)


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("tab.tsv", table(head="a\tb\tlabel", row="{0}\t{1}\t{2}")),
        ("semicolon.csv", table(head="a;b;label", row="{0};{1};{2}")),
        ("quoted.csv", table(head='"a, x","b",label', row='"{0}","{1}","{2}"')),
        ("commas.csv", table(head='"a, x, y";"b, z";"label"', row="{0};{1};{2}")),
        ("first.csv", table(head="label,a,b", row="{2},{0},{1}")),
        ("numbered.csv", table(head=",a,b,label", row="{n},{0},{1},{2}")),
        ("bom.csv", ["\ufeffa,b,label", *table()[1:]]),
    ],
)
def test_a_table_is_read_however_a_program_writes_it(name: str, lines: list[str]):
    x, y, _ = read_data(write(name, lines))
    assert x.tolist() == [[a, b] for a, b, _ in ROWS]
    assert y.tolist() == [label for *_, label in ROWS]


def test_a_column_that_numbers_the_rows_is_left_out_aloud(capsys: pytest.CaptureFixture[str]):
    read_data(write("a.csv", table(head=",a,b,label", row="{n},{0},{1},{2}")))
    assert "numbers the rows: it is left out" in capsys.readouterr().out
    said = error(write("b.csv", table(head=",a,b,label", row="9,{0},{1},{2}")))
    assert "column 1 has no name" in said
    assert "--drop 1" in said
    x, _, _ = read_data(Path("b.csv"), drop=("1",))
    assert x.shape == (12, 2)


def test_a_named_column_that_numbers_the_rows_is_told_of(capsys: pytest.CaptureFixture[str]):
    write("a.csv", table(head="id,a,b,label", row="{n},{0},{1},{2}"))
    OwnData(data=Path("a.csv")).read()
    assert "Inputs that number the rows, and may be no measurements: id" in capsys.readouterr().out
    advise(torch.tensor([[0.0], [2.0], [3.0], [4.0]]), standardised=False)
    assert "number the rows" not in capsys.readouterr().out


@pytest.mark.parametrize("word", ["", "NA", "n/a", "nan", "NaN", "null", "?", "-", "#N/A"])
def test_missing_values_are_counted_by_column(word: str):
    lines = table()
    lines[3] = f"1.0,{word},1"
    lines[5] = f"1.0,{word},1"
    said = error(write("a.csv", lines))
    assert "values are missing: b in 2 of 12 rows" in said
    assert "--drop b" in said


@pytest.mark.parametrize("numbers", [False, True])
@pytest.mark.parametrize("word", ["", "nan", "NA", "?", "None"])
def test_rows_without_a_label_are_counted(word: str, numbers: bool):
    lines = table()
    lines[4] = f"1.0,2.0,{word}"
    path = write("a.csv", lines)
    assert "1 of 12 samples have no label, the first is sample 4" in error(path, numbers=numbers)


def test_a_class_may_be_called_none():
    lines = table(row="{0},{1},class {2}")
    lines[3:6] = ["1.0,2.0,none"] * 3
    assert read_data(write("a.csv", lines)).classes == ("class 0", "class 1", "none")


def test_names_that_differ_by_their_case_are_two_arrays():
    x, y = np.ones((4, 2)), np.array([0, 1, 0, 1])
    np.savez("a.npz", x=x, X=np.zeros((4, 3)), y=y)
    assert read_data(Path("a.npz")).x.tolist() == x.tolist()


@pytest.mark.parametrize(
    ("lines", "part"),
    [
        (table(head="a,a,label"), "names of their own, got 'a' for columns 1, 2"),
        (table(head="a,label,label"), "got 'label' for columns 2, 3"),
        (table(head="day,b,label", row="2024-01-01,{1},{2}"), "--drop day leaves the column out"),
        (table(head="the day,b,label", row="x,{1},{2}"), "--drop 'the day' leaves the column out"),
        (table(head="kind,a,b", row="cat,{0},{1}"), "--label kind makes it the labels"),
        (table(head="a;b;label", row="0,5;{1};{2}"), "decimals are written with a point"),
        (table(row='"1,234.5",{1},{2}'), "thousands without a mark"),
        (table(row="inf,{1},{2}"), "must be finite numbers within float32, got inf in sample 1"),
        (table(row="1e39,{1},{2}"), "got inf in sample 1, input 1 (12 such in all)"),
        (["a,b,label"], "holds no samples"),
        (table(row="{0},{1},a\0{2}"), "line 2, column label: a zero byte is no text"),
        (["# made by me", *table()], "got one column in line 1: '# made by me'"),
        ([""], "got an empty file"),
    ],
)
def test_what_is_wrong_is_named(lines: list[str], part: str):
    assert part in error(write("a.csv", lines))


def test_files_of_other_kinds_are_known():
    Path("a.csv.gz").write_bytes(b"\x1f\x8b" + bytes(20))
    assert "is compressed: unpack it first" in error(Path("a.csv.gz"))
    assert "is text in UTF-16" in error(write("a.csv", table(), encoding="utf-16"))
    torch.save({"x": torch.zeros(2)}, "a.pt")
    assert "archive without arrays" in error(Path("a.pt"))


def test_arrays_must_be_finite_numbers_and_some():
    x, y = np.ones((4, 2)), np.array([0, 1, 0, 1])
    for name, arrays, part in (
        ("nan", {"x": np.where(x > 0, np.nan, x), "y": y}, "got nan in sample 1, input 1"),
        ("none", {"x": x[:0], "y": y[:0]}, "holds no samples"),
        (
            "complex",
            {"x": x.astype(complex), "y": y},
            "must hold numbers or text, got complex128",
        ),
        ("objects", {"x": x.astype(object), "y": y}, "Python objects are never loaded"),
        ("label", {"x": x, "y": np.array([0, 1, np.nan, 1])}, "labels must be finite"),
    ):
        np.savez(f"{name}.npz", **arrays)
        assert part in error(Path(f"{name}.npz"))


def test_parquet_is_read_like_a_table():
    pyarrow = pytest.importorskip("pyarrow", reason="the extra parquet is not installed")
    from pyarrow.parquet import write_table

    columns = {"a": [0.5, 1.5, 2.5], "n": [1, 2, 3], "kind": ["cat", "dog", "cat"]}
    write_table(pyarrow.table(columns), "a.parquet")
    x, y, _ = read_data(Path("a.parquet"), label="kind")
    assert x.tolist() == [[0.5, 1.0], [1.5, 2.0], [2.5, 3.0]]
    assert y.tolist() == [0, 1, 0]
    assert read_data(Path("a.parquet"), label="kind", drop=("n",))[0].shape == (3, 1)
    assert "--label kind makes it the labels" in error(Path("a.parquet"), label="n")
    assert "--label must name a column" in error(Path("a.parquet"), label="no")
    write_table(pyarrow.table({"a": [0.5, None], "y": [0, 1]}), "b.parquet")
    assert "values are missing: a in 1 of 2 rows" in error(Path("b.parquet"))
    Path("c.parquet").write_bytes(b"PAR1" + bytes(30))
    assert "no Parquet file that can be read" in error(Path("c.parquet"))
