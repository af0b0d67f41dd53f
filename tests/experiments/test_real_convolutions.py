"""The study of convolutional networks in small form, its costs and its table by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
import real_convolution_tables as tables
import real_convolutions as rc
import torch
from real_convolutions import Images, Trainer
from real_rows import Row, read_rows
from torch import nn
from torch.nn import functional

import prunelimits as pl
from prunelimits.datasets import Parts
from prunelimits.elimination import Regrowth


def squares(_: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """Images whose bright quarter is the class."""
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(120) % 4
    x = torch.rand(120, 8, 8, generator=generator)
    for image, label in zip(x, y.tolist(), strict=True):
        image[4 * (label // 2) :][:4, 4 * (label % 2) :][:, :4] += 2
    return x.flatten(1), y


TASK = Images("digits", squares, 8, 1, 12, (80, 200), 1)


@pytest.fixture
def parts() -> Parts:
    return TASK.parts(Path(), 0)


@pytest.mark.slow
@pytest.mark.parametrize("name", rc.methods())
def test_every_method_keeps_what_it_is_asked_for(parts: Parts, name: str):
    model = TASK.network(3)
    found, masks = rc.methods()[name](Trainer(TASK, parts, 5), model, 80)
    weights = {n: p for n, p in found.named_parameters() if p.dim() > 1}
    assert sum(int(p.count_nonzero()) for p in weights.values()) <= 80
    assert sum(int(masks[n].sum()) for n in weights) == 80
    if name == rc.CHANNELS:
        assert sum(p.numel() for p in weights.values()) <= 4 * 80


def test_more_starts_are_those_that_follow(parts: Parts):
    both = rc.rows_of(TASK, parts, 1, "SNIP", range(2))
    first, second = (rc.rows_of(TASK, parts, 1, "SNIP", range(n, n + 1)) for n in (0, 1))
    for whole, one, other in zip(both, first, second, strict=True):
        assert (whole.first, one.first, other.first) == (0, 0, 1)
        assert whole.test == one.test + other.test
        assert whole.cost == pytest.approx((one.cost + other.cost) / 2)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::prunelimits.elimination.data.MissingClassWarning")
def test_a_regrowth_is_one_run_a_budget(parts: Parts):
    method = Regrowth(starts=2, beam=2, tries=1, cycles=1, finalists=1)
    rows = rc.regrown_rows(TASK, parts, 1, method)
    assert [(r.method, r.split, r.keep, len(r.test)) for r in rows] == [
        (rc.REGROWTH, 1, 80, 1), (rc.REGROWTH, 1, 200, 1),
    ]  # fmt: skip
    for r in rows:
        assert r.effective[0] <= r.nonzeros[0] <= r.keep + 34
        assert r.cost > 0
        assert 0 <= r.test[0] <= r.test_rows


def test_a_cost_is_what_is_kept_times_the_images(parts: Parts):
    model, trainer = TASK.network(0), Trainer(TASK, parts, 0)
    masks = pl.prune(model, pl.pruners.Magnitude(), keep=100)
    trainer.train(model, 3, masks)
    # 72 images in batches of 12; 34 biases.
    assert trainer.cost == 3 * 72 * (100 + 34)
    assert rc.kept(model, {}) == 72 + 1152 + 640 + 34
    before = trainer.cost
    trainer.train(TASK.network(0), 1, None)
    assert trainer.cost - before == 72 * 1898


def test_a_start_and_an_order_of_images_are_one_training(parts: Parts):
    model = TASK.network(7)
    other = TASK.network(7)
    Trainer(TASK, parts, 9).train(model, 2, None)
    x, y = parts.train
    optimizer = torch.optim.SGD(other.parameters(), 0.05, 0.9, weight_decay=5e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 12)
    generator = torch.Generator().manual_seed(9)
    for _ in range(2):
        for rows in torch.randperm(72, generator=generator).split(12):
            optimizer.zero_grad()
            functional.cross_entropy(other(x[rows]), y[rows]).backward()
            optimizer.step()
            schedule.step()
    pairs = zip(model.parameters(), other.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_what_is_measured_is_right(parts: Parts):
    model = TASK.network(1)
    Trainer(TASK, parts, 0).train(model, 8, None)
    nonzeros, effective, choose, test = rc.measured(model, {}, parts)
    assert nonzeros == effective == 1898
    for right, (x, y) in ((choose, parts.choose), (test, parts.test)):
        assert right == sum(int(model(x[n : n + 1]).argmax()) == int(y[n]) for n in range(len(y)))
    none = {n: torch.zeros_like(p, dtype=torch.bool) for n, p in model.named_parameters()}
    assert isinstance(model, nn.Sequential)
    assert rc.measured(model, {"0.weight": none["0.weight"]}, parts)[0] == 1898 - 72


def test_a_study_goes_on_where_its_table_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    some = {name: rc.methods()[name] for name in ("LTH", "SNIP")}
    monkeypatch.setattr(rc, "methods", lambda: some)
    monkeypatch.setattr(rc, "TASKS", (TASK,))
    path = tmp_path / "table.csv"
    some_names = ["dense", "LTH", "SNIP"]
    monkeypatch.setattr("sys.argv", ["x", str(path), "--splits", "1", "--methods", *some_names])
    rc.main()
    rows = read_rows(path)
    assert [(r.method, r.times, r.keep) for r in rows] == [
        ("dense", 5, 1864), ("LTH", 1, 80), ("LTH", 1, 200), ("SNIP", 5, 80), ("SNIP", 5, 200),
    ]  # fmt: skip
    assert rows[3].cost == pytest.approx(5 * 72 * (80 + 34), rel=1e-4)
    rc.main()
    assert read_rows(path) == rows


def test_the_table_is_of_the_starts_that_the_choosing_images_take(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tables, "TASKS", (TASK,))

    def row(method: str, times: int, choose: tuple[int, ...], test: tuple[int, ...]) -> Row:
        sizes = (90,) * len(test)
        return Row("digits", 0, method, times, 0, 80, 10.0, sizes, sizes, choose, test, 10, 10, 6.0)

    rows = [row(name, 1 if name == "LTH" else 5, (5, 4), (6, 9)) for name in tables.NINE]
    rows += [row(rc.EARLY, 5, (8, 9), (10, 8)), row("dense", 5, (9,), (9,))]
    rows.append(row(rc.CHANNELS, 5, (7, 6), (7, 2)))
    rows.append(row(rc.REGROWTH, 5, (9,), (9,))._replace(cost=45.0))
    theirs = "60.0% (LTH, 2 starts) | 70.0% (2 starts) | +30.0 | +20.0 |"
    regrown = f"| digits | 0 | 80 | 90.0% | 4.5 | {theirs}"
    assert regrown in tables.regrown_table(rows).splitlines()
    lines = tables.table(rows, 2).splitlines()
    assert "| LTH | 60.0% |  |" in lines
    assert "| EarlyGMP, above the best of nine | +20.0 |  |" in lines
    six = [r._replace(split=split) for split in range(6) for r in rows]
    lines = tables.table(six, 2).splitlines()
    assert "| EarlyGMP, above the best of nine | +20.0 (+20.0 to +20.0) |  |" in lines
    assert "| digits | 80 | 1 | 1 | 1 | 10 | 90.0% | 1 |" in tables.tasks_table(rows).splitlines()
