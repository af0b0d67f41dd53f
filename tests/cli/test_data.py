"""The reader of `--data`: what it takes, and that nothing damaged or hostile gets past one line."""

from __future__ import annotations

import io
import random
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from prunelimits.cli import main
from prunelimits.cli.data import read_data

X = np.array([[0.5, 1.0], [2.0, -3.5], [4.0, 5.0], [-1.0, 0.25]])
Y = np.array([0, 1, 1, 0])


def check(path: Path, labels: list[int] | None = None) -> None:
    x, y = read_data(path)
    assert torch.equal(x, torch.from_numpy(X).float())
    assert y.dtype == torch.int64
    assert y.tolist() == (Y.tolist() if labels is None else labels)


@pytest.mark.parametrize(
    "arrays",
    [
        {"x": X, "y": Y},
        {"X": X, "Y": Y},
        {"x": X, "y": Y[:, None]},
        {"x": X, "y": Y.astype(bool)},
        {"x": X, "y": Y.astype(np.float64), "more": X},
        {"data": X, "target": Y, "names": np.array(["a", "b"])},
        {"points": X, "kinds": Y},
        {"x": np.asfortranarray(X).astype(">f4"), "y": Y.astype(">i2")},
        {"x": X, "y": np.array(["no", "yes", "yes", "no"])},
        {"x": X, "y": np.array([b"no", b"yes", b"yes", b"no"])},
    ],
    ids=lambda arrays: "-".join(arrays),
)
def test_archives_of_any_names(arrays: dict[str, np.ndarray], tmp_path: Path):
    np.savez(tmp_path / "a.npz", **arrays)
    check(tmp_path / "a.npz")
    np.savez_compressed(tmp_path / "a.npz", **arrays)
    check(tmp_path / "a.npz")


def test_a_matrix_holds_its_labels_last(tmp_path: Path):
    np.save(tmp_path / "a.npy", np.column_stack([X, Y]))
    check(tmp_path / "a.npy")


ROWS = ["0.5,1,no", "2,-3.5,yes", "4,5,yes", "-1,0.25,no"]
NUMBERED = [row.replace("no", "0").replace("yes", "1") for row in ROWS]
FIRST = [",".join([row.split(",")[2], *row.split(",")[:2]]) for row in ROWS]


@pytest.mark.parametrize(
    "lines",
    [
        ROWS,
        NUMBERED,
        ["a,b,c", *ROWS],
        ["a,b,c", *NUMBERED],
        ["Class,a,b", *FIRST],
        ["0,1,label", *ROWS],
        ["\ufeffa,b,c", *ROWS, "", ""],
        [row.replace(",", ";") for row in ["a,b,label", *ROWS]],
        [row.replace(",", "\t") for row in ROWS],
        [row.replace(",", " , ") for row in ROWS],
        ['"a","b","c"', *[row.replace("no", '"no"').replace("yes", '"yes"') for row in ROWS]],
    ],
    ids=lambda lines: lines[0],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_tables_of_text(lines: list[str], end: str, tmp_path: Path):
    (tmp_path / "a.csv").write_bytes(end.join(lines).encode())
    check(tmp_path / "a.csv")


def test_classes_that_become_numbers_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "a.csv").write_text("\n".join(ROWS))
    read_data(tmp_path / "a.csv")
    assert "a.csv: no = 0, yes = 1" in capsys.readouterr().out


def npy(header: str, content: bytes = b"") -> bytes:
    text = header.encode()
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + content


def archive(**members: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in members.items():
            made.writestr(f"{name}.npy", content)
    return file.getvalue()


def saved(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


HUGE = npy("{'descr': '<f8', 'fortran_order': False, 'shape': (5000000000000,)}")
BOMB = archive(x=saved(np.zeros((5_000_000, 2))), y=saved(Y))
BAD: dict[str, tuple[bytes, str]] = {
    "empty.npz": (b"", "is damaged or no .npz file"),
    "text.npz": (b"no archive at all", "is damaged or no .npz file"),
    "cut.npz": (archive(x=saved(X), y=saved(Y))[:-30], "is damaged or no file of NumPy arrays"),
    "object.npz": (
        archive(x=npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}"), y=saved(Y)),
        "x must hold numbers or text, got object: Python objects are never loaded",
    ),
    "bomb.npz": (BOMB, "unpacks to 80,000,"),
    "huge.npy": (HUGE, "the file is cut off"),
    "huge.npz": (archive(x=HUGE, y=saved(Y)), "x is cut off"),
    "nested.npy": (npy("(" * 5000), "is damaged or no file of NumPy arrays"),
    "header.npy": (npy("{'descr': '<f8', 'shape': (2,"), "is damaged or no file of NumPy arrays"),
    "negative.npy": (
        npy("{'descr': '<f8', 'fortran_order': False, 'shape': (-1, 2)}"),
        "is cut off",
    ),
    "complex.npz": (archive(x=saved(X * 1j), y=saved(Y)), "must hold numbers or text"),
    "one.npz": (archive(x=saved(X)), "must hold arrays x (samples, inputs) and y (samples), got x"),
    "two.npz": (archive(a=saved(X), b=saved(X), y=saved(Y)), "must hold arrays x"),
    "short.npz": (archive(x=saved(X), y=saved(Y[:3])), "as many rows of inputs as labels"),
    "vector.npy": (saved(Y), "must hold a matrix with the labels in its last column"),
    "words.npz": (archive(x=saved(np.array([["a", "b"]])), y=saved(Y[:1])), "inputs must be"),
    "empty.csv": (b"", "must be a table of at least one column of inputs and one of labels"),
    "one.csv": (b"1\n2\n", "must be a table of at least one column of inputs"),
    "header.csv": (b"a,b,c\n", "holds no samples"),
    "ragged.csv": (b"1,2,0\n1,0\n", "line 2 has 2 columns, the first has 3"),
    "gap.csv": (b"a,b,label\n1,,0\n", "line 2, column b: '' is no number"),
    "word.csv": (b"1,2,0\n1,two,1\n", "line 2, column 2: 'two' is no number"),
    "unlabelled.csv": (b"1,2,0\n1,2,\n", "sample 2 has no label"),
    "index.csv": (b",a,label\n0,1,0\n", "column 1 has no name: remove it if it only numbers"),
    "names.csv": (b"".join(b"%d,2,name%d\n" % (n, n) for n in range(9)), "labels must be classes"),
    "latin.csv": ("1,2,süß\n".encode("latin-1"), "is no text in UTF-8"),
    "wide.csv": (b"1,2," + b"x" * 200_000 + b"\n", "field larger than field limit"),
    "noise.bin": (bytes(range(256)), "is no text in UTF-8"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_wrong_with_a_file_is_told_in_a_line(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    content, message = BAD[name]
    Path(name).write_bytes(content)
    tracemalloc.start()
    try:
        assert main(["search", "--data", name]) == 1
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    error = capsys.readouterr().err
    assert error.startswith(f"prunelimits: --data {name}: ")
    assert message in error
    assert error.count("\n") == 1
    assert "pickle" not in error
    assert peak < 64 * 2**20
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_what_is_no_file_is_told(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match=r"--data .*none.csv: no such file"):
        read_data(tmp_path / "none.csv")
    with pytest.raises(ValueError, match="is a folder or a device"):
        read_data(tmp_path)


@pytest.mark.parametrize("kind", ["npz", "compressed.npz", "npy", "csv"])
def test_a_damaged_file_is_read_or_refused_and_nothing_else(kind: str, tmp_path: Path):
    """1,200 flips, cuts and insertions: numbers come back, or a ValueError that names the file."""
    generator = random.Random(kind)
    path = tmp_path / f"a.{kind}"
    numbers = np.random.default_rng(0)
    x, y = numbers.normal(size=(20, 3)), np.arange(20) % 2
    match kind:
        case "npz":
            np.savez(path, x=x, y=y)
        case "compressed.npz":
            np.savez_compressed(path, x=x, y=y)
        case "npy":
            np.save(path, np.column_stack([x, y]))
        case _:
            rows = [[*row, "ab"[label]] for row, label in zip(x.tolist(), y, strict=True)]
            path.write_text("\n".join(",".join(map(str, row)) for row in rows))
    whole = path.read_bytes()
    refused = read = 0
    for _ in range(300):
        content = bytearray(whole)
        at = generator.randrange(len(content))
        match generator.randrange(3):
            case 0:
                content[at] ^= 1 << generator.randrange(8)
            case 1:
                del content[at:]
            case _:
                content[at : at + generator.randrange(40)] = generator.randbytes(20)
        path.write_bytes(content)
        try:
            read_x, read_y = read_data(path)
        except ValueError as error:
            refused += str(error).startswith(f"--data {path}: ") and "\n" not in str(error)
        else:
            assert read_x.dtype == torch.float32
            assert len(read_x) == len(read_y)
            read += 1
    assert refused + read == 300
    assert min(refused, read) > 10
