"""The table of a study on disk."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunelimits.experiments import Run, RunResult, read_table, write_table

NAMES = st.text("ABCdef_", min_size=1)
COUNT = st.integers(0, 10**6)
RUNS = st.builds(Run, NAMES, COUNT, COUNT, COUNT, COUNT)
COST = st.integers(0, 2**60).map(float)
RESULTS = st.builds(RunResult, RUNS, COUNT, COUNT, COUNT, st.floats(0, 1), COST, COST)


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
    ],
)
def test_what_is_no_table(tmp_path: Path, text: str, message: str):
    path = tmp_path / "table.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_table(path)
    with pytest.raises(FileNotFoundError):
        read_table(tmp_path / "none.csv")
