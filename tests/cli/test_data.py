"""The reader of `--data`: what it takes, and that nothing damaged or hostile gets past one line."""

from __future__ import annotations

import io
import random
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from prunelimits.cli import main
from prunelimits.cli.data import OwnData, read_data

from ..datasets.r_files import Factor, rda

X = np.array([[0.5, 1.0], [2.0, -3.5], [4.0, 5.0], [-1.0, 0.25]])
Y = np.array([0, 1, 1, 0])


def check(path: Path, labels: list[int] | None = None) -> None:
    x, y, _ = read_data(path)
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


def test_label_and_drop_choose_columns_by_name_or_number(tmp_path: Path):
    file = tmp_path / "a.csv"
    file.write_text(
        "id,kind,a,b\n"
        + "\n".join(
            f"n{i},{r[2]},{r[0]},{r[1]}" for i, r in enumerate(row.split(",") for row in ROWS)
        )
    )
    x, y, _ = read_data(file, label="kind", drop=["id"])
    assert torch.equal(x, torch.from_numpy(X).float())
    assert y.tolist() == Y.tolist()
    assert read_data(file, label="kind", drop=["id", "a"])[0].tolist() == X[:, 1:].tolist()
    file.write_text("\n".join(ROWS).replace("no", "0").replace("yes", "1"))
    x, y, _ = read_data(file, label="3", drop=["1"])
    assert (x.tolist(), y.tolist()) == (X[:, 1:].tolist(), Y.tolist())
    np.save(tmp_path / "a.npy", np.column_stack([Y, X]))
    x, y, _ = read_data(tmp_path / "a.npy", label="1", drop=["3"])
    assert (x.tolist(), y.tolist()) == (X[:, :1].tolist(), Y.tolist())


def test_arrays_are_chosen_by_name(tmp_path: Path):
    path = tmp_path / "a.npz"
    np.savez(path, x=X[::-1], y=1 - Y, points=X, kinds=Y, other=Y)
    x, y, _ = read_data(path, input_array="points", label="kinds")
    assert (x.tolist(), y.tolist()) == (X.tolist(), Y.tolist())
    # What is not named is found as before.
    x, y, _ = read_data(path, label="kinds")
    assert (x.tolist(), y.tolist()) == (X[::-1].tolist(), Y.tolist())
    x, y, _ = read_data(path, input_array="points", drop=["2"])
    assert (x.tolist(), y.tolist()) == (X[:, :1].tolist(), (1 - Y).tolist())


def test_tables_of_r_are_read(tmp_path: Path):
    pytest.importorskip("rdata")
    frame = {"a": X[:, 0].tolist(), "b": X[:, 1].tolist(), "y": Factor((Y + 1).tolist(), "ab")}
    (tmp_path / "a.rda").write_bytes(rda({"t": frame}))
    check(tmp_path / "a.rda")
    x, y, _ = read_data(tmp_path / "a.rda", drop=["a"])
    assert (x.tolist(), y.tolist()) == (X[:, 1:].tolist(), Y.tolist())


def test_any_whole_labels_become_classes_and_measurements_stay(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    np.savez(tmp_path / "a.npz", x=X, y=np.where(Y == 1, 7, -1))
    check(tmp_path / "a.npz")
    assert "a.npz: -1 = 0, 7 = 1" in capsys.readouterr().out
    np.savez(tmp_path / "a.npz", x=X, y=np.array([1990, 2003, 2010, 1984]))
    assert read_data(tmp_path / "a.npz")[1].tolist() == [1990, 2003, 2010, 1984]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"label": "c"}, "--label must name a column, 1, 2, 3, got 'c'"),
        ({"drop": ["4"]}, "--drop must name a column, 1, 2, 3, got '4'"),
        ({"drop": ["3"]}, "--drop must leave the labels, got '3'"),
        ({"drop": ["1", "2"]}, "--drop must leave an input"),
        ({"input_array": "x"}, "--input-array is for .npz files, got 'x'"),
    ],
)
def test_columns_that_are_not_there_are_refused(
    options: dict[str, Any], message: str, tmp_path: Path
):
    (tmp_path / "a.csv").write_text("\n".join(ROWS))
    np.save(tmp_path / "a.npy", np.column_stack([X, Y]))
    for name in ("a.csv", "a.npy"):
        with pytest.raises(ValueError, match=f"--data .*{name}: {message}"):
            read_data(tmp_path / name, **options)


def test_arrays_that_are_not_there_are_refused(tmp_path: Path):
    np.savez(tmp_path / "a.npz", x=X, y=Y)
    with pytest.raises(ValueError, match=r"--label must name an array of the file, x \(4, 2\), y"):
        read_data(tmp_path / "a.npz", label="z")
    with pytest.raises(ValueError, match=r"--input-array must name an array .* got 'z'"):
        read_data(tmp_path / "a.npz", input_array="z")
    with pytest.raises(ValueError, match="--drop must name a column, 1, 2, labels, got '3'"):
        read_data(tmp_path / "a.npz", drop=["3"])


def test_options_advise_and_standardise(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    x = np.column_stack([X, np.full(4, 3.0), 1e4 * X[:, 0]])
    np.savez(tmp_path / "a.npz", x=x, y=Y)
    given = OwnData(data=tmp_path / "a.npz")
    assert torch.equal(given.read_standardised()[0], torch.from_numpy(x).float())
    printed = " ".join(capsys.readouterr().out.split())
    assert "same in every row tell nothing: 3 (from 1)" in printed
    assert "Networks train better with --standardise" in printed
    scaled = OwnData(data=tmp_path / "a.npz", standardise=True).read_standardised()[0]
    assert "--standardise" not in capsys.readouterr().out
    expected = (x - x.mean(0)) / np.where(x.std(0) == 0, 1, x.std(0))
    np.testing.assert_allclose(scaled.numpy(), expected, rtol=1e-5, atol=1e-5)


def test_classes_of_few_rows_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    np.savez(tmp_path / "a.npz", x=np.arange(20.0).reshape(10, 2), y=[0] * 7 + [1, 1, 2])
    OwnData(data=tmp_path / "a.npz").read()
    assert "Classes of fewer than 3 rows: 1 (2), 2 (1)." in capsys.readouterr().out


@pytest.mark.parametrize("flag", ["label", "drop", "input_array", "standardise"])
def test_options_about_a_file_need_one(flag: str):
    value = {"drop": ("a",), "standardise": True}.get(flag, "a")
    with pytest.raises(ValueError, match="needs --data"):
        OwnData(**{flag: value}).read()


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
    "gap.csv": (b"a,b,label\n1,,0\n", "values are missing: b in 1 of 1 rows"),
    "word.csv": (b"1,2,0\n1,two,1\n", "line 2, column 2: 'two' is no number"),
    "unlabelled.csv": (b"1,2,0\n1,2,\n", "the first is sample 2: remove these rows"),
    "index.csv": (b",a,label\n7,1,0\n", "column 1 has no name, and does not only number"),
    "names.csv": (b"".join(b"%d,2,name%d\n" % (n, n) for n in range(9)), "labels must be classes"),
    "latin.csv": ("1,2,süß\n".encode("latin-1"), "is no text in UTF-8"),
    "wide.csv": (b"1,2," + b"x" * 200_000 + b"\n", "field larger than field limit"),
    "noise.bin": (bytes(range(256)), "is no text in UTF-8"),
}


@pytest.mark.slow
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
            read_x, read_y, _ = read_data(path)
        except ValueError as error:
            refused += str(error).startswith(f"--data {path}: ") and "\n" not in str(error)
        else:
            assert read_x.dtype == torch.float32
            assert len(read_x) == len(read_y)
            read += 1
    assert refused + read == 300
    assert min(refused, read) > 10


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (["no", "yes", "yes", "no"], ("no", "yes")),
        ([7, -3, -3, 7], ("-3", "7")),
        ([5, 5, 5, 5], ("5",)),
        ([0, 1, 1, 0], None),
        ([0.5, 1.5, 2.5, 0.25], None),
    ],
)
def test_names_of_classes_are_kept_where_they_are_no_numbers_from_0(
    labels: list[Any], names: tuple[str, ...] | None, tmp_path: Path
):
    np.savez(tmp_path / "a.npz", x=X, y=np.array(labels))
    assert read_data(tmp_path / "a.npz").classes == names
    own = OwnData(data=tmp_path / "a.npz", standardise=True)
    assert own.read().classes == own.read_standardised().classes == names


def test_levels_of_a_factor_are_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    pytest.importorskip("rdata")
    # The second level occurs in no row.
    frame = {"a": X[:, 0].tolist(), "b": X[:, 1].tolist(), "y": Factor([1, 3, 3, 1], "abc")}
    (tmp_path / "a.rda").write_bytes(rda({"t": frame}))
    found = read_data(tmp_path / "a.rda")
    assert (found.y.tolist(), found.classes) == (Y.tolist(), ("a", "c"))
    assert "a.rda: a = 0, c = 1" in capsys.readouterr().out


def test_hostile_names_are_told_in_a_short_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    names = ["\x1b[31mred", "<script>alert(1)</script>", "x" * 10_000, "a\nb"]
    np.savez(tmp_path / "a.npz", x=np.tile(X, (4, 1)), y=np.repeat(np.array(names), 4))
    assert set(read_data(tmp_path / "a.npz").classes or ()) == set(names)
    told = capsys.readouterr().out.removeprefix("Labels in").split("a.npz: ")[1]
    assert told.splitlines() == [
        f"[31mred = 0, <script>alert(1)</script> = 1, a b = 2, {'x' * 39}… = 3"
    ]


def test_rare_classes_are_told_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    x = np.random.default_rng(0).normal(size=(12, 2))
    np.savez(tmp_path / "a.npz", x=x, y=np.array(["cat"] * 10 + ["dog"] * 2))
    OwnData(data=tmp_path / "a.npz").read()
    assert "Classes of fewer than 3 rows: dog (2)." in " ".join(capsys.readouterr().out.split())
