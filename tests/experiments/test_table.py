"""The table of a study on disk."""

from __future__ import annotations

import csv
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunelimits.experiments import Run, RunResult, read_table, write_table

NAMES = st.text("ABCdef_", min_size=1)
COUNT = st.integers(0, 10**6)
RUNS = st.builds(Run, NAMES, st.integers(1, 10**6), COUNT, COUNT, COUNT)
COST = st.integers(0, 2**60).map(float)
SHARE = st.none() | st.floats(0, 1)
RESULTS = st.builds(RunResult, RUNS, COUNT, COUNT, COUNT, st.floats(0, 1), COST, COST, SHARE, SHARE)


@given(results=st.lists(RESULTS, unique_by=lambda r: r.run), study=st.text("ab {}:,\"'"))
def test_what_is_written_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, results: list[RunResult], study: str
):
    path = tmp_path_factory.mktemp("table") / "table.csv"
    write_table(results, path, study=study)
    assert read_table(path) == (sorted(results), study)
    content = path.read_bytes()
    write_table(reversed(results), path, study=study)
    assert path.read_bytes() == content


def test_other_programs_can_read_it(tmp_path: Path):
    result = RunResult(Run("SNIP", 16, 20, 3, 0), 31, 15, 12, 0.75, 7.7e7, 4.1e8)
    write_table([result], tmp_path / "table.csv", study="a study")
    first, *lines = (tmp_path / "table.csv").read_text().splitlines()
    assert first == "# a study"
    (row,) = csv.DictReader(lines)
    assert (row["method"], float(row["accuracy"]), row["operations"]) == (
        "SNIP", 0.75, "410000000",
    )  # fmt: skip


COLUMNS = "method,width,keep,recipe,repeat,nonzeros,effective,trimmed,accuracy,parameter_samples"
GOOD = "SNIP,16,20,3,0,31,15,12,0.75,77000000,410000000"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must have the columns method,width"),
        ("# a study\n", "must have the columns"),
        (f"{COLUMNS}\n", "must have the columns"),
        (f"{COLUMNS},operations\n{GOOD}\nSNIP,16\n", "row 2, is no run: .*'SNIP', '16'"),
        (f"{COLUMNS},operations\n{GOOD.replace('31', 'x')}\n", "row 1, is no run"),
        (f"{COLUMNS},operations\n{GOOD},9\n", "row 1, is no run"),
        (f"{COLUMNS},operations\n{GOOD}\n{GOOD}\n", "row 2, is there twice: .*SNIP"),
        (f"{COLUMNS},operations\n{GOOD}\n{'x' * 200_000},16\n", "row 2, is no run: field larger"),
        (f'{COLUMNS},operations\n"{GOOD}\n', "row 1, is no run: unexpected end"),
        *(
            (f"{COLUMNS},operations\n{GOOD.replace(old, new)}\n", f"row 1, {message}")
            for old, new, message in (
                ("0.75", "nan", "accuracy must be at least 0 and at most 1, got nan"),
                ("0.75", "inf", "accuracy must be .*, got inf"),
                ("0.75", "-7", "accuracy must be .*, got -7"),
                ("0.75", "1.01", "accuracy must be .*, got 1.01"),
                ("SNIP,16", "SNIP,-3", "width must be at least 1, got -3"),
                ("SNIP,16", "SNIP,0", "width must be at least 1, got 0"),
                ("SNIP,16", "SNIP,1_6", "is no run"),
                ("SNIP,16", "SNIP,16.0", "is no run"),
                ("SNIP,", ",", "method must be a name"),
                ("31", "-31", "nonzeros must be at least 0, got -31"),
                ("77000000", "nan", "parameter_samples must be at least 0, got nan"),
                ("410000000", "-1", "operations must be at least 0, got -1"),
            )
        ),
    ],
)
def test_what_is_no_table(tmp_path: Path, text: str, message: str):
    path = tmp_path / "table.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_table(path)
    with pytest.raises(FileNotFoundError):
        read_table(tmp_path / "none.csv")


def test_bytes_that_are_no_text_are_told_with_the_name_of_the_file(tmp_path: Path):
    path = tmp_path / "table.csv"
    path.write_bytes(f"{COLUMNS},operations\n{GOOD}".encode().replace(b"SNIP", b"SN\xffP"))
    with pytest.raises(ValueError, match=r"table\.csv is no table: .*utf-8"):
        read_table(path)


def test_a_byte_order_mark_and_ends_of_line_of_other_systems_do_no_harm(tmp_path: Path):
    path = tmp_path / "table.csv"
    text = f"# a study\n{COLUMNS},operations\n{GOOD}\n"
    path.write_text(text)
    expected = read_table(path)
    assert expected[1] == "a study"
    path.write_bytes(text.replace("\n", "\r\n").encode("utf-8-sig"))
    assert read_table(path) == expected


def test_what_could_not_be_read_back_is_not_written(tmp_path: Path):
    good = RunResult(Run("SNIP", 16, 20, 3, 0), 31, 15, 12, 0.75, 7.7e7, 4.1e8)
    with pytest.raises(ValueError, match=r"results\[0\], accuracy must be"):
        write_table([good._replace(accuracy=float("nan"))], tmp_path / "table.csv")
    with pytest.raises(ValueError, match="results must be of different runs, got "):
        write_table([good, good], tmp_path / "table.csv")
    with pytest.raises(ValueError, match="study must be one line"):
        write_table([good], tmp_path / "table.csv", study="two\nlines")
    assert not list(tmp_path.iterdir())


def test_edited_tables_end_in_an_error_that_names_the_file(tmp_path: Path):
    path = tmp_path / "table.csv"
    results = [
        RunResult(Run(name, 16, keep, 0, 0), 31, 15, 12, 0.75, 7.7e7, 4.1e8)
        for name in ("SNIP", "GMP")
        for keep in range(20, 30)
    ]
    write_table(results, path, study="a study")
    content, chance = path.read_bytes(), random.Random(0)
    told = 0
    for _ in range(500):
        data = bytearray(content)
        place = chance.randrange(len(data))
        data[place : place + chance.randrange(3)] = chance.randbytes(chance.randrange(3))
        path.write_bytes(data)
        try:
            read_table(path)
        except ValueError as error:
            assert str(error).startswith(str(path))  # noqa: PT017
            told += 1
    assert told > 100


def test_shares_of_the_other_parts_are_kept_where_there_are_any(tmp_path: Path):
    run = Run("SNIP", 16, 20, 3, 0)
    numbers = (31, 15, 12, 0.75, 7.7e7, 4.1e8)
    results = [
        RunResult(run, *numbers, choose=0.5, test=0.25),
        RunResult(run._replace(repeat=1), *numbers),
    ]
    path = tmp_path / "table.csv"
    write_table(results, path)
    assert path.read_text().splitlines()[0].endswith("operations,choose,test")
    assert read_table(path)[0] == results
    with pytest.raises(ValueError, match="test must be at least 0 and at most 1"):
        write_table([results[0]._replace(test=1.5)], path)
    path.write_text(path.read_text().replace(",0.5,0.25", ",0.5"))
    with pytest.raises(ValueError, match="row 1, is no run"):
        read_table(path)
