"""Every small network from many starts in rungs, against plain training and plain loops."""

from __future__ import annotations

import csv
import math
from dataclasses import replace
from pathlib import Path

import exhaust_networks
import exhausted_tables
import pytest
import torch
from exhaust_networks import (
    Attempt,
    Way,
    add_rows,
    at_target,
    every_network,
    measured,
    of_file,
)
from kept_rows import read_rows
from start_rungs import Rung, best, climb

import prunelimits as pl
from prunelimits.enumeration import ModelMasks, every_widths
from prunelimits.masks import unflatten

ROOT = Path(__file__).parent.parent.parent
FEW = pl.Recipe(epochs=4, batch_size=16)
SMALL_RUNGS = (
    Rung(FEW, keep=6, samples=160, until=0.25, judged=40),
    Rung(FEW, keep=3, samples=160),
    Rung(pl.Recipe(epochs=1, batch_size=50), keep=2),
)
SMALL = Way(SMALL_RUNGS, starts=12, promising=0.6)


@pytest.fixture
def data() -> tuple[torch.Tensor, torch.Tensor]:
    return pl.datasets.cubist_spiral(400)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, data: tuple[torch.Tensor, torch.Tensor]) -> None:
    """The study itself with little data, few starts and short rungs."""

    def as_small(attempts, x, y, way):
        return measured(attempts, x, y, replace(way, rungs=SMALL_RUNGS, starts=12))

    monkeypatch.setattr(exhaust_networks, "measured", as_small)
    monkeypatch.setattr(pl.datasets, "cubist_spiral", lambda: data)


def three_networks(starts: int) -> pl.MLPEnsemble:
    space = ModelMasks((2, 3, 1, 3, 1), symmetry="network", max_nonzeros=22)
    rows = space.take([0, 4, 6]).repeat_interleave(starts, 0)
    masks = unflatten(rows, space.shapes)
    return pl.MLPEnsemble(space.widths, 3 * starts, seed=1, masks=masks)


def same(ours: pl.MLPEnsemble, theirs: pl.MLPEnsemble) -> bool:
    return all(
        torch.equal(mine[name], its[name])
        for mine, its in ((ours.params, theirs.params), (ours.momentum, theirs.momentum))
        for name in mine
    )


@pytest.mark.parametrize("stops", [(), (0.3,), (0.1, 0.5, 0.7)])
def test_rungs_that_keep_all_are_the_plain_training(stops: tuple[float, ...], data):
    """Wherever they stop on the way, with all samples and every start kept."""
    ensemble = three_networks(5)
    rungs = [Rung(FEW, keep=5, until=stop) for stop in (*stops, 1.0)]
    last = climb(ensemble, *data, rungs, starts=5, seed=7)[-1]
    plain = pl.fit(ensemble, *data, FEW, seed=7)
    order = [
        next(i for i in range(15) if same(plain.ensemble[i : i + 1], last.ensemble[j : j + 1]))
        for j in range(15)
    ]
    assert sorted(order) == list(range(15))
    assert torch.equal(last.accuracy, plain.accuracy[order])
    for network in range(3):
        own = slice(5 * network, 5 * network + 5)
        assert sorted(order[own]) == list(range(15))[own]
        assert last.accuracy[own].tolist() == sorted(plain.accuracy[own].tolist(), reverse=True)


def test_rungs_are_what_plain_calls_would_do(data):
    """Halving by hand: fit to the rung, choose by a sort, fit on, each on its own samples."""
    x, y = data
    starts = 8
    ensemble = three_networks(starts)
    first, second, third = climb(ensemble, x, y, SMALL_RUNGS, starts=starts, seed=3)
    some = torch.tensor(pl.training.plan.sample_order(len(x), 3, -1)[:160].tolist())
    stop = round(0.25 * 4 * (160 // 16))

    def chosen(score: torch.Tensor, left: int, keep: int) -> list[int]:
        found: list[int] = []
        for start in range(0, len(score), left):
            found += sorted(range(start, start + left), key=lambda i: -float(score[i]))[:keep]
        return found

    begun = pl.fit(ensemble, x[some], y[some], FEW, seed=3, stop=stop)
    judged = pl.training.evaluate(begun.ensemble, x[some[:40]], y[some[:40]])
    kept = torch.tensor(chosen(-judged.loss, starts, 6))
    assert same(first.ensemble, begun.ensemble[kept])
    on = pl.fit(begun.ensemble[kept], x[some], y[some], FEW, seed=3, start=stop)
    kept = torch.tensor(chosen(on.accuracy, 6, 3))
    assert same(second.ensemble, on.ensemble[kept])
    assert torch.equal(second.accuracy, on.accuracy[kept])
    end = pl.fit(on.ensemble[kept], x, y, SMALL_RUNGS[2].recipe, seed=3)
    kept = torch.tensor(chosen(end.accuracy, 3, 2))
    assert same(third.ensemble, end.ensemble[kept])


def test_the_best_starts_of_each_network():
    score = torch.tensor([0.1, 0.5, torch.nan, 0.3, 0.2, -torch.inf, torch.nan, -1.0])
    assert best(score, 4, 2).tolist() == [1, 3, 4, 7]
    assert best(score, 8, 3).tolist() == [1, 3, 4]
    assert best(score, 1, 1).tolist() == list(range(8))


def test_what_becomes_of_a_network_depends_on_no_other(data):
    space = every_widths(20)[11]
    attempts = [Attempt(space, rank) for rank in (0, 3, 5)]
    together = list(measured(attempts, *data, SMALL))
    alone = [row for one in attempts for row in measured([one], *data, SMALL)]
    assert together == alone
    (again,) = measured([Attempt(space, 3, 1)], *data, SMALL)
    assert again[:5] == ("2 2 3 1 1", 3, 17, 1, 12)
    assert again[5:] != alone[1][5:]


def test_evolution_takes_the_promising_only_and_makes_none_worse(data):
    attempts = [Attempt(every_widths(20)[11], rank) for rank in (0, 3, 5)]
    never = list(measured(attempts, *data, replace(SMALL, promising=1.1)))
    trained = sorted(float(row[-2]) for row in never)
    assert trained[0] < trained[-1]
    rows = list(measured(attempts, *data, replace(SMALL, promising=trained[-1] - 1e-4)))
    assert [row[:-1] for row in rows] == [row[:-1] for row in never]
    assert all(row[-1] == row[-2] for row in never)
    for row in rows:
        before, after = float(row[-2]), float(row[-1])
        assert (after > before) == (before >= trained[-1])
    assert list(measured(attempts, *data, replace(SMALL, promising=0.0, enough=0.0))) == never
    below = list(measured(attempts, *data, replace(SMALL, promising=0.0, enough=trained[-1])))
    assert all(float(r[-1]) > float(r[-2]) for r in below if float(r[-2]) < trained[-1])


@pytest.mark.parametrize(("layers", "count"), [(2, 657), (3, 560)])
def test_every_network_comes_once_the_largest_first(layers: int, count: int):
    networks = list(every_network(20, layers))
    keys = [network.key for network in networks]
    assert {len(network.space.widths) for network in networks} == {layers + 2}
    spaces = every_widths(20, hidden_layers=layers)
    assert len(set(keys)) == len(keys) == sum(space.count for space in spaces) == count
    sizes = [int(network.space.nonzeros([network.rank])[0]) for network in networks]
    assert sizes == sorted(sizes, reverse=True)


def test_a_table_goes_on_where_it_was(tmp_path: Path, small: None):
    networks = [one for one in every_network(16) if one.space.widths[1] == 2]
    whole, part = tmp_path / "whole.csv", tmp_path / "part.csv"
    add_rows(whole, networks, Way(promising=0.95))
    add_rows(part, networks[:5], Way(promising=0.95))
    add_rows(part, networks, Way(promising=0.95))
    add_rows(part, networks, Way(promising=0.95))
    assert len(read_rows(whole)) == len(networks)
    assert sorted(whole.read_text().splitlines()) == sorted(part.read_text().splitlines())


def test_networks_of_the_same_widths_may_come_from_several_spaces(tmp_path: Path, small: None):
    """A file's network is of a space as large as itself, with ranks that a smaller one lacks."""
    spaces = [ModelMasks((2, 2, 2, 1, 1), symmetry="network", max_nonzeros=n) for n in (14, 17)]
    ours = [Attempt(spaces[0], 2), Attempt(spaces[1], spaces[1].count - 1)]
    add_rows(tmp_path / "table.csv", ours, Way(promising=1.1))
    assert [row["rank"] for row in read_rows(tmp_path / "table.csv")] == ["2", "14"]


def test_networks_at_a_target(tmp_path: Path):
    spaces = every_widths(15)
    table = tmp_path / "table.csv"
    with table.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(exhaust_networks.HEADER)
        writer.writerow(("2 2 2 1 1", 3, 14, 0, 12, "0.9", "0.95", "0.95000"))
        writer.writerow(("2 2 2 1 1", 4, 14, 0, 12, "0.96", "0.94", "0.94999"))
    assert [one.key for one in at_target(table, spaces, 0.95)] == [("2 2 2 1 1", 3, 0)]


def test_networks_of_files_have_the_biases_of_the_rule():
    path = ROOT / "examples" / "networks" / "cubist-spiral-995-23-with-biases-26.pt"
    network = of_file(path)
    assert network.key == ("2 4 1 3 1", 11, 0)
    _, masks = pl.load(path)
    row = network.space.take([network.rank])
    ours = unflatten(row, network.space.shapes)
    for name, mask in masks.items():
        if name.endswith("weight"):
            assert int(ours[name].sum()) == int(mask.sum())
            rule = ours[name][0].any(1)
            assert torch.equal(ours[name.replace("weight", "bias")][0], rule)
    # The network itself does without three of the biases.
    assert int(row.sum()) == 26
    assert sum(int(mask.sum()) for mask in masks.values()) == 23


def row(widths: str, rank: int, nonzeros: int, attempt: int, *accuracies: float) -> str:
    return ",".join(map(str, (widths, rank, nonzeros, attempt, 4096, *accuracies)))


@pytest.fixture
def tables(tmp_path: Path) -> tuple[Path, Path]:
    """Two networks of 22 nonzeros at 95 %, tried again eight times, and others."""
    header = ",".join(exhaust_networks.HEADER)
    table, again = tmp_path / "table.csv", tmp_path / "again.csv"
    table.write_text(
        "\n".join(
            [
                header,
                row("2 3 1 3 1", 5, 22, 0, 0.94, 0.945, 0.951),
                row("2 3 1 3 1", 6, 22, 0, 0.9, 0.96, 0.97),
                row("2 3 2 2 1", 9, 22, 0, 0.8, 0.81, 0.82),
                row("2 3 2 2 1", 10, 23, 0, 0.96, 0.94, 0.949),
            ]
        )
    )
    lines = [header]
    for attempt in range(1, 9):
        lines.append(row("2 3 1 3 1", 6, 22, attempt, 0.9, 0.95, 0.96))
        found = 0.95 if attempt > 2 else 0.9
        lines.append(row("2 3 1 3 1", 5, 22, attempt, 0.9, 0.9, found))
        lines.append(row("2 4 1 3 1", 11, 26, attempt, 0.9, 0.96, 0.9951 if attempt == 8 else 0.97))
    again.write_text("\n".join(lines))
    return table, again


def test_what_small_networks_reach(tables: tuple[Path, Path]):
    table, again = tables
    assert exhausted_tables.by_size(table).splitlines()[2:] == [
        "| 22 | 3 | 4,096 | 2 | 0 | 97.00%, (2, 3, 1, 3, 1), rank 6 | 95.10%, 82.00% |",
        "| 23 | 1 | 4,096 | 1 | 0 | 96.00%, (2, 3, 2, 2, 1), rank 10 |  |",
    ]
    together = exhausted_tables.by_size(table, 23).splitlines()[2:]
    assert together == [
        "| up to 23 | 4 | 4,096 | 3 | 0 | 97.00%, (2, 3, 1, 3, 1), rank 6 | 96.00%, 95.10% |"
    ]
    lines = exhausted_tables.found_again({again: 0.95}).splitlines()[2:]
    # None of eight leaves 37 % possible: 0.025 ** (1 / 8) is 0.63.
    assert lines == [
        "| (2, 3, 1, 3, 1), rank 5 | 22 | 95 % | 4,096 | 6 of 8 | 25% (3% to 65%) | 95.00% |",
        "| (2, 3, 1, 3, 1), rank 6 | 22 | 95 % | 4,096 | 8 of 8 | 0% (0% to 37%) | 96.00% |",
        "| (2, 4, 1, 3, 1), rank 11 | 26 | 95 % | 4,096 | 8 of 8 | 0% (0% to 37%) | 99.51% |",
    ]
    last = exhausted_tables.found_again({again: 0.995}).splitlines()[-1]
    assert last.endswith("| 26 | 99.5 % | 4,096 | 1 of 8 | 88% (47% to 100%) | 99.51% |")


def test_how_many_networks_were_missed(tables: tuple[Path, Path]):
    table, again = tables
    known = {("2 3 1 3 1", "5"), ("2 3 1 3 1", "6")}
    expected, most = exhausted_tables.missed(again, known)
    assert expected == pytest.approx(2 / 6)

    def at_least(hits: int, tries: int, chance: float) -> float:
        return sum(
            math.comb(tries, k) * chance**k * (1 - chance) ** (tries - k)
            for k in range(hits, tries + 1)
        )

    # The lower limits are the chances that would give so many hits once in forty times.
    odds = 0.0
    for hits in (6, 8):
        low, high = 0.0, 1.0
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if at_least(hits, 8, middle) < 0.025 else (low, middle)
        odds += (1 - low) / low
    assert most == pytest.approx(odds)
    assert exhausted_tables.missed(again, {("2 4 1 3 1", "11")}, 0.999)[0] == math.inf
    assert exhausted_tables.chance_of_a_miss(table, again).splitlines()[2:] == [
        f"| 22 | 2 | 0.3 | {most:.1f} |",
        "| 23 | 1 | not tried | not tried |",
    ]


def test_two_studies_of_the_same_networks(tables: tuple[Path, Path], tmp_path: Path):
    table, _ = tables
    plain = tmp_path / "plain.csv"
    plain.write_text(
        "widths,rank,nonzeros,early,trained,evolved\n"
        "2 3 1 3 1,5,22,0.8,0.8,0.85\n"
        "2 3 1 3 1,6,22,0.8,0.8,0.96\n"
        "2 3 2 2 1,9,22,0.8,0.8,0.85\n"
        "2 9 9 9 1,9,22,0.8,0.8,0.99\n"
    )
    assert exhausted_tables.beside_plain(plain, table).splitlines()[2:] == [
        "| 80% | 3 | 3 | 3 | 3 |",
        "| 85% | 3 | 2 | 2 | 3 |",
        "| 90% | 1 | 2 | 1 | 2 |",
        "| 95% | 1 | 2 | 1 | 2 |",
    ]


def test_networks_with_free_biases_are_parts_of_networks_by_the_rule():
    """Of so many weights and biases none has more nonzeros by the rule, against all that are."""
    spaces = every_widths(25)
    for parameters in range(6, 15):
        sizes = [
            nonzeros
            for space in spaces
            for nonzeros in space.counts_by_nonzeros()
            if nonzeros - sum(space.widths[1:]) <= parameters
        ]
        assert exhausted_tables.most_by_rule(parameters) == max(sizes)
    # What docs/closing-the-gap.md says.
    assert exhausted_tables.most_by_rule(11) == 20
    assert exhausted_tables.most_by_rule(12) == 22
    assert exhausted_tables.most_by_rule(14) == 25
    assert exhausted_tables.most_by_rule(15) > 25


@pytest.mark.parametrize(
    ("name", "most", "layers", "count"),
    [("exhausted-networks", 25, 3, 11_621), ("exhausted-two-layers", 24, 2, 4_716)],
)
def test_the_kept_table_holds_every_network(name: str, most: int, layers: int, count: int):
    """Each once, from as many starts as the page says."""
    table = read_rows(ROOT / "docs" / "results" / f"{name}.csv")
    assert {(r["widths"], int(r["rank"]), int(r["attempt"])) for r in table} == {
        network.key for network in every_network(most, layers)
    }
    assert len(table) == count
    assert {row["starts"] for row in table} == {"4096"}
