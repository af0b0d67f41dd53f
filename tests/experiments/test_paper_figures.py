"""The page of the paper's figures, and the networks kept for it."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Iterator
from itertools import pairwise, product
from pathlib import Path

import numpy as np
import pytest
import torch

from prunelimits import MLP
from prunelimits.datasets import cubist_spiral
from prunelimits.experiments import Run, Study, read_table, run_study, write_table
from prunelimits.pruners import SNIP, ProsPr
from prunelimits.resuming import StoreError
from prunelimits.training import Recipe
from prunelimits.types import Masks

ROOT = Path(__file__).parent.parent.parent


def fully_connected(widths: tuple[int, ...]) -> tuple[MLP, Masks]:
    model = MLP(widths)
    return model, {n: torch.ones_like(p, dtype=torch.bool) for n, p in model.named_parameters()}


@pytest.fixture(scope="module")
def script() -> Iterator[dict]:
    sys.path.insert(0, str(ROOT / "benchmarks"))
    yield runpy.run_path(str(ROOT / "benchmarks" / "paper_figures.py"))
    sys.path.remove(str(ROOT / "benchmarks"))


def test_the_page_holds_what_the_files_say(script: dict):
    text = script["PAGE"].read_text()
    for name in script["TABLES"]:
        assert f"<!-- table: {name} -->" in text
    known = script["TABLES"]
    assert script["refreshed"](text, known) == text, "run python benchmarks/paper_figures.py"
    for line in text.splitlines():
        for part in line.split("](")[1:]:
            if part.startswith("images/"):
                assert (ROOT / "docs" / part.partition(")")[0]).exists(), part


@pytest.mark.slow
def test_a_kept_network_is_that_of_its_run_in_the_table(script: dict):
    archive = script["read_archive"]()
    assert len(archive) >= 2000
    x, y = cubist_spiral(dtype=torch.float64)
    tables = {t: {r.run: r for r in read_table(ROOT / f"docs/results/{t}.csv")[0]}
              for t in {kept.table for kept in archive}}  # fmt: skip
    for place, kept in enumerate(archive):
        result = tables[kept.table][kept.run]
        assert len(kept.values) == result.nonzeros
        # Of every table, width and method some, as the wide ones take a while.
        if place % 17:
            continue
        model, masks = kept.network()
        state = {name: value.double() for name, value in model.state_dict().items()}
        assert sum(int(mask.sum()) for mask in masks.values()) == result.nonzeros
        weights = sum(int(m.sum()) for name, m in masks.items() if name.endswith("weight"))
        assert weights == kept.run.keep
        for name, mask in masks.items():
            assert not state[name][~mask].any()
        h = x
        for layer in range(len(state) // 2):
            h = torch.relu(h) if layer else h
            h = h @ state[f"layers.{layer}.weight"].T + state[f"layers.{layer}.bias"]
        accuracy = float(((h[:, 0] > 0) == (y == 1)).double().mean())
        assert accuracy == pytest.approx(result.accuracy, abs=5 / len(y)), kept.run


def test_an_archive_gives_back_what_was_written(script: dict, tmp_path: Path):
    kept_of, generator = script["Kept"].of, torch.Generator().manual_seed(0)
    networks = []
    for _ in range(5):
        model = MLP((2, 5, 5, 5, 1))
        masks = {name: torch.rand(value.shape, generator=generator) < 0.4
                 for name, value in model.named_parameters()}  # fmt: skip
        with torch.no_grad():
            for name, value in model.named_parameters():
                value.copy_(torch.randn(value.shape, generator=generator) * masks[name])
        networks.append((model, masks))
    path = tmp_path / "networks.npz"
    runs = [Run("SNIP", 5, 10 + number, 1, 2) for number in range(5)]
    kept = [kept_of("gap-x", run, *one) for run, one in zip(runs, networks, strict=True)]
    script["read_archive"].__globals__["write_archive"](path, kept)
    again = script["read_archive"](path)
    assert [one[:3] for one in again] == [("gap-x", run, (2, 5, 5, 5, 1)) for run in runs]
    for ours, (model, masks) in zip(again, networks, strict=True):
        read, read_masks = ours.network()
        for name, value in model.state_dict().items():
            assert torch.equal(read.state_dict()[name], value)
            assert torch.equal(read_masks[name], masks[name])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": None}, "labels is not a file in the archive"),
        ({"values": np.zeros(7, np.float64).astype(str)}, "values is of <U"),
        ({"widths": np.zeros((1, 5), float)}, "widths is of float64"),
        ({"masks": np.zeros((1, 5), np.uint8)}, r"masks is of uint8 and shape \(1, 5\)"),
        ({"labels": np.array([], dtype=str)}, "must have widths for every label, got 1 for 0"),
        ({"labels": np.array(["gap-x,SNIP,5"])}, "label networks by table and run, got 'gap-x,S"),
        ({"widths": np.array([[2, 0, 5, 5, 1]])}, r"widths of at least 1, got \[2, 0, 5, 5, 1\]"),
        ({"widths": np.array([[2, 9, 9, 9, 1]])}, "must have a mask for every network"),
        ({"values": np.zeros(3, np.float32)}, "a finite value for all that gap-x,SNIP,5,10,1,2"),
        ({"values": np.full(81, np.nan, np.float32)}, "a finite value for all that"),
        ({"values": np.zeros(99, np.float32)}, "masks and values of its networks alone, got more"),
    ],
)
def test_an_archive_of_wrong_arrays_is_refused(
    script: dict, change: dict, message: str, tmp_path: Path
):
    (model, masks), path = fully_connected((2, 5, 5, 5, 1)), tmp_path / "networks.npz"
    kept = script["Kept"].of("gap-x", Run("SNIP", 5, 10, 1, 2), model, masks)
    script["read_archive"].__globals__["write_archive"](path, [kept])
    with np.load(path) as file:
        arrays = {**{name: file[name] for name in file.files}, **change}
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    with pytest.raises(ValueError, match=rf"networks\.npz .*{message}"):
        script["read_archive"](path)


def test_what_is_no_archive_is_refused(script: dict, tmp_path: Path):
    whole = (ROOT / "docs" / "results" / "gap-networks.npz").read_bytes()
    broken = bytearray(whole)
    broken[len(whole) // 2] ^= 255
    path = tmp_path / "networks.npz"
    for content in (b"", b"text", whole[: len(whole) // 2], bytes(broken)):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"networks\.npz is no archive of networks"):
            script["read_archive"](path)
    np.save(tmp_path / "array.npy", np.zeros(3))
    with pytest.raises(ValueError, match=r"array\.npy is no archive of networks"):
        script["read_archive"](tmp_path / "array.npy")


def test_a_table_from_another_start_is_told_before_anything_trains(script: dict):
    retrained = script["read_archive"].__globals__["retrained"]
    table = ROOT / "docs" / "results" / "gap-bench-95.csv"
    run = Run("GMP", 3, 17, 0, 2)
    best = {run: next(r for r in read_table(table)[0] if r.run == run)}
    with pytest.raises(StoreError, match=r"gap-bench-95.csv belongs to another study .data or st"):
        next(retrained(table, best, "GMP", None))


@pytest.mark.parametrize("table", ["gap-anew", "gap-anew-bench-95", "gap-anew-bench-995"])
def test_of_every_method_width_and_budget_made_anew_the_best_network_is_kept(
    script: dict, table: str
):
    best: dict[tuple, float] = {}
    every = {r.run: r for r in read_table(ROOT / f"docs/results/{table}.csv")[0]}
    for run, result in every.items():
        best[run[:3]] = max(best.get(run[:3], 0.0), result.accuracy)
    kept = [k.run for k in script["read_archive"]() if k.table == table]
    assert {run[:3]: every[run].accuracy for run in kept} == best
    assert len(kept) == len(best)
    # One start a recipe, as in the paper.
    assert {run.repeat for run in every} == {0}
    assert len(every) == sum(9 for _ in best)


def test_networks_are_kept_while_a_study_is_trained_and_it_goes_on_where_it_was_cut_short(
    script: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    archive = script["read_archive"].__globals__
    recipes = tuple(Recipe(epochs=1, lr=lr) for lr in (0.05, 0.1, 0.2))
    methods = (SNIP(), ProsPr(steps=1))
    study = Study(methods=methods, widths=(3,), budgets=(8, 12), recipes=recipes, repeats=1)
    train, path, table = archive["train"], tmp_path / "networks.npz", tmp_path / "gap-some.csv"
    other = archive["Kept"].of("gap-x", Run("SNIP", 3, 8, 0, 0), *fully_connected((2, 3, 3, 3, 1)))
    archive["write_archive"](path, [other])
    written: list[Path] = []

    def cut_short(*arguments: object, **more: object) -> None:
        # After the networks of the third part, before its rows.
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(table)
        write_table(*arguments, **more)  # pyright: ignore[reportArgumentType]

    with monkeypatch.context() as patched:
        patched.setitem(archive, "write_table", cut_short)
        with pytest.raises(KeyboardInterrupt):
            train(table, study, None, path)
    assert len(read_table(table)[0]) == 8
    train(table, study, None, path)

    results = {r.run: r for r in run_study(study, *cubist_spiral(), table=tmp_path / "plain.csv")}
    assert {r.run: r for r in read_table(table)[0]} == results
    best: dict[tuple, float] = {}
    for run, result in results.items():
        best[run[:3]] = max(best.get(run[:3], 0), result.accuracy)
    kept = script["read_archive"](path)
    assert [k.table for k in kept].count("gap-x") == 1
    own = [k for k in kept if k.table == "gap-some"]
    assert [k.run[:3] for k in own] == sorted(best)
    x, y = cubist_spiral()
    for k in own:
        assert results[k.run].accuracy == best[k.run[:3]]
        model, masks = k.network()
        assert sum(int(m.sum()) for m in masks.values()) == results[k.run].nonzeros
        right = float(((model(x)[:, 0] > 0) == (y == 1)).double().mean())
        assert right == pytest.approx(best[k.run[:3]], abs=5 / len(y))


def test_the_least_a_network_with_a_wide_layer_has_by_brute_force(script: dict):
    """Three units in a layer instead of 17, every mask of every layer tried."""

    def least(widths: tuple[int, ...]) -> int:
        total = 1 + sum(widths[1:-1])
        for d_in, d_out in pairwise(widths):
            sizes = [
                mask.sum()
                for bits in product((False, True), repeat=d_in * d_out)
                for mask in [np.array(bits).reshape(d_out, d_in)]
                if mask.any(0).all() and mask.any(1).all()
            ]
            total += min(sizes)
        return int(total)

    for widths in ((2, 3, 1, 1, 1), (2, 1, 3, 1, 1), (2, 1, 1, 3, 1)):
        rule = sum(map(max, pairwise(widths))) + sum(widths[1:-1]) + 1
        assert rule == least(widths)
    assert "| (2, 1, 17, 1, 1) | 57 | 57 |" in script["wider"]()
