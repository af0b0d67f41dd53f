"""The study of real tasks end to end in small form, its choices by hand, and its page."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from pathlib import Path
from statistics import mean

import pytest
import real_clock
import real_depth_tables
import real_larger_tables
import real_methods
import real_study
import real_tables
from page_tables import refreshed
from real_choices import FITTING, NINE, at_cost, best_of, by_place, chosen_at, joined
from real_methods import Compared, Variant, by_depth
from real_rows import Row, append, read_rows
from real_study import jobs, too_dear
from real_tasks import STUDIED, RealTask, task_named
from real_trainings import eliminated, regrown, start_seed, trained
from real_verdict import choices, sparsest_within_error, verdict

import prunelimits as pl
from prunelimits.elimination import Elimination, Regrowth
from prunelimits.pruners import GMP, LTH
from prunelimits.training import Recipe

TASK = RealTask(
    "small", lambda _: pl.datasets.gaussians(200, classes=3), (6, 4), 2, 20, (6, 12), rows=150
)


def row(method: str, times: int, cost: float, choose: list[int], test: list[int]) -> Row:
    sizes = tuple(20 + n for n in range(len(test)))
    return Row("spam", 0, method, times, 0, 8, cost, sizes, sizes, tuple(choose), tuple(test),
               10, 10, 1.0)  # fmt: skip


def test_a_row_keeps_what_each_start_alone_comes_to():
    parts = TASK.parts(Path(), 1)
    assert [len(y) for _, y in parts] == [90, 30, 30]
    variant = Variant("GMP", GMP(rounds=3), 2, range(1, 4))
    rows = trained(TASK, parts, 1, variant)
    assert [(r.keep, r.first, len(r.test)) for r in rows] == [(6, 1, 3), (12, 1, 3)]
    start = pl.MLPEnsemble(TASK.widths(parts), seeds=[start_seed(1, 2)])
    alone = pl.fit(
        start, *parts.train, Recipe(epochs=4, batch_size=20), seed=1, pruner=GMP(rounds=3), keep=12
    )
    for part, right in ((parts.choose, rows[1].choose[1]), (parts.test, rows[1].test[1])):
        assert round(float(pl.evaluate(alone.ensemble, *part).accuracy) * 30) == right
    assert rows[1].nonzeros[1] == int(alone.ensemble.nonzeros())


def test_elimination_is_kept_by_either_count():
    quick = Recipe(epochs=1, batch_size=30)
    method = Elimination(
        networks=3, beam=2, tries=1, step=0.3, dense=quick, recovery=quick, evolved=0
    )
    rows = eliminated(TASK, TASK.parts(Path(), 0), 0, "Elimination of 3", method)
    assert {r.method for r in rows} == {"Elimination of 3", "Elimination of 3, weights"}
    for r in rows:
        if "weights" not in r.method:
            assert r.nonzeros[0] <= r.keep
        assert r.cost > 0
        assert 0 <= r.test[0] <= 30


@pytest.mark.slow
def test_a_regrowth_is_measured_by_rows_that_chose_nothing():
    quick = Recipe(epochs=1, batch_size=30)
    method = Regrowth(starts=3, beam=2, cycles=1, recovery=quick)
    parts = TASK.parts(Path(), 0)
    rows = regrown(TASK, parts, 0, TASK.budgets, "Regrowth", method)
    assert [(r.method, r.keep, r.choose_rows, r.test_rows) for r in rows] == [
        ("Regrowth", 6, 30, 30), ("Regrowth", 12, 30, 30),
    ]  # fmt: skip
    result = pl.elimination.regrow(
        *parts.train, replace(method, first=TASK.recipe(1), last=TASK.recipe(5)), keep=12,
        start=TASK.widths(parts), measure=parts.choose, seed=start_seed(0, 12),
    )  # fmt: skip
    right = (result.network.model(parts.test[0]).argmax(1) == parts.test[1]).sum()
    assert rows[1].test == (int(right),)
    assert (rows[1].cost, rows[1].nonzeros) == (result.work, (result.network.nonzeros,))


def test_a_study_goes_on_where_its_table_ends(tmp_path: Path):
    variants = (Variant("LTH", LTH(rounds=1), 1, range(2)), Variant("dense", None, 1, range(2)))
    compared = Compared(variants, {}, {})
    table = tmp_path / "table.csv"
    first, *others = jobs([TASK], 2, tmp_path, [], compared)
    assert len(others) == 3
    append(first(), table)
    left = list(jobs([TASK], 2, tmp_path, read_rows(table), compared))
    assert len(left) == 3
    for job in left:
        append(job(), table)
    rows = read_rows(table)
    assert not list(jobs([TASK], 2, tmp_path, rows, compared))
    assert [(r.split, r.method, r.keep) for r in rows] == [
        (0, "LTH", 6), (0, "LTH", 12), (0, "dense", 48),
        (1, "LTH", 6), (1, "LTH", 12), (1, "dense", 48),
    ]  # fmt: skip
    whole = table.read_text()
    table.write_text(whole[: -len("0.0\n") - 30])
    with pytest.raises(ValueError, match=r"table\.csv, line 7, is no row of a study: "):
        read_rows(table)
    table.write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="must have the columns task, split"):
        read_rows(table)


def test_rows_are_added_all_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    table = tmp_path / "table.csv"
    rows = [row("LTH", 1, 10.0, [5, 9], [4, 6]), row("SNIP", 1, 1.23456, [2], [0])]
    append(rows[:1], table)
    append(rows[1:], table)
    assert read_rows(table) == [rows[0], rows[1]._replace(cost=1.2346)]
    before = table.read_bytes()

    def full(*_: object):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("prunelimits.resuming.whole.os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        append(rows, table)
    assert table.read_bytes() == before


def test_a_shorter_regrowth_is_run_only_where_the_longer_ones_are_not_paid_for():
    quick = Regrowth(cycles=0)
    compared = Compared((), {}, {}, {"Regrowth, short": quick, "Regrowth, shortest": quick})

    def left(*rows: Row) -> list[tuple[object, ...]]:
        found = jobs([TASK], 1, Path(), [r._replace(task="small") for r in rows], compared)
        return [job.args[3:5] for job in found]  # pyright: ignore[reportFunctionMemberAccess]

    def at(keep: int, method: str, cost: float) -> Row:
        return row(method, 1, cost, [5], [5])._replace(keep=keep)

    units = [at(6, "LTH", 10.0), at(12, "LTH", 20.0)]
    # Thirty-two runs and a tenth over: 352 and 704.
    whole = [at(6, "Regrowth", 352.0), at(12, "Regrowth", 705.0)]
    assert left(*units, *whole) == [([12], "Regrowth, short"), ([12], "Regrowth, shortest")]
    assert left(*units, *whole, at(12, "Regrowth, short", 704.0)) == []
    short = at(12, "Regrowth, short", 800.0)
    assert left(*units, *whole, short) == [([12], "Regrowth, shortest")]
    assert left(*units, *whole, short, at(12, "Regrowth, shortest", 750.0)) == []
    assert left(*whole) == []


def test_a_cost_pays_for_so_many_starts_and_the_choosing_part_alone_decides():
    short = row("SNIP", 1, 2.0, [3, 5, 9, 1], [9, 8, 1, 10])
    long = row("SNIP", 5, 10.0, [6, 7], [2, 3])
    # Of all pairs, of all threes of the short starts; then of all, beside both of the long ones.
    for cost, n in ((4, 2), (7.9, 3), (100, 4)):
        chosen = at_cost([short, long], cost)
        assert chosen is not None
        best = [max(some) for some in combinations(zip(short.choose, short.test, strict=True), n)]
        assert chosen.choose == pytest.approx(mean(choose for choose, _ in best) / 10)
        assert chosen.test == pytest.approx(mean(test for _, test in best) / 10)
    assert at_cost([short], 1.9) is None
    only_long = at_cost([long], 20)
    assert only_long is not None
    assert (only_long.test, only_long.starts, only_long.nonzeros, only_long.spent) == (
        0.3,
        2,
        21,
        20,
    )
    # As good by the choosing part: the cheaper one. As good starts: half of each.
    even = at_cost([row("SNIP", 5, 1.0, [9], [4]), short], 100)
    assert even is not None
    assert even.test == 0.4
    tied = at_cost([row("SNIP", 1, 1.0, [9, 2, 9], [4, 1, 6])], 3)
    assert tied is not None
    assert (tied.test, tied.nonzeros) == (0.5, 21)


def test_starts_of_several_rows_are_joined_in_their_order():
    later = row("SNIP", 1, 4.0, [7], [6])._replace(first=2)
    (whole,) = joined([later, row("SNIP", 1, 1.0, [1, 2], [3, 4])])
    assert (whole.choose, whole.test, whole.cost) == ((1, 2, 7), (3, 4, 6), 2.0)


def test_all_methods_cost_what_lth_does_and_the_best_of_nine_is_chosen():
    rows = [
        row("LTH", 1, 10.0, [5, 9], [4, 6]),
        row("SNIP", 1, 1.0, [2] * 20 + [10], [0] * 20 + [10]),
        row("GMP until 0.3", 5, 3.0, [8, 8, 8, 9], [7, 7, 7, 9]),
        row("dense", 1, 30.0, [10], [10]),
    ]
    places = by_place(rows)
    ((place, methods),) = places.items()
    assert place == ("spam", 0, 8)
    once, twice = chosen_at(methods, 1), chosen_at(methods, 2)
    # LTH: either start. SNIP: the good one is among 11 of 21. GMP: the best is among three of four.
    assert {n: (c.starts, round(c.test, 9)) for n, c in once.items()} == {
        "LTH": (1, 0.5), "SNIP": (11, round(11 / 21, 9)), "GMP until 0.3": (3, 0.85),
    }  # fmt: skip
    assert {n: (c.starts, round(c.test, 9)) for n, c in twice.items()} == {
        "LTH": (2, 0.6), "SNIP": (21, 1.0), "GMP until 0.3": (4, 0.9),
    }  # fmt: skip
    assert [best_of(c, NINE).method for c in (once, twice)] == ["LTH", "SNIP"]
    assert not real_tables.differences(places, ["GMP until 0.3"], 1)
    for name in set(NINE) - {"LTH", "SNIP"}:
        methods[name] = [row(name, 1, 10.0, [0], [10])]
    assert real_tables.differences(places, ["GMP until 0.3"], 1)["spam"][1] == [pytest.approx(0.35)]


def test_the_longest_regrowth_that_is_paid_for_stands_for_it():
    rows = [
        row("LTH", 1, 10.0, [5], [4]),
        row("Regrowth", 1, 300.0, [9], [7]),
        row("Regrowth, short", 1, 100.0, [10], [8]),
        row("Regrowth, shortest", 1, 60.0, [7], [9]),
    ]
    ((_, methods),) = by_place(rows).items()
    for times, test in ((5, None), (6, 0.9), (10, 0.8), (27, 0.8), (28, 0.7)):
        chosen = chosen_at(methods, times).get(FITTING)
        assert (None if chosen is None else chosen.test) == test


def test_the_criterion_is_of_the_highest_medians_on_the_test_rows():
    def at(keep: int, method: str, tests: list[int]) -> list[Row]:
        return [row(method, 1, 10.0, [5], [n])._replace(split=split, keep=keep)
                for split, n in enumerate(tests)]  # fmt: skip

    rows: list[Row] = []
    for keep in (4, 8, 16, 32):
        for name in NINE:
            best = name == "RigL" and keep != 16
            rows += at(keep, name, [6, 8, 7] if best else [5, 5, 9])
    rows += at(4, "Regrowth", [9, 8, 1]) + at(8, "Regrowth", [4, 6, 10])
    rows += at(16, "Regrowth", [5, 5, 5])
    lines = verdict(choices(by_place(rows), 1), ["spam"]).splitlines()
    assert lines[2:] == ["| spam | +10.0 (RigL) | -10.0 (RigL) | alike |  | 1 of 3 |"]
    # On half of the splits, beside the nine on these; on one of three it is not there.
    fewer = [
        r
        for r in rows
        if r.method != "Regrowth" or (r.keep, r.split) not in {(4, 2), (8, 0), (8, 1)}
    ]
    lines = verdict(choices(by_place(fewer), 1), ["spam"]).splitlines()
    assert lines[2:] == ["| spam | +15.0 (RigL; 2 of 3 splits) |  | alike |  | 1 of 3 |"]


def test_a_task_of_another_depth_has_as_many_hidden_layers_and_its_own_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    deep = [TASK.of_depth(depth) for depth in (1, 2, 4)]
    assert [task.hidden for task in deep] == [(6,), (6, 4), (6, 4, 4, 4)]
    assert {task.budgets for task in deep} == {TASK.budgets}
    assert {name for name, *_ in (v.key() for v in by_depth().variants)} == {
        "dense", *NINE, "GMP until 0.15"
    }  # fmt: skip
    compared = Compared((Variant("dense", None, 1, range(1)),), {}, {})
    monkeypatch.setattr(real_study, "by_depth", lambda: compared)
    monkeypatch.setattr(real_study, "task_named", lambda _: TASK)
    table = tmp_path / "depth.csv"
    command = ["x", str(table), "--packages", str(tmp_path), "--tasks", "small", "--splits", "1"]
    monkeypatch.setattr("sys.argv", [*command, "--hidden-layers", "1", "4"])
    real_study.main()
    assert [(r.task, r.method, r.keep) for r in read_rows(table)] == [
        ("small, 1 hidden", "dense", 30), ("small, 4 hidden", "dense", 80),
    ]  # fmt: skip


def test_the_sparsest_within_an_error_of_the_best_is_chosen_by_no_test_row():
    def at(keep: int, choose: int, test: int) -> list[Row]:
        return [row(name, 1, 10.0, [choose], [test])._replace(keep=keep, choose_rows=100)
                for name in NINE]  # fmt: skip

    # A standard error of 84 of 100 is 3.67: 80 is too far below, 81 is not.
    rows = [*at(4, 80, 9), *at(8, 81, 2), *at(16, 84, 8), *at(32, 83, 10)]
    places = by_place(rows)
    found = sparsest_within_error(choices(places, 1), places)
    tests = {keep: round(10 * there["LTH"].test) for (_, _, keep), there in found.items()}
    # 80 is within an error of 81; from 16 weights on the best is 84.
    assert tests == {4: 9, 8: 9, 16: 2, 32: 2}
    late = [r for r in rows if (r.method, r.keep) != ("SNIP", 16)]
    assert set(choices(by_place(late), 1)) == {("spam", 0, 4), ("spam", 0, 8), ("spam", 0, 32)}


def test_seconds_and_starts_are_told_as_they_were(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(real_clock, "STARTS", (1, 2))
    monkeypatch.setattr(real_clock, "RANKS", ("few", "many"))
    monkeypatch.setattr(real_clock, "TASKS", (TASK,))
    rows: list[Row] = []
    for keep, seconds in ((6, 12.0), (12, 20.0)):
        mine = [
            row("LTH", 1, 10.0, [5, 9], [4, 6])._replace(seconds=4.0),
            row("GMP until 0.15", 5, 3.0, [8, 7], [7, 9]),
            row("Regrowth", 1, 100.0, [8], [8])._replace(seconds=seconds),
        ]
        rows += [r._replace(task="small", keep=keep) for r in mine]
    places = by_place(rows)
    # Four seconds for two starts at two budgets, so 32 for thirty-two starts at one.
    told = real_clock.clock(places).splitlines()[2:]
    assert told == [
        "| 32 runs of LTH | 32.0 s | 32.0 s |",
        "| Regrowth that fits | 12 s | 20 s |",
        "| times as long | 0 | 1 |",
    ]
    told = real_clock.more_starts(places).splitlines()[2:]
    assert told[0] == "| LTH | few | 50.0% | 60.0% |"
    assert told[2] == "| GMP until 0.15 | few | 80.0% | 70.0% |"
    assert told[4] == "| Regrowth that fits, one run | few | 80.0% |  |"


@pytest.mark.slow
def test_digits_go_from_their_package_to_the_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A real task end to end: every method, its table, and the page's tables of it."""
    quick = Recipe(epochs=1, batch_size=32)
    monkeypatch.setattr(real_methods, "FEW", 1)
    monkeypatch.setattr(real_methods, "MANY", 2)
    elimination = Elimination(
        networks=2, beam=2, tries=1, step=0.4, evolved=0, dense=quick, recovery=quick
    )
    small = Regrowth(starts=2, beam=2, cycles=1, finalists=2, recovery=quick)
    compared = replace(
        real_methods.everything(),
        eliminations={"Elimination of 8": elimination},
        regrowths={"Regrowth": small},
        shorter={},
    )
    monkeypatch.setattr(real_study, "everything", lambda: compared)
    digits = replace(task_named("digits"), epochs=2, budgets=(100, 200, 400, 800))
    monkeypatch.setattr(real_study, "task_named", lambda _: digits)
    monkeypatch.setattr(real_tables, "TASKS", (digits,))
    path = tmp_path / "table.csv"
    command = ["x", str(path), "--packages", str(tmp_path), "--tasks", "digits", "--splits", "2"]
    monkeypatch.setattr("sys.argv", command)
    real_study.main()
    rows = read_rows(path)
    assert {r.method for r in rows} >= {"dense", *NINE, "Regrowth", "Elimination of 8"}
    dense = [r.test[0] / r.test_rows for r in rows if r.method == "dense"]
    assert min(dense) > 0.8
    best = max(r.test[0] / r.test_rows for r in rows if (r.method, r.keep) == ("LTH", 800))
    assert best > 0.5
    known = real_tables.tables(path)
    assert known["tasks"]().count("| digits | 2720 | 2 | 32 | 359 | 2 |") == 1
    for name in ("schedules", "paired-1", "paired-32", "cost-1", "cost-32"):
        assert "digits" in known[name]()
    assert "| LTH | " in known["counting"]()
    done = path.read_bytes()
    real_study.main()
    assert path.read_bytes() == done


@pytest.mark.slow
@pytest.mark.parametrize("which", ["two layers", "other depths", "larger budgets"])
def test_the_kept_table_is_what_the_command_leaves(which: str):
    """Nothing is left to train of the splits it has, and no row is of anything else."""
    path, compared, tasks = {
        "two layers": (real_tables.RESULTS, real_methods.everything(), list(STUDIED)),
        "other depths": (
            real_depth_tables.RESULTS,
            real_methods.by_depth(),
            [task.of_depth(depth) for task in STUDIED for depth in (1, 3, 4)],
        ),
        "larger budgets": (
            real_larger_tables.RESULTS,
            real_methods.with_more_weights(),
            [task.of_more_weights() for task in STUDIED if task.larger],
        ),
    }[which]
    rows = read_rows(path)
    splits = {task.name: {r.split for r in rows if r.task == task.name} for task in tasks}
    assert {r.task for r in rows} <= set(splits)
    for task in tasks:
        there = splits[task.name]
        assert there == set(range(len(there)))
        assert not list(jobs([task], len(there), Path(), rows, compared))
    variants = {variant.key() for variant in compared.variants}
    eliminations = {f"{n}{more}" for n in compared.eliminations for more in ("", ", weights")}
    names = {*compared.regrowths, *compared.shorter, *eliminations}
    for r in rows:
        assert r.method in names or (r.method, r.times, r.first) in variants
        if r.method in compared.shorter:
            without = [o for o in rows if o.method != r.method or o.keep != r.keep]
            mine = [o for o in without if (o.task, o.split) == (r.task, r.split)]
            longer = list(compared.shorter)[: list(compared.shorter).index(r.method)]
            mine = [o for o in mine if o.method not in compared.shorter or o.method in longer]
            assert r.keep in too_dear(task_named(r.task), r.split, r.method, mine)


@pytest.mark.slow
def test_the_page_holds_what_the_results_say():
    text = real_tables.PAGE.read_text()
    known = real_tables.tables(real_tables.RESULTS)
    assert "<!-- table: " in text
    assert refreshed(text, known) == text, "run python benchmarks/real_tables.py"
