"""Units with all that goes with them: budgets, the best choice by enumeration, and refusals."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import prunelimits as pl
from prunelimits import MLP, MLPEnsemble, Recipe, fit, lottery_ticket, prune, scores
from prunelimits.connectivity import compact, coupled_units, effective_masks
from prunelimits.experiments import Study, run_study
from prunelimits.masks import CoupledUnits, count
from prunelimits.pruners import (
    GMP,
    LTH,
    SNIP,
    AtOnce,
    DropGrow,
    Gradual,
    Magnitude,
    Pruner,
    Units,
    plan,
    prunable,
)
from prunelimits.sessions import attach
from prunelimits.types import Masks
from tests.structured import NETWORKS, coupled, network

# A number of weights is seldom whole units; `prune` says so, and one test that it does.
pytestmark = pytest.mark.filterwarnings("ignore:keep=.* is no whole number of units")


def worths(units: CoupledUnits, values: dict[str, Tensor], *, mean: bool = False) -> dict[str, Any]:
    """What each unit is worth, by plain loops over weights."""
    result: dict[str, list[float]] = {}
    for group in units.groups:
        result[group.name] = []
        for unit in range(group.size):
            found: list[float] = []
            for part in group.slices:
                value = values.get(part.parameter)
                for index, owner in enumerate(part.units):
                    if owner == unit and value is not None:
                        found += value.select(part.axis, index).flatten().tolist()
            result[group.name].append(sum(found) / (len(found) if mean else 1))
    return result


def kept_by(units: CoupledUnits, kept: dict[str, list[bool]]) -> Masks:
    return units.masks({name: torch.tensor(flags) for name, flags in kept.items()})


def weights_left(model: nn.Module, units: CoupledUnits, kept: dict[str, list[bool]]) -> int:
    masks = kept_by(units, kept)
    return sum(
        int(masks[name].sum()) if name in masks else mask.numel()
        for name, mask in prunable(model).items()
    )


def cut_one_by_one(
    model: nn.Module, units: CoupledUnits, worth: dict[str, list[float]], keep: int
) -> dict[str, list[bool]]:
    """The rule as the documentation says it: the least unit goes, until few weights are left."""
    kept = {name: [True] * len(values) for name, values in worth.items()}
    order = sorted(
        ((value, -place, -unit, name, unit)
         for place, (name, values) in enumerate(worth.items())
         for unit, value in enumerate(values)),
    )  # fmt: skip
    # The best of each group is not there to be cut.
    best = {name: max(range(len(v)), key=lambda u: (v[u], -u)) for name, v in worth.items()}
    for *_, name, unit in order:
        if weights_left(model, units, kept) <= keep:
            break
        if unit != best[name]:
            kept[name][unit] = False
    return kept


@pytest.mark.slow
@pytest.mark.parametrize("worth", ["sum", "mean"])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_number_of_weights_is_met_by_cutting_the_least_unit_first(name: str, worth: Any):
    model, x = network(name)
    units = coupled(name)
    dense = prunable(model)
    values = {n: model.get_parameter(n).detach().abs().double() for n in dense}
    expected = worths(units, values, mean=worth == "mean")
    shape = Units(units, worth=worth)
    least = weights_left(model, units, {
        n: [u == 0 for u in range(len(v))] for n, v in expected.items()
    })  # fmt: skip
    total = count(dense)
    for keep in (least, (2 * least + total) // 3, (least + 2 * total) // 3, total - 1, total):
        masks = prune(model.double(), Magnitude(shape=shape), keep=keep)
        wanted = kept_by(units, cut_one_by_one(model, units, expected, keep))
        for parameter, mask in masks.items():
            assert torch.equal(mask, wanted.get(parameter, dense[parameter])), (parameter, keep)
        assert count(masks) <= keep
        effective = effective_masks(model, masks, inputs=x)
        assert all(torch.equal(effective[n], mask) for n, mask in masks.items())


def choices(sizes: dict[str, int]) -> Iterator[dict[str, list[bool]]]:
    """Every choice of units that leaves each group one."""
    flags = [
        [list(c) for c in product((False, True), repeat=size) if any(c)] for size in sizes.values()
    ]
    for chosen in product(*flags):
        yield dict(zip(sizes, chosen, strict=True))


@pytest.mark.parametrize("seed", range(4))
def test_so_many_units_are_the_best_choice_of_all(seed: int):
    """By enumeration: of a number of units the largest sum of worths, each group with one."""
    torch.manual_seed(seed)
    model = MLP((3, 4, 5, 2))
    units = coupled_units(model)
    values = {n: model.get_parameter(n).detach().abs().double() for n in prunable(model)}
    worth = worths(units, values)
    sizes = {group.name: group.size for group in units.groups}

    def total(kept: dict[str, list[bool]]) -> float:
        return sum(
            w for n, flags in kept.items() for w, f in zip(worth[n], flags, strict=True) if f
        )

    every = list(choices(sizes))
    for number in range(2, 10):
        found = units.kept(prune(model.double(), Magnitude(shape=Units(units)), keep={"*": number}))
        best = max(total(c) for c in every if sum(map(sum, c.values())) == number)
        mine = {name: kept.tolist() for name, kept in found.items()}
        assert sum(map(sum, mine.values())) == number
        assert total(mine) == pytest.approx(best, abs=1e-12)


def test_a_number_of_weights_is_not_always_the_best_sum_since_units_differ_in_size():
    """What the documentation says of it: a unit that is cut early may have been worth its room."""
    better = 0
    for seed in range(3):
        torch.manual_seed(seed)
        model = MLP((8, 3, 4, 1)).double()
        units = coupled_units(model)
        values = {n: model.get_parameter(n).detach().abs() for n in prunable(model)}
        worth = worths(units, values)

        def total(kept: dict[str, list[bool]], worth: dict[str, Any] = worth) -> float:
            return sum(
                w for n, own in kept.items() for w, f in zip(worth[n], own, strict=True) if f
            )

        every = [(weights_left(model, units, c), total(c)) for c in choices(
            {"layers.0": 3, "layers.1": 4})]  # fmt: skip
        for keep in (13, 20, 26, 30):
            found = units.kept(prune(model, Magnitude(shape=Units(units)), keep=keep))
            mine = total({name: kept.tolist() for name, kept in found.items()})
            best = max(value for size, value in every if size <= keep)
            assert mine <= best + 1e-12
            assert mine > 0.6 * best
            better += best > mine + 1e-12
    assert better


@pytest.mark.slow
def test_the_same_share_of_every_group():
    model, _ = network("dense")
    units = coupled("dense")
    pruner = Magnitude(shape=Units(units), scope="uniform")
    total = count(prunable(model))
    for keep in range(60, total + 1, 17):
        masks = prune(model, pruner, keep=keep)
        left = {n: int(k.sum()) for n, k in units.kept(masks).items()}
        assert count(masks) <= keep
        # A plain search: the largest share, in steps finer than any unit, that fits.
        fitting = []
        for step in range(241):
            kept = {
                g.name: [u < max(1, int(step / 240 * g.size + 0.5)) for u in range(g.size)]
                for g in units.groups
            }
            if weights_left(model, units, kept) <= keep:
                fitting.append({n: sum(flags) for n, flags in kept.items()})
        assert left == fitting[-1]


def test_numbers_by_layers_are_units():
    model, _ = network("dense")
    units = coupled("dense")

    def left(keep: Any, scope: Any = "global") -> dict[str, int]:
        masks = prune(model, Magnitude(shape=Units(units), scope=scope), keep=keep)
        return {name: int(kept.sum()) for name, kept in units.kept(masks).items()}

    with pytest.warns(UserWarning, match=r"no units of conv1.weight, conv2.weight: 6 of the 10"):
        assert left({"stem": 2}) == {"stem": 2, "conv1": 3, "conv2": 3}
    assert left({"stem": 2, "*": 1.0}) == {"stem": 2, "conv1": 3, "conv2": 3}
    assert left({"stem": 0.5, "conv*": 4})["stem"] == 2
    assert sum(left({"conv*": 4, "*": 1.0}).values()) == 8
    assert left({"*": 0.5}, "uniform") == {"stem": 2, "conv1": 2, "conv2": 1}
    for keep, message in (
        ({"head": 2}, r"keep\['head'\] names no units that can be cut: there are those of stem"),
        ({"stem": 5}, r"keep\['stem'\] must be from 1 to 4 units"),
        ({"conv*": 1}, r"keep\['conv\*'\] must be from 2 to 6 units"),
        ({"nothing": 1}, "names no layer"),
    ):
        with pytest.raises(ValueError, match=message):
            left(keep)


def test_a_plan_counts_units_where_budgets_do():
    model, _ = network("dense")
    shape = Units(coupled("dense"))
    pruner = Pruner(score=scores.magnitude, schedule=Gradual(rounds=2), shape=shape)
    by_group = {"stem": 1, "conv*": 0.5}
    told = plan(model, pruner, keep=by_group, steps=8)
    assert (told.counted, told.sizes, told.quotas) == (
        "units", {"stem": 4, "conv*": 6}, {"stem": 1, "conv*": 3},
    )  # fmt: skip
    assert told.left[0] == (0, 10)
    assert told.left[-1] == (6, 4)
    assert str(told).splitlines()[:2] == [
        "units of         units          kept",
        "stem                 4             1",
    ]
    with pytest.warns(UserWarning, match="6 of the 10 units stay whole"):
        told = plan(model, pruner, keep={"stem": 1}, steps=8)
    assert told.quotas == {"stem": 1, "conv1.weight": 3, "conv2.weight": 3}
    share = plan(model, Magnitude(shape=shape, scope="uniform"), sparsity=0.5)
    kept = shape.coupled.kept(prune(model, Magnitude(shape=shape, scope="uniform"), sparsity=0.5))
    assert share.sizes == {"stem": 4, "conv1": 3, "conv2": 3}
    assert share.quotas == {name: int(units.sum()) for name, units in kept.items()}
    together = plan(model, Magnitude(shape=shape), sparsity=0.5)
    assert (together.counted, together.quotas) == ("weights", None)
    assert together.sizes == {name: mask.numel() for name, mask in prunable(model).items()}
    lone = MLP((2, 6, 1))  # of one group too, a number for all is weights
    told = plan(lone, Magnitude(shape=Units(coupled_units), scope="uniform"), keep=9)
    assert (told.counted, told.quotas, told.left) == ("weights", None, [(0, 9)])


def test_units_may_be_found_by_a_function_of_the_model_that_is_pruned():
    wide, narrow = MLP((2, 6, 5, 1)), MLP((2, 4, 3, 1))
    pruner = Magnitude(shape=Units(coupled_units))
    for model in (wide, narrow):
        known = Magnitude(shape=Units(coupled_units(model)))
        for keep in ({"layers.0": 2, "layers.1": 0.5}, 12):
            found, expected = prune(model, pruner, keep=keep), prune(model, known, keep=keep)
            assert all(torch.equal(found[name], mask) for name, mask in expected.items())
    x, y = pl.datasets.cubist_spiral(60)
    recipe = Recipe(epochs=1, batch_size=30)
    gradual = GMP(rounds=2, shape=Units(coupled_units))
    for widths in ((2, 6, 5, 1), (2, 4, 3, 1)):
        ensemble = MLPEnsemble(widths, models=2, seed=0)
        own = replace(gradual, shape=Units(coupled_units(MLP(widths))))
        one, two = (
            fit(ensemble, x, y, recipe, pruner=p, keep=[8, 12]).ensemble for p in (gradual, own)
        )
        assert all(torch.equal(one.masks[name], mask) for name, mask in two.masks.items())
    optimizer = torch.optim.SGD(wide.parameters(), lr=0.1)
    with attach(gradual, wide, optimizer, keep=20, steps=4) as session:
        for _ in range(4):
            optimizer.zero_grad()
            wide(x).mean().backward()
            optimizer.step()
    assert count(session.masks) <= 20
    assert not wide.layers[0].bias[~session.masks["layers.0.weight"].any(1)].any()
    with pytest.raises(ValueError, match=r"take pruner\.for_model\(model\)"):
        pruner.budget(prunable(wide), 12)
    with pytest.raises(TypeError, match="coupled must give CoupledUnits of a model, got "):
        prune(wide, Magnitude(shape=Units(lambda model: model)), keep=12)  # type: ignore[arg-type, return-value]


def test_a_study_over_widths_finds_the_units_of_each(tmp_path: Path):
    methods = (GMP(rounds=2, shape=Units(coupled_units)),)
    recipe = Recipe(epochs=1, batch_size=50)
    study = Study(
        methods=methods, widths=(4, 6), budgets=(12, 16), recipes=(recipe,), hidden_layers=2
    )
    assert study.names == ("GMP",)
    results = run_study(study, *pl.datasets.cubist_spiral(100), table=tmp_path / "table.csv")
    assert len(results) == 4


def test_floors_are_met_in_whole_units():
    model, _ = network("residual")
    units = coupled("residual")
    pruner = Magnitude(shape=Units(units), floor=60)
    with pytest.raises(ValueError, match=r"keep must be from (\d+) to \d+: .*floor=60"):
        prune(model, pruner, keep=120)
    masks = prune(model, pruner, keep=600)
    assert all(int(mask.sum()) >= min(60, mask.numel()) for mask in masks.values())
    assert count(masks) <= 600


def test_what_is_pruned_already_stays_and_must_be_whole_units():
    model, _ = network("residual")
    units = coupled("residual")
    pruner = Magnitude(shape=Units(units))
    first = prune(model, pruner, sparsity=0.4)
    again = prune(model, pruner, keep=count(first) // 2, masks=first)
    assert all(not (mask & ~first[name]).any() for name, mask in again.items())
    broken = {name: mask.clone() for name, mask in first.items()}
    broken["first.weight"].view(-1)[broken["first.weight"].flatten().nonzero()[0]] = False
    with pytest.raises(ValueError, match=r"masks must prune whole units .* cut through"):
        prune(model, pruner, keep=50, masks=broken)
    with pytest.raises(ValueError, match="masks must leave a unit of"):
        prune(model, pruner, keep=50, masks={
            "first.weight": torch.zeros(5, 6, 3, 3).bool(),
            "second.weight": torch.zeros(6, 5, 3, 3).bool(),
        })  # fmt: skip


def test_a_layer_that_is_left_alone_keeps_the_units_around_it():
    model, _ = network("residual")
    units = coupled("residual")
    masks = prune(model, Magnitude(shape=Units(units)), ignore=["head"], sparsity=0.3)
    assert "head.weight" not in masks
    left = {name: int(kept.sum()) for name, kept in units.kept(masks).items()}
    assert left["stem"] == 6
    assert left["first"] < 5


def refused() -> list[tuple[Callable[[], object], str]]:
    model, _ = network("residual")
    other, _ = network("encoder")
    units = Units(coupled("residual"))

    class Sum(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.head = nn.Linear(4, 4), nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(x + self.layer(x))

    tied = Sum()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    moves = DropGrow(rounds=2)
    return [
        (lambda: prune(tied, Magnitude(shape=Units(coupled_units(tied, inputs=torch.zeros(2, 4)))),
                       sparsity=0.5), "has no units that can be cut .* ties it to an input"),
        (lambda: prune(model, Magnitude(shape=units), keep=10), "keep must be from 109 to"),
        (lambda: prune(model, Magnitude(shape=units), sparsity=0.99), "keep must be from 109 to"),
        (lambda: prune(other, Magnitude(shape=units), sparsity=0.5), "of another model"),
        (lambda: prune(ResidualOfOthers(), Magnitude(shape=units), sparsity=0.5), "of another"),
        (lambda: Magnitude(shape=units, scope="erk"), "scope must be 'global' or 'uniform'"),
        (lambda: Magnitude(shape=units, scope=lambda shapes, keep: {}), "scope must be 'global'"),
        (lambda: Pruner(score=scores.magnitude, shape=units, schedule=moves, scope="uniform"),
         "shape must not be Units for DropGrow: a unit that grows begins with zeros"),
        (lambda: pl.pruners.SNFS(shape=units), r"shape must be Weights\(\)"),
        (lambda: pl.pruners.CHITA(shape=units), r"shape must be Weights\(\)"),
        (lambda: attach(GMP(shape=units), model, optimizer, keep=10, steps=9), "keep must be from"),
        (lambda: Units(units.coupled, worth="max"), "worth must be"),  # type: ignore[arg-type]
    ]  # fmt: skip


class ResidualOfOthers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.head = nn.Conv2d(3, 7, 3), nn.Linear(7, 4)


@pytest.mark.parametrize("number", range(12))
def test_what_cannot_be_is_refused_by_name(number: int):
    call, message = refused()[number]
    with pytest.raises(ValueError, match=message):
        call()


def test_another_kind_is_refused_and_a_number_that_is_not_met_is_told():
    with pytest.raises(TypeError, match="coupled must be CoupledUnits, as connectivity"):
        Units(MLP((2, 3, 1)))  # type: ignore[arg-type]
    model = MLP((3, 6, 5, 4))
    shape = Units(coupled_units(model))
    with pytest.warns(UserWarning, match=r"keep=40 is no whole number of units: \d+ weights"):
        prune(model, Magnitude(shape=shape), keep=40)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        prune(model, Magnitude(shape=shape), sparsity=0.5)
        prune(model, Magnitude(shape=shape), keep=count(prunable(model)))


def test_a_session_zeroes_biases_and_normalisations_that_go_along():
    model, x = network("residual")
    units = coupled("residual")
    model.train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=0.1)
    pruner = Pruner(score=scores.magnitude, schedule=Gradual(rounds=2), shape=Units(units))
    with attach(pruner, model, optimizer, sparsity=0.6, steps=8) as session:
        for _ in range(8):
            optimizer.zero_grad()
            functional.cross_entropy(model(x), torch.tensor([0, 1])).backward()
            optimizer.step()
    along = units.complete(session.masks)
    assert set(along) - set(session.masks) == {
        "norm.weight", "norm.bias", "norm1.weight", "norm1.bias", "second.bias",
    }  # fmt: skip
    for name, mask in along.items():
        assert not model.get_parameter(name)[~mask].any()
        assert model.get_parameter(name)[mask].all()
    small = compact(model.eval(), inputs=x)
    assert sum(p.numel() for p in small.parameters()) == count(along) + 4
    assert torch.allclose(small(x), model(x), atol=1e-5)


def test_tickets_and_ensembles():
    model = MLP((2, 6, 5, 1))
    units = coupled_units(model)
    x, y = pl.datasets.cubist_spiral(100)

    def train(net: nn.Module, masks: Masks) -> None:
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        with attach(masks, net, optimizer):
            for _ in range(3):
                optimizer.zero_grad()
                loss = functional.binary_cross_entropy_with_logits(net(x).squeeze(1), y.float())
                loss.backward()
                optimizer.step()

    masks = lottery_ticket(model, train, LTH(rounds=2, shape=Units(units)), keep=20)
    effective = effective_masks(model, masks)
    assert count(masks) <= 20
    assert all(torch.equal(effective[name], mask) for name, mask in masks.items())
    ensemble = MLPEnsemble((2, 6, 5, 1), models=4, seed=0)
    recipe = Recipe(epochs=2, batch_size=50)
    for schedule in (AtOnce(rounds=2), Gradual(rounds=3)):
        for scope in ("global", "uniform"):
            pruner = Pruner(score=scores.snip, schedule=schedule, shape=Units(units), scope=scope)
            found = fit(ensemble, x, y, recipe, pruner=pruner, keep=[8, 18, 30, 47]).ensemble
            for member, keep in enumerate((8, 18, 30, 47)):
                own = {n: m[member] for n, m in found.masks.items()}
                kept = units.kept(own)
                assert all(torch.equal(own[n], m) for n, m in units.masks(kept).items())
                assert sum(int(m.sum()) for n, m in own.items() if n.endswith("weight")) <= keep
    by_units = fit(ensemble, x, y, recipe, pruner=GMP(rounds=2, shape=Units(units)),
                   keep=[{"*": 4}, {"*": 0.5}, {"*": 8}, {"*": 11}]).ensemble  # fmt: skip
    for member, number in enumerate((4, 6, 8, 11)):
        own = {n: m[member] for n, m in by_units.masks.items()}
        assert sum(int(kept.sum()) for kept in units.kept(own).values()) == number


def test_many_models_at_once_equal_one_at_a_time():
    model, _ = network("mlp")
    units = Units(coupled("mlp"))
    dense = prunable(model)
    generator = torch.Generator().manual_seed(1)
    many = {n: torch.randn(5, *m.shape, generator=generator) for n, m in dense.items()}
    allowed = {n: m.expand(5, *m.shape) for n, m in dense.items()}
    for worth in ("sum", "mean"):
        shape = Units(units.coupled, worth=worth)
        budgets = torch.tensor([[14], [20], [33], [50], [68]])
        together = torch.vmap(shape.select)(many, allowed, budgets)
        for place in range(5):
            one = {n: v[place] for n, v in many.items()}
            alone = shape.select(one, dense, budgets[place])
            assert all(torch.equal(alone[n], together[n][place]) for n in dense)


def test_scores_with_data_count_all_that_goes_together():
    model, x = network("separate")
    units = coupled("separate")
    data: dict[str, Any] = {
        "loss": functional.cross_entropy, "batches": [(x, torch.tensor([0, 1]))],
    }  # fmt: skip
    found = pl.score(model, SNIP(), **data)
    worth = worths(units, {n: s.double() for n, s in found.items()})
    masks = prune(model, SNIP(shape=Units(units)), keep={"q": 2, "up": 4}, **data)
    for name, number in (("q", 2), ("up", 4)):
        best = sorted(range(len(worth[name])), key=lambda u: -worth[name][u])[:number]
        assert units.kept(masks)[name].nonzero().flatten().tolist() == sorted(best)
