"""The script that writes the tables of the documentation."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import effort_tables
import gap_tables
import pytest
from gap_start_tables import bench_runs, compact
from gap_width_tables import disconnected, luck, one_width, reaching

from prunelimits.experiments import Run, RunResult, write_table


def cells(table: str) -> list[list[str]]:
    """The rows of a table, header first."""
    header, rule, *rows = (line[2:-2].split(" | ") for line in table.splitlines())
    assert set("".join(rule)) <= set("-: ")
    return [header, *rows]


def result(run: Run, accuracy: float) -> RunResult:
    return RunResult(
        run, run.keep + 10, run.keep, run.keep - run.repeat, accuracy, 1e6 * run.keep, 5e6
    )


@pytest.mark.slow
def test_the_pages_hold_what_the_results_say():
    known = gap_tables.tables(gap_tables.DOCS / "results")
    for page in gap_tables.PAGES:
        text = page.read_text()
        assert "<!-- table: " in text
        assert gap_tables.refreshed(text, known) == text, "run python benchmarks/gap_tables.py"


def test_one_width():
    runs = [
        result(Run(method, width, keep, recipe, repeat), accuracy)
        for method, width, keep, recipe, repeat in product(
            ("SNIP", "RigL"), (8, 16), (42, 50), (0, 1, 2), (0, 1)
        )
        for accuracy in [0.96 if (method, keep, recipe) == ("RigL", 42, 1) else 0.5 + 0.1 * recipe]
    ]
    header, *rows = cells(one_width(runs, 16))
    by_method = {row[0]: dict(zip(header, row, strict=True)) for row in rows}
    assert list(by_method) == ["RigL", "SNIP"]
    rigl, snip = by_method["RigL"], by_method["SNIP"]
    assert (rigl["runs at 95 %"], snip["runs at 95 %"]) == ("2 of 12", "0 of 12")
    assert (rigl["best"], snip["best"]) == ("96.00%", "70.00%")
    # Three starts of two repeats: 0.5, 0.6 and 0.7; six values reach from the first to the last.
    assert snip["median start (95 % interval)"] == "60.0% (50.0% to 70.0%)"
    # Of 42 and 50 weights with ten biases each.
    assert snip["connected"] == f"{(42 / 52 + 50 / 60) / 2:.0%}"
    assert snip["left by trimming"] == f"{(42 + 50) / (52 + 60):.0%}"


def test_the_chance_of_a_number():
    """Two cells: one of five runs reaches the target in the first, two in the second."""
    runs = [
        result(Run("LTH", 16, keep, 0, repeat), 0.96 if repeat < hits else 0.5)
        for keep, hits in ((20, 1), (30, 2))
        for repeat in range(5)
    ]
    assert reaching(runs, 0.95, 40) == f"{1 - 0.8 * 0.6:.0%}"
    assert reaching(runs, 0.95, 30) == "20%"
    assert reaching(runs[:-1], 0.95, 40) == "20%"
    assert reaching(runs[:3], 0.95, 40) == ""
    _, row = cells(luck({"LTH": runs}))
    # 3 of 10 runs leave a share of 60.7 % possible, with which 207 runs hardly miss.
    assert row == ["LTH", "95 %", "44", "30", "3 of 10", "2 of 5", "52%", "100%"]
    none = [r._replace(accuracy=0.5) for r in runs]
    assert reaching(none, 0.95, 44) == "none seen"
    # The rule of three: none of 10 leaves 26 % possible; of so few runs as a study has as small.
    assert effort_tables.at_most(none, 0.95, 44) == "100%"
    assert effort_tables.at_most(none, 0.95, 25) == ""


def test_sizes_at_equal_effort():
    """Three studies of nine recipes; the third recipe reaches 95 %, smaller in later studies."""
    runs = [
        result(Run("GMP", 16, keep, recipe, repeat), 0.96 if recipe == 2 and keep > 20 else 0.5)
        for recipe in range(9)
        for repeat in range(3)
        for keep in (20, 42 - repeat)
    ]
    assert sorted(s for s in effort_tables.sizes(runs, 0.95) if s) == [50, 51, 52]
    assert len(effort_tables.sizes(runs, 0.95)) == 27
    # Nine of 27 starts miss all three with a chance of 18 * 17 * 16 / (27 * 26 * 25), 28 %; they
    # include one of two with 56 %, so the median is that of the second.
    assert effort_tables.reach(runs, 0.95) == "72%"
    assert effort_tables.of_nine(runs, 0.95).startswith("51 (50 to ")
    assert effort_tables.best(runs, 0.95) == "50 (96.00%)"
    assert effort_tables.of_nine(runs, 0.99) == "-"
    assert effort_tables.reach(runs, 0.99) == f"at most {1 - 0.05 ** (9 / 27):.0%}"
    first = [r for r in runs if r.run.repeat == 0]
    assert effort_tables.of_nine(first, 0.95) == "52"
    assert effort_tables.of_nine(first[:4], 0.95) == ""
    header, row = cells(effort_tables.at_width({"GMP": runs}))
    assert header[:5] == ["method", "95 %", "paper, best of 9", "reached", "best of 27"]
    assert row[2:5] == ["-", "72%", "50 (96.00%)"]
    assert row[6] == "61"
    assert cells(effort_tables.repeats({"GMP": runs})) == [
        ["method", "study 1", "study 2", "study 3"],
        ["GMP", "52 / -", "51 / -", "50 / -"],
    ]


def test_widths_at_equal_effort():
    """Three studies of width 6, one of width 7, of which nothing is said here."""
    runs = [
        result(Run("GMP", width, 20 + repeat, recipe, repeat), 0.96)
        for width, repeats in ((6, 3), (7, 1))
        for recipe in range(9)
        for repeat in range(repeats)
    ]
    runs += [result(Run("SNIP", 7, 20, recipe, 0), 0.96) for recipe in range(9)]
    assert cells(effort_tables.by_width(runs)) == [
        ["method", "6, 95 %", "6, 99.5 %"],
        ["GMP", "30 (30 to 30), 100%", "-, at most 63%"],
    ]


def test_how_sure_one_width_is_before_another():
    """From width 6 always smaller than from 16, from 32 as small, at 99.5 % from 16 alone."""
    runs = [
        result(Run("GMP", width, keep, recipe, repeat), 0.999 if width == 16 else 0.96)
        for width, keep in ((6, 20), (16, 30), (32, 30))
        for recipe in range(9)
        for repeat in range(3)
    ]
    runs += [result(Run("SNIP", 6, 20, recipe, repeat), 0.5) for recipe in range(9)
             for repeat in range(3)]  # fmt: skip
    runs += [r._replace(run=r.run._replace(width=16)) for r in runs if r.run.method == "SNIP"]
    assert cells(effort_tables.between_widths(runs)) == [
        ["method", "6 before 16, 95 %", "6 before 16, 99.5 %", "16 before 32, 95 %",
         "16 before 32, 99.5 %"],
        ["GMP", "100.0%", "0.0%", "50.0%", "100.0%"],
    ]  # fmt: skip


def test_runs_as_small_as_the_paper_s_search():
    runs = [
        result(Run("LTH", 3, keep, 0, repeat), 0.96 if keep < 17 else 0.5)
        for keep in (14, 16, 18)
        for repeat in (0, 1)
    ]
    first, *_ = cells(bench_runs({"BENCH-95, width 3": runs}))[1:]
    # All four of those with at most 26 nonzeros.
    assert first == ["BENCH-95, width 3", "LTH", "95 %", "24 (96.00%)", "26", "4", "6",
                     "100.00% of 4"]  # fmt: skip
    runs += [result(Run("SNIP", 3, keep, 0, 0), share) for keep, share in ((15, 0.9), (17, 0.96))]
    _, again, others = cells(bench_runs({"BENCH-95, width 3": runs}))
    assert again == first
    assert others[1:] == ["*the others*", "95 %", "27 (96.00%)", "26", "0", "2", "95.00% of 1"]
    none = [r._replace(accuracy=0.9) for r in runs]
    # None of five leave 45 % possible.
    assert cells(bench_runs({"BENCH-95, width 3": none}))[1][1:] == [
        "*all of them*", "95 %", "-", "26", "0", "8", "45.07% of 5",
    ]  # fmt: skip


def test_columns_of_widths():
    small = [result(Run("GMP", 3, keep, 0, 0), accuracy) for keep, accuracy in ((9, 0.95), (8, 1))]
    wide = [result(Run("SNIP", 7, 9, 0, repeat), 0.9) for repeat in (0, 1)]
    assert cells(compact({"3": small, "7": wide})) == [
        ["method", "3", "7"],
        ["GMP", "18 / 18", ""],
        ["SNIP", "", "- / -"],
        ["*any*", "18 / 18", "- / -"],
        ["*best of*", "*1*", "*2*"],
    ]


def test_disconnected():
    runs = [
        RunResult(Run("SNIP", width, 20, recipe, 0), 30, effective, 1, 0.5, 1.0, 1.0)
        for width, found in ((16, (27, 24, 21)), (256, (1, 1, 15)))
        for recipe, effective in enumerate(found)
    ]
    header, *rows = cells(disconnected(runs, (16, 64, 256)))
    assert header == ["method", "width 16", "no path", "width 256", "no path"]
    assert ["SNIP", "20%", "0%", "97%", "67%"] in rows


def test_refreshing(tmp_path: Path):
    study = [result(Run("SNIP", 16, 55, recipe, 0), 0.5 + 0.05 * recipe) for recipe in range(6)]
    write_table(study, tmp_path / "gap-random.csv")
    (tmp_path / "gap-times.csv").write_text(
        "width,method,seconds,processor_seconds\n16,SNIP,20.1,11.6\n3,LTH,2.0,2.5\n"
    )
    known = gap_tables.tables(tmp_path)
    page = "A\n\n<!-- table: cost -->\nold\n<!-- end -->\nB\n<!-- table: times --><!-- end -->\n"
    filled = gap_tables.refreshed(page, known)
    assert filled.startswith("A\n\n<!-- table: cost -->\n\n| method |")
    assert "old" not in filled
    assert "| SNIP | 1.9e8 | 5.50e7 | -71.1% | 5.00e6 | 62.50% | 50.00% to 75.00% |" in filled
    assert "| dense | 1.5e9 | 1.52e9 | +1.3% | 8.42e9 |  |  |" in filled
    assert "| 3 | 2 |  |" in filled
    assert gap_tables.refreshed(filled, known) == filled
    with pytest.raises(
        ValueError, match=r"table must be one of smallest, width-16, .*, got 'other'"
    ):
        gap_tables.refreshed("<!-- table: other --> <!-- end -->", known)
