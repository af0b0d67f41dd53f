"""Tables of elimination from kept rows, and the rows themselves."""

from __future__ import annotations

import argparse
from pathlib import Path

import elimination_tables
import pytest
from elimination_study import study
from kept_rows import add_rows, read_rows

from prunelimits.elimination import Elimination

Row = dict[str, str]


def cells(table: str) -> list[list[str]]:
    header, _, *rows = (line[2:-2].split(" | ") for line in table.splitlines())
    return [header, *rows]


def run(study: str, seed: int, at_95: int | str, at_995: int | str, work: float = 1.0) -> Row:
    row: Row = {"study": study, "seed": str(seed)}
    for target, size in (("95", at_95), ("995", at_995)):
        row[f"nonzeros_{target}"] = str(size)
        row[f"with_biases_{target}"] = str(size + 4) if isinstance(size, int) else ""
        row[f"accuracy_{target}"] = "0.9612" if size else ""
        row[f"ties_{target}"] = str(1_000 * seed) if size else ""
    return row | {"passes": str(1_000 + seed), "seconds": "9", "work": str(work)}


def test_rows_are_added_to_a_file_of_the_same_columns(tmp_path: Path):
    path = tmp_path / "rows.csv"
    assert read_rows(path) == []
    assert read_rows(None) == []
    add_rows(path, [{"a": 1, "b": "x y"}])
    add_rows(path, [{"a": 2, "b": ""}])
    add_rows(None, [{"a": 3}])
    assert read_rows(path) == [{"a": "1", "b": "x y"}, {"a": "2", "b": ""}]
    with pytest.raises(ValueError, match=r"must have the columns \['a', 'c'\], got \['a', 'b'\]"):
        add_rows(path, [{"a": 1, "c": 2}])


def arguments(**changed: object) -> argparse.Namespace:
    fitting = Elimination().recipes(49_982)
    own: dict[str, object] = {
        "target": 0.95,
        "widths": (2, 16, 16, 16, 1),
        "biases": "free",
        "dense_epochs": fitting.dense.epochs,
        "recovery_epochs": fitting.recovery.epochs,
        "change": [],
        "one": False,
    }
    return argparse.Namespace(**(own | changed))


def test_a_study_is_named_by_the_options_that_decide_its_outcome():
    assert study(arguments()) == elimination_tables.WIDTH_16
    quarter = ["networks=64", "evolved=0", "beam=24"]
    assert study(arguments(change=quarter)) == elimination_tables.QUARTER
    changed = study(arguments(change=[*quarter, "tries=3"], recovery_epochs=7))
    assert changed == (
        "0.95 --widths 2 16 16 16 1 --recovery-epochs 7 "
        "--change beam=24 evolved=0 networks=64 tries=3"
    )
    assert study(arguments(biases="outgoing", one=True)).endswith("--biases outgoing --one")


def test_seed_by_seed():
    rows = [run("s", 0, 18, 23), run("s", 1, 19, 24), run("s", 2, 18, "")]
    header, first, second, third, middle = cells(elimination_tables.seed_by_seed(rows))
    assert len({len(row) for row in (header, first, second, third, middle)}) == 1
    assert first == ["0", "18", "22", "96.12%", "none", "23", "27", "96.12%", "none", "1,000"]
    assert second[4] == "1,000"
    assert third[5:9] == ["-"] * 4
    # One of three reaches nothing at the second target, which counts as larger than any size.
    assert middle == ["median", *["**18**", "**22**", "", ""], *["**24**", "**28**", "", ""],
                      "1,001"]  # fmt: skip
    _, *_, middle = cells(elimination_tables.seed_by_seed(rows[:2]))
    assert middle[1] == "**18.5**"


def test_wider_networks_have_a_median_each():
    rows = [run("0.95 --widths 2 64 64 64 1", seed, 18 + seed, 25) for seed in (2, 0, 1)]
    table = cells(elimination_tables.wider([*rows, run("0.95 --widths 2 9 1", 0, 3, 4)]))
    assert [row[0] for row in table[1:]] == [f"64, {s}" for s in ("seed 0", "seed 1", "seed 2")] + [
        "64, median"
    ]
    assert table[2] == ["64, seed 1", "19 (23)", "25 (29)", "1,001", "9"]
    assert table[4][1:3] == ["**19** (23)", "**25** (29)"]


def test_choices_stand_beside_the_method_as_it_is_on_the_same_seeds():
    base, other = elimination_tables.QUARTER, f"{elimination_tables.QUARTER} tries=3"
    rows = [run(base, 0, 20, 30, 4.0), run(base, 1, 19, 29, 2.0), run(base, 2, 22, 31, 8.0)]
    rows += [run(other, 1, 21, 33, 1.0), run(other, 0, 20, 31, 1.0), run("0.95 --x", 0, 1, 2)]
    header, as_is, few = cells(elimination_tables.choices(rows))
    assert len(header) == len(as_is) == len(few)
    assert as_is == ["as it is", "20 19 22", "30 29 31", "", "", "1.0"]
    # Of the two seeds that it has, a third of the work; 0 and 2 more, and 1 and 4, with the
    # interval of two values: Student's t of one degree of freedom is 12.706.
    assert few == [
        "`tries=3`", "20 21", "31 33", "+1.0 (-11.7 to +13.7)", "+2.5 (-16.6 to +21.6)", "0.3",
    ]  # fmt: skip
    assert cells(elimination_tables.choices(rows[3:])) == [header]


def test_a_choice_is_called_by_all_that_it_changes():
    # The 2 is among the widths as well.
    quarter = elimination_tables.QUARTER
    changed = quarter.replace(" --change", " --recovery-epochs 2 --change")
    rows = [run(name, 0, 18, 23) for name in (quarter, changed)]
    assert cells(elimination_tables.choices(rows))[-1][0] == "`--recovery-epochs 2`"


def test_runs_without_evolution_are_counted_by_where_they_end():
    longer, waist = (elimination_tables.UNEVOLVED[place] for place in (1, 2))
    rows = [run(longer, seed, size, 27) for seed, size in enumerate((19, 18, 19, ""))]
    rows += [run(waist, seed, 18, "") for seed in range(3)] + [run("0.95 --x", 0, 1, 2)]
    _, first, second = cells(elimination_tables.without_evolution(rows))
    assert first == ["`--recovery-epochs 20 --change evolved=0`", "4",
                     "18 in 1, 19 in 2, - in 1", "27 in 4", "1"]  # fmt: skip
    assert second[0].startswith("`--widths 2 4 1 4 1 ")
    assert second[1:4] == ["3", "18 in 3", "- in 3"]
    # They are no runs of the method from a waist.
    assert len(cells(elimination_tables.waist(rows))) == 1


def test_variants_of_the_method_have_a_row_each():
    name = elimination_tables.WIDTH_16
    rows = [run(name, seed, 18 + seed, 24) for seed in (2, 0, 1)]
    rows += [run(f"{name} --biases outgoing", 0, 22, ""), run(f"{name} --one", 0, 1, 2)]
    assert cells(elimination_tables.variants(rows))[1:] == [
        ["as it is", "18 19 20", "19", "22 23 24", "24 24 24", "24", "28 28 28"],
        ["by the paper's bias rule (`--biases outgoing`)", "22", "22", "26", "-", "-", "-"],
    ]


def test_elimination_beside_the_paper(tmp_path: Path):
    for name in ("95-19-margin-with-biases-22", "95-18-margin-with-biases-22",
                 "995-24-margin-with-biases-28", "995-23-with-biases-28"):  # fmt: skip
        (tmp_path / f"cubist-spiral-{name}.pt").touch()
    name = elimination_tables.WIDTH_16
    # Ties are a thousand times the seed.
    rows = [run(name, 0, 19, 25), run(name, 1, 18, 24), run(f"{name} --biases outgoing", 0, 20, 27)]
    table = elimination_tables.beside(rows, tmp_path, {"95": 13, "995": 14})
    assert [row[1:] for row in cells(table)[1:]] == [
        ["18", "24"],
        ["19", "25"],
        ["18", "24"],
        ["24", "31"],
        ["at least 13", "at least 14"],
        ["30", "45"],
        ["26", "38"],
        ["44", "61"],
    ]
    # What has not been run has no row.
    assert len(cells(elimination_tables.beside([], tmp_path, {"95": 13, "995": 14}))) == 6


def test_medians_of_splits():
    rows = [
        {"data": "x", "split": str(split), "budget": str(budget), "method": name, "accuracy": value}
        for split, values in enumerate((("0.9", "0.8", "0.7"), ("0.8", "0.9", "0.5")))
        for (name, budget), value in zip(
            (("dense", 1057), ("elimination", 10), ("LTH", 10)), values, strict=True
        )
    ]
    assert cells(elimination_tables.data(rows, "x")) == [
        ["nonzeros at most (2 splits)", "elimination", "LTH"],
        ["1,057 (dense)", "85.0%", ""],
        ["10", "85.0%", "60.0%"],
    ]
    assert cells(elimination_tables.data(rows, "y"))[1:] == []
