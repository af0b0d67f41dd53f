"""The page on pruning at once says what the kept rows hold."""

import csv
import statistics

import one_shot
from page_tables import places, refreshed


def test_the_page_says_what_the_results_hold():
    page = one_shot.PAGE.read_text()
    assert set(places(page)) == set(one_shot.tables())
    assert refreshed(page, one_shot.tables()) == page, (
        "run python benchmarks/one_shot.py digits ..."
    )


def test_a_cell_is_a_mean_with_its_interval():
    path = one_shot.KEPT["digits"]
    with path.open(newline="") as file:
        rows = [
            r for r in csv.DictReader(file) if r["method"] == "GMP" and r["sparsity"] == "0.9500"
        ]
    values = [100 * float(row["test"]) for row in rows]
    half = one_shot.STUDENT[len(values)] * statistics.stdev(values) / len(values) ** 0.5
    line = next(line for line in one_shot.summary(path).splitlines() if line.startswith("| GMP |"))
    assert line.split(" | ")[1] == str(len(values))
    assert line.split(" | ")[4] == f"{statistics.mean(values):.1f} ± {half:.1f}"
