"""Networks with free biases from many starts: which they are, and that each is tried for itself."""

from __future__ import annotations

import csv
from dataclasses import replace
from math import prod
from pathlib import Path

import pytest
import torch
from exhaust_free_biases import Free, add_rows, every_network, tried
from exhaust_networks import Way
from kept_rows import read_rows
from start_rungs import Rung

import prunelimits as pl
from prunelimits.models import parameter_shapes

RESULTS = Path(__file__).parents[2] / "docs" / "results"
FEW = pl.Recipe(epochs=4, batch_size=16)
WAY = Way(
    (
        Rung(FEW, keep=4, samples=160, until=0.25, judged=40),
        Rung(FEW, keep=3, samples=160),
        Rung(pl.Recipe(epochs=1, batch_size=50), keep=2),
    ),
    starts=8,
    promising=2.0,
)


@pytest.fixture(scope="module")
def networks() -> list[Free]:
    return every_network(10)


@pytest.fixture
def data() -> tuple[torch.Tensor, torch.Tensor]:
    return pl.datasets.cubist_spiral(400)


def test_they_are_those_that_are_counted_the_largest_first(networks: list[Free]):
    with (RESULTS / "free-bias-networks.csv").open(newline="") as file:
        left = {int(r["parameters"]): int(r["left"] or 0) for r in csv.DictReader(file)}
    sizes = [int(one.row.sum()) for one in networks]
    assert sizes == sorted(sizes, reverse=True)
    assert {size: sizes.count(size) for size in range(11)} == {n: left[n] for n in range(11)}
    assert len({one.key for one in networks}) == len(networks)
    with_all = [bool(one.row[-1]) for one in networks]  # the bias of the output
    assert any(with_all)
    assert not all(with_all)


def test_a_mask_of_the_table_is_the_network(networks: list[Free]):
    one = networks[3]
    widths, mask = one.key
    entries = sum(prod(shape) for shape in parameter_shapes(one.widths).values())
    bits = f"{int(mask, 16):0{4 * len(mask)}b}"[:entries]
    assert [bit == "1" for bit in bits] == one.row.tolist()
    assert widths == " ".join(map(str, one.widths))


def test_each_is_tried_for_itself_and_has_its_masks(
    networks: list[Free], data: tuple[torch.Tensor, torch.Tensor]
):
    some = [one for one in networks if one.widths == networks[0].widths][:3]
    together = list(tried(some[0].widths, some, *data, WAY))
    assert [row for one in some for row in tried(one.widths, [one], *data, WAY)] == together
    assert [row[:4] for row in together] == [(*one.key, int(one.row.sum()), 8) for one in some]
    # A network without hidden units that lead on has one class: it does no better than that.
    nothing = some[0]._replace(row=torch.zeros_like(some[0].row))
    ((*_, accuracy),) = tried(nothing.widths, [nothing], *data, WAY)
    zero = float((data[1] == 0).double().mean())
    assert float(accuracy) == pytest.approx(zero, abs=1e-5)


def test_a_table_goes_on_where_it_was(
    networks: list[Free],
    data: tuple[torch.Tensor, torch.Tensor],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(pl.datasets, "cubist_spiral", lambda: data)
    whole, part = tmp_path / "whole.csv", tmp_path / "part.csv"
    way = replace(WAY, starts=4)
    add_rows(whole, networks[:9], way)
    add_rows(part, networks[:2], way)
    add_rows(part, networks[:9], way)
    add_rows(part, networks[:9], way)
    assert len(read_rows(whole)) == 9
    assert sorted(whole.read_text().splitlines()) == sorted(part.read_text().splitlines())
