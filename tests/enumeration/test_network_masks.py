"""ModelMasks with symmetry="network", its tables and its draws, against orbits by brute force."""

from __future__ import annotations

import itertools
import pickle
from collections import Counter
from functools import cache
from random import Random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare
from torch import Tensor

from prunelimits.datasets import cubist_spiral
from prunelimits.enumeration import (
    ModelMasks,
    canonical,
    count_networks,
    count_networks_by_nonzeros,
    network_orbits,
    orderly,
    same_network,
)
from prunelimits.enumeration.chains import Chains
from prunelimits.enumeration.mask_layout import MaskLayout
from prunelimits.enumeration.network_orbits import NetworkOrbits
from prunelimits.enumeration.orbit_cuts import best_cut, cuts
from prunelimits.enumeration.uniform_networks import UniformNetworks
from prunelimits.models import MLP
from prunelimits.training import MLPEnsemble, Recipe, fit
from prunelimits.types import Masks

from .orbit_oracle import SMALL, every_relabelling, labelled_networks, orbit_names, relabelled


@cache
def network_space(*widths: int, **options: int) -> ModelMasks:
    return ModelMasks(widths, symmetry="network", **options)


def assert_one_to_one(names: Tensor, ranks: Tensor, count: int) -> None:
    """Equal names have equal ranks and the other way round, and all ranks occur."""
    pairs = set(zip(names.tolist(), ranks.tolist(), strict=True))
    assert len(pairs) == len({name for name, _ in pairs}) == len({rank for _, rank in pairs})
    assert {rank for _, rank in pairs} == set(range(count))


@pytest.mark.parametrize("widths", SMALL)
def test_ranks_are_one_to_one_with_orbits(widths: tuple[int, ...]) -> None:
    rows = labelled_networks(widths)
    space = network_space(*widths)
    ranks = space.ranks(rows)
    assert_one_to_one(orbit_names(rows, widths), ranks, len(space))
    everything = space.take(range(len(space)))
    assert torch.equal(space.ranks(everything), torch.arange(len(space)))
    assert torch.equal(space.nonzeros(range(len(space))), everything.sum(1))
    assert (everything.sum(1).diff() >= 0).all()
    # A representative is a relabelling of what it represents.
    assert torch.equal(orbit_names(everything[ranks], widths), orbit_names(rows, widths))


@pytest.mark.parametrize("widths", SMALL)
def test_every_cut_gives_the_orbits(widths: tuple[int, ...]) -> None:
    rows = labelled_networks(widths)
    layout = MaskLayout(widths)
    names = orbit_names(rows, widths)
    found = list(cuts(widths))
    assert len({cut.nodes for cut in found}) == len(found)
    for cut in found:
        orbits = NetworkOrbits(cut)
        chains = Chains(orbits.levels)
        ranks = chains.rank(*orbits.locate(layout.weights(rows)))
        assert_one_to_one(names, torch.from_numpy(ranks), chains.count)


def test_cuts_leave_no_two_neighbouring_layers_out() -> None:
    assert {cut.nodes for cut in cuts((2, 3, 3, 3, 1))} == {
        (0, 2, 4), (0, 1, 3, 4), (0, 1, 2, 4), (0, 2, 3, 4), (0, 1, 2, 3, 4)
    }  # fmt: skip
    assert {cut.nodes for cut in cuts((2, 3, 1))} == {(0, 2), (0, 1, 2)}
    assert best_cut((2, 7, 3, 3, 1)).nodes == (0, 2, 4)
    assert best_cut((2, 3, 7, 3, 1)).nodes == (0, 1, 3, 4)


def test_every_mask_of_the_papers_space_has_exactly_one_representative() -> None:
    widths = (2, 3, 3, 3, 1)
    paper, space = ModelMasks(widths), network_space(*widths)
    rows = paper.take(range(len(paper)))
    ranks = space.ranks(rows)
    assert len(space) == 12_400
    assert_one_to_one(orbit_names(rows, widths), ranks, 12_400)


@pytest.mark.parametrize(
    ("widths", "count"),
    [
        ((2, 3, 3, 3, 1), 12_400),
        ((2, 7, 3, 3, 1), 8_338_343),
        ((2, 6, 3, 2, 1), 492_566),
        ((2, 3, 2, 2, 1), 273),
        ((2, 7, 3, 2, 1), 1_919_727),
        ((2, 4, 4, 4, 1), 15_180_323),
        ((3, 5, 4, 2), 350_432_479),
        ((2, 3, 3, 3, 3, 3, 1), 25_554_632),
        ((2, 5, 3, 5, 1), None),
        ((2, 5, 5, 1), None),
        ((4, 3, 4, 3), None),
    ],
)
def test_tables_hold_as_many_as_burnside_counts(widths: tuple[int, ...], count: int | None) -> None:
    chains = Chains(NetworkOrbits(best_cut(widths)).levels, constant=sum(widths[1:]))
    assert chains.count == count_networks(widths) == len(network_space(*widths))
    assert chains.by_nonzeros == count_networks_by_nonzeros(widths)
    assert count is None or chains.count == count


@pytest.mark.slow
@settings(max_examples=30)
@given(
    widths=st.sampled_from(
        [(2, 7, 3, 3, 1), (2, 4, 4, 4, 1), (3, 5, 4, 2), (2, 3, 4, 3, 3, 1), (2, 3, 3, 3, 3, 3, 1)]
    ),
    data=st.data(),
)
def test_relabellings_keep_their_rank(widths: tuple[int, ...], data: st.DataObject) -> None:
    space = network_space(*widths)
    draw = st.integers(0, space.count - 1)
    ranks = data.draw(st.lists(draw, min_size=1, max_size=20))
    images = [tuple(data.draw(st.permutations(range(units)))) for units in widths[1:-1]]
    rows = space.take(ranks)
    assert space.ranks(relabelled(rows, widths, images)).tolist() == ranks
    masks = space[ranks[0]]
    moved = MaskLayout(widths).masks(relabelled(rows[:1], widths, images)[0])
    assert space.index(moved) == ranks[0]
    assert moved in space
    assert same_network(masks, moved)
    assert equal(canonical(moved), masks)
    weights = MaskLayout(widths).weights(rows)
    for (d_in, d_out), bits in zip(itertools.pairwise(widths), weights, strict=True):
        assert bits.reshape(-1, d_out, d_in).any(1).all()
        assert bits.reshape(-1, d_out, d_in).any(2).all()


def equal(first: Masks, second: Masks) -> bool:
    return list(first) == list(second) and all(
        torch.equal(mask, second[name]) for name, mask in first.items()
    )


def test_another_cut_finds_each_of_the_same_networks_once() -> None:
    widths = (2, 6, 3, 2, 1)
    other = next(cut for cut in cuts(widths) if cut.nodes == (0, 2, 3, 4))
    orbits = NetworkOrbits(other)
    chains = Chains(orbits.levels)
    space = network_space(*widths)
    rows = space.take(range(len(space)))
    ranks = chains.rank(*orbits.locate(MaskLayout(widths).weights(rows)))
    assert np.array_equal(np.sort(ranks), np.arange(492_566))


@pytest.mark.long
def test_the_whole_space_of_the_99_5_percent_search() -> None:
    widths = (2, 7, 3, 3, 1)
    other = next(cut for cut in cuts(widths) if cut.nodes == (0, 2, 3, 4))
    orbits = NetworkOrbits(other)
    chains = Chains(orbits.levels)
    space = network_space(*widths)
    seen = np.zeros(len(space), dtype=bool)
    for start in range(0, len(space), 2**17):
        expected = torch.arange(start, min(start + 2**17, len(space)))
        rows = space.take(expected)
        assert torch.equal(space.ranks(rows), expected)
        seen[chains.rank(*orbits.locate(MaskLayout(widths).weights(rows)))] = True
    assert seen.all()


def test_relabelling_keeps_the_function() -> None:
    """What the orbits rest on: a network and its relabellings compute the same."""
    widths = (2, 4, 3, 2)
    layout = MaskLayout(widths)
    rows = network_space(*widths).random(1)
    generator = torch.Generator().manual_seed(1)
    weights = torch.randn(layout.parameters, generator=generator, dtype=torch.float64)
    inputs = torch.randn(20, 2, generator=generator, dtype=torch.float64)

    def outputs(values: Tensor, mask: Tensor) -> Tensor:
        model = MLP(widths).double()
        model.load_state_dict(layout.masks(values * mask))
        return model(inputs).detach()

    expected = outputs(weights, rows[0])
    assert expected.abs().max() > 0
    for images in every_relabelling(widths)[::17]:
        moved = relabelled(rows, widths, images)[0]
        found = outputs(relabelled(weights[None], widths, images)[0], moved)
        assert torch.allclose(found, expected)
        assert network_space(*widths).ranks(moved[None]).equal(network_space(*widths).ranks(rows))


def test_relabelled_starts_train_to_the_same_function() -> None:
    """Why one network of an orbit is enough: from a relabelled start, training only relabels."""
    widths = (2, 3, 3, 3, 1)
    layout = MaskLayout(widths)
    space = network_space(*widths)
    masks = space.random(20)
    starts = torch.randn(masks.shape, generator=torch.Generator().manual_seed(1)).double()
    x, y = cubist_spiral(1_000)

    def trained(starts: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
        ensemble = MLPEnsemble.from_params(widths, layout.masks(starts), layout.masks(masks))
        result = fit(ensemble, x.double(), y, Recipe(epochs=1), seed=3)
        flat = torch.cat([p.flatten(1) for p in result.ensemble.params.values()], 1)
        return flat, result.loss

    parameters, losses = trained(starts, masks)
    images = [(1, 2, 0), (2, 1, 0), (2, 0, 1)]
    moved = relabelled(masks, widths, images)
    assert not torch.equal(moved, masks)
    assert torch.equal(space.ranks(moved), space.ranks(masks))
    again, losses_again = trained(relabelled(starts, widths, images), moved)
    assert (parameters - starts * masks).abs().amax(1).min() > 1e-3
    assert torch.allclose(again, relabelled(parameters, widths, images), atol=1e-9)
    assert torch.allclose(losses_again, losses, atol=1e-9)


@pytest.mark.parametrize("widths", [(2, 3, 3, 3, 1), (1, 3, 3, 3, 3, 1), (3, 3, 3)])
def test_filters_are_intervals_of_the_whole_list(widths: tuple[int, ...]) -> None:
    space = network_space(*widths)
    everything = space.take(range(len(space)))
    nonzeros = everything.sum(1)
    for least, most in [(None, 24), (20, None), (25, 27), (0, 100), (28, 28), (None, 5)]:
        options = {"min_nonzeros": least, "max_nonzeros": most}
        part = network_space(*widths, **{k: v for k, v in options.items() if v is not None})
        inside = (nonzeros >= (least or 0)) & (nonzeros <= (most or 1000))
        rows = everything[inside]
        assert part.count == len(rows)
        assert torch.equal(part.take(range(part.count)), rows)
        assert torch.equal(part.ranks(rows), torch.arange(len(rows)))
        assert part.counts_by_nonzeros() == dict(sorted(Counter(nonzeros[inside].tolist()).items()))
        if not inside.all():
            with pytest.raises(ValueError, match="nonzeros, outside the space's"):
                part.ranks(everything)


def test_a_bound_prunes_the_tables() -> None:
    cut = best_cut((2, 7, 3, 3, 1))
    whole, part = NetworkOrbits(cut), NetworkOrbits(cut, 24)
    assert sum(part.levels[0].size) < sum(whole.levels[0].size) / 2
    few = network_space(2, 8, 4, 3, 1, max_nonzeros=44)
    assert few.count == 13_950_536
    ranks = torch.arange(0, few.count, 99_991)
    assert torch.equal(few.ranks(few.take(ranks)), ranks)


def test_ranks_do_not_depend_on_how_tables_are_built(monkeypatch: pytest.MonkeyPatch) -> None:
    widths = (2, 4, 3, 3, 1)
    space = network_space(*widths)
    expected = space.take(range(len(space)))
    monkeypatch.setattr(orderly, "CHUNK", 50)
    again = ModelMasks(widths, symmetry="network")
    assert torch.equal(again.take(range(len(again))), expected)


def test_counts_beyond_int64() -> None:
    space = network_space(*(2, *[7, 2] * 6, 1))
    assert space.count > 2**63
    for rank in (0, space.count // 3, space.count - 1):
        assert space.index(space[rank]) == rank
    rows = space.take([10**20, 10**20 + 1])
    assert space.nonzeros([10**20, 10**20 + 1]).tolist() == rows.sum(1).tolist()
    with pytest.raises(OverflowError, match=r"use index\(\)"):
        space.ranks(rows)


def test_what_is_too_large_for_tables_is_still_counted() -> None:
    wide = network_space(2, 8, 8, 8, 1)
    assert wide.count == 34_666_948_237_552_805_971_258_722_153
    with pytest.raises(ValueError, match=r"cannot be ranked .* still be counted"):
        wide[0]
    with pytest.raises(ValueError, match=r"sifting [0-9,]+ multisets of units, more than 8,589"):
        network_space(2, 7, 5, 3, 1).take([0])
    with pytest.raises(MemoryError, match=r"about [0-9,]+ bytes or more, beyond 536,870,912"):
        network_space(2, 6, 6, 6, 1).take([0])
    assert network_space(2, 6, 6, 6, 1, max_nonzeros=45)[0]


def test_tables_stay_within_their_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    cut = best_cut((2, 3, 3, 3, 1))
    tables = [8 * sum(level.size) for level in NetworkOrbits(cut).levels]
    for limit in (8, tables[0] - 1, tables[0] + 8, sum(tables) - 1):
        monkeypatch.setattr(network_orbits, "TABLE_BYTES", limit)
        with pytest.raises(MemoryError, match=f"about [0-9,]+ bytes or more, beyond {limit:,}"):
            NetworkOrbits(cut)
    # The estimate allows for zero rows and columns, so the exact size may be refused.
    monkeypatch.setattr(network_orbits, "TABLE_BYTES", 4 * sum(tables))
    assert Chains(NetworkOrbits(cut).levels).count == 12_400


@pytest.mark.slow
@pytest.mark.parametrize("widths", [(2, 3, 2, 1), (2, 2, 3, 2), (1, 4, 3, 1)])
def test_draws_are_uniform_over_orbits(widths: tuple[int, ...]) -> None:
    """Chi-square of 40 draws for each orbit, by tables and by Dixon and Wilf's method."""
    space = network_space(*widths)
    n = 40 * len(space)
    by_tables = space.random(n, generator=torch.Generator().manual_seed(2))
    layout = MaskLayout(widths)
    without = layout.rows(UniformNetworks(widths).draw(n, Random(3)))
    for rows in (by_tables, without):
        frequencies = torch.bincount(space.ranks(rows), minlength=len(space)).numpy()
        assert chisquare(frequencies).pvalue > 0.001


def test_draws_come_from_the_generator() -> None:
    for space in (network_space(2, 3, 3, 1), network_space(2, 8, 8, 8, 1), ModelMasks((2, 3, 1))):
        first, second = (torch.Generator().manual_seed(seed) for seed in (0, 1))
        default = space.random(5)
        assert default.shape == (5, space.random(0).shape[1])
        assert torch.equal(space.random(5, generator=first), default)
        assert torch.equal(space.random(5), default)
        assert not torch.equal(space.random(5, generator=first), default)
        assert not torch.equal(space.random(5, generator=second), default)


def test_draws_of_large_spaces_use_every_unit() -> None:
    widths = (16, 8, 9, 1, 16, 1)
    rows = network_space(*widths).random(20)
    weights = MaskLayout(widths).weights(rows)
    for (d_in, d_out), bits in zip(itertools.pairwise(widths), weights, strict=True):
        assert bits.reshape(-1, d_out, d_in).any(1).all()
        assert bits.reshape(-1, d_out, d_in).any(2).all()


def test_filtered_draws_stay_inside() -> None:
    space = network_space(2, 7, 3, 3, 1, min_nonzeros=35, max_nonzeros=36)
    nonzeros = space.random(500).sum(1)
    assert set(nonzeros.tolist()) == {35, 36}
    with pytest.raises(ValueError, match="cannot be ranked"):
        network_space(2, 8, 8, 8, 1, max_nonzeros=200).random(1)
    with pytest.raises(ValueError, match="nothing to draw from"):
        network_space(2, 3, 1, max_nonzeros=3).random(1)
    with pytest.raises(ValueError, match="n must be at least 0, got -1"):
        space.random(-1)


def test_same_network_tells_networks_apart() -> None:
    space = network_space(2, 3, 2, 1)
    for first, second in itertools.product(range(0, len(space), 3), repeat=2):
        assert same_network(space[first], space[second]) == (first == second)
    assert not same_network(space[0], network_space(2, 3, 1)[0])
    assert not same_network(space[0], network_space(2, 2, 2, 1)[0])


def test_canonical_says_why_not() -> None:
    masks = network_space(2, 3, 1)[0]
    weight, bias = masks["layers.0.weight"], masks["layers.0.bias"]
    zero_row, zero_column = torch.ones_like(weight), torch.ones_like(weight)
    zero_row[1] = False
    zero_column[:, 1] = False
    cases: list[tuple[object, type[Exception], str]] = [
        ({**masks, "layers.0.weight": zero_row}, ValueError, r"layers\.0\.weight .* zero row"),
        ({**masks, "layers.0.weight": zero_column}, ValueError, r"0\.weight .* zero column"),
        ({**masks, "layers.0.bias": ~bias}, ValueError, r"layers\.0\.bias must keep"),
        ({**masks, "layers.0.weight": weight.int()}, TypeError, "bool tensor, got torch.int32"),
        ({**masks, "layers.0.weight": bias}, ValueError, "must have two dimensions"),
        ({**masks, "layers.1.weight": weight}, ValueError, "must have shape"),
        ({"weight": weight}, ValueError, "names of an MLP's parameters"),
        ({"layers.0.weight": weight}, ValueError, "must have the names"),
        (weight, TypeError, "dict of bool tensors"),
    ]
    for value, error, message in cases:
        with pytest.raises(error, match=message):
            canonical(value)


def test_ranks_wants_rows_of_take() -> None:
    space = network_space(2, 3, 1)
    rows = space.take(range(3))
    pruned = rows.clone()
    pruned[1, 0:2] = False
    with pytest.raises(TypeError, match="rows must be a bool tensor"):
        space.ranks(rows.int())
    with pytest.raises(ValueError, match=r"shape \(networks, 13\), got \(3, 12\)"):
        space.ranks(rows[:, 1:])
    with pytest.raises(ValueError, match="bias must keep"):
        space.ranks(torch.zeros_like(rows))
    with pytest.raises(ValueError, match="network 1 has a zero row"):
        space.ranks(pruned)
    assert space.ranks(rows[:0]).shape == (0,)


def test_first_per_count_is_for_layers_only() -> None:
    with pytest.raises(ValueError, match="first_per_count must be left out"):
        ModelMasks((2, 3, 1), "network", first_per_count={0: 1})


def test_equal_by_value() -> None:
    space = network_space(2, 3, 1, max_nonzeros=12)
    assert (
        space == network_space(2, 3, 1, max_nonzeros=12) != ModelMasks((2, 3, 1), max_nonzeros=12)
    )
    assert repr(space) == "ModelMasks((2, 3, 1), symmetry='network', max_nonzeros=12)"
    assert pickle.loads(pickle.dumps(space)) == space
    assert len({space, network_space(2, 3, 1, max_nonzeros=12)}) == 1
