"""Spaces whose networks may leave inputs out, against everything written out by brute force."""

from __future__ import annotations

import itertools
import pickle
from collections import Counter
from random import Random

import pytest
import torch
from scipy.stats import chisquare

from prunelimits.enumeration import (
    EligibleMasks,
    ModelMasks,
    canonical,
    count_networks,
    count_networks_by_nonzeros,
    every_widths,
    same_network,
)
from prunelimits.enumeration.burnside import FixedMasks
from prunelimits.enumeration.chains import Chains
from prunelimits.enumeration.every_widths import fewest_nonzeros
from prunelimits.enumeration.mask_layout import MaskLayout
from prunelimits.enumeration.network_orbits import NetworkOrbits
from prunelimits.enumeration.orbit_cuts import cuts
from prunelimits.enumeration.uniform_networks import UniformNetworks

from .orbit_oracle import SMALL, labelled_networks, orbit_names, relabelled, weight_masks
from .test_burnside import cycle_type
from .test_eligible import Rows, as_rows, list_order, row_key
from .test_network_masks import assert_one_to_one

MATRICES = [(d_in, d_out) for d_in in range(1, 5) for d_out in range(1, 4)] + [(2, 4), (3, 4)]

# With inputs that may be unused there are more networks: the widest are left to other tests.
WIDTHS = [*SMALL, (3, 1), (4, 1, 1), (3, 2, 2, 1), (4, 2, 1)]


def sorted_masks(d_in: int, d_out: int) -> list[Rows]:
    """One sorted mask for each class of matrices without zero rows under row permutations."""
    rows = [row for row in itertools.product((0, 1), repeat=d_in) if any(row)]
    matrices = itertools.product(rows, repeat=d_out)
    return sorted(
        {tuple(sorted(matrix, key=row_key, reverse=True)) for matrix in matrices}, key=list_order
    )


@pytest.mark.parametrize("tables", [True, False])
@pytest.mark.parametrize(("d_in", "d_out"), MATRICES)
def test_list_of_a_layer_is_the_brute_force_list(
    d_in: int, d_out: int, tables: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not tables:
        monkeypatch.setattr("prunelimits.enumeration.eligible.TABLE_ROWS", 0)
    expected = sorted_masks(d_in, d_out)
    space = EligibleMasks(d_in, d_out, columns="any")
    assert len(space) == space.count == len(expected)
    assert [as_rows(mask) for mask in space] == expected
    assert [space.index(mask) for mask in space] == list(range(len(space)))
    assert space.counts_by_nonzeros() == Counter(sum(map(sum, mask)) for mask in expected)


@pytest.mark.parametrize(("d_in", "d_out"), MATRICES)
def test_masks_without_zero_columns_keep_their_order(d_in: int, d_out: int) -> None:
    every = EligibleMasks(d_in, d_out, columns="any")
    covered = [as_rows(mask) for mask in every if mask.any(0).all()]
    assert covered == [as_rows(mask) for mask in EligibleMasks(d_in, d_out)]


def test_a_large_layer_is_ranked_exactly() -> None:
    space = EligibleMasks(12, 9, columns="any")
    assert sum(space.counts_by_nonzeros().values()) == space.count > EligibleMasks(12, 9).count
    for rank in (0, 10**12, space.count // 3, space.count - 1):
        assert space.index(space[rank]) == rank
    assert not space[0].any(0).all()


@pytest.mark.parametrize(("d_in", "d_out"), [(3, 2), (2, 4), (3, 3)])
def test_fixed_masks_are_those_found_by_permuting_each(d_in: int, d_out: int) -> None:
    masks = weight_masks(d_in, d_out, "any")
    for columns in itertools.permutations(range(d_in)):
        for rows in itertools.permutations(range(d_out)):
            fixed = [mask for mask in masks if (mask[list(rows)][:, list(columns)] == mask).all()]
            types = cycle_type(columns), cycle_type(rows)
            expected = sum(2 ** (20 * int(mask.sum())) for mask in fixed)
            assert FixedMasks(2**20).between(*types, used="any") == expected


@pytest.mark.parametrize("widths", WIDTHS)
def test_networks_are_the_orbits_found_by_brute_force(widths: tuple[int, ...]) -> None:
    rows = labelled_networks(widths, "any")
    names = orbit_names(rows, widths)
    nonzeros = dict(zip(names.tolist(), rows.sum(1).tolist(), strict=True))
    space = ModelMasks(widths, "network", inputs="any")
    assert len(space) == count_networks(widths, inputs="any") == len(nonzeros)
    expected = dict(sorted(Counter(nonzeros.values()).items()))
    assert space.counts_by_nonzeros() == expected
    assert count_networks_by_nonzeros(widths, inputs="any") == expected
    assert min(expected) == fewest_nonzeros(widths, "any")
    ranks = space.ranks(rows)
    assert_one_to_one(names, ranks, len(space))
    everything = space.take(range(len(space)))
    assert torch.equal(space.ranks(everything), torch.arange(len(space)))
    assert torch.equal(space.nonzeros(range(len(space))), everything.sum(1))
    assert (everything.sum(1).diff() >= 0).all()
    assert torch.equal(orbit_names(everything[ranks], widths), names)


@pytest.mark.parametrize("widths", [(3, 2), (3, 2, 2), (2, 2, 2, 1), (2, 1, 3, 2, 1), (1, 3, 3, 1)])
def test_every_cut_gives_the_orbits(widths: tuple[int, ...]) -> None:
    rows = labelled_networks(widths, "any")
    names = orbit_names(rows, widths)
    for cut in cuts(widths, "any"):
        orbits = NetworkOrbits(cut)
        chains = Chains(orbits.levels)
        ranks = chains.rank(*orbits.locate(MaskLayout(widths).weights(rows)))
        assert_one_to_one(names, torch.from_numpy(ranks), chains.count)


@pytest.mark.parametrize("widths", [(3, 2), (2, 2, 1), (3, 2, 2), (2, 3, 2, 1), (4, 1, 1)])
def test_layers_are_multiplied_in_order_of_nonzeros(widths: tuple[int, ...]) -> None:
    layers = [
        [(int(m.sum()), rank, m) for rank, m in enumerate(space)]
        for space in (
            EligibleMasks(*shape, columns="all" if layer else "any")
            for layer, shape in enumerate(itertools.pairwise(widths))
        )
    ]
    parts = sorted(
        itertools.product(*layers),
        key=lambda parts: (sum(p[0] for p in parts), [p[0] for p in parts], [p[1] for p in parts]),
    )
    expected = torch.stack(
        [
            torch.cat([torch.cat([m.flatten(), torch.ones(len(m)).bool()]) for *_, m in networks])
            for networks in parts
        ]
    )
    nets = ModelMasks(widths, inputs="any")
    assert torch.equal(nets.take(range(len(nets))), expected)
    assert [nets.index(masks) for masks in nets] == list(range(len(nets)))
    first = ModelMasks(widths, inputs="any", first_per_count={0: 1})
    assert first.count == len({(p[0][0], *p[1:]) for p in parts})


@pytest.mark.parametrize("symmetry", ["layer", "network"])
def test_filters_are_intervals_of_the_whole_list(symmetry) -> None:
    whole = ModelMasks((3, 3, 2, 1), symmetry, inputs="any")
    everything = whole.take(range(len(whole)))
    nonzeros = everything.sum(1)
    for least, most in [(None, 14), (13, None), (12, 16), (15, 15), (None, 3)]:
        part = ModelMasks(
            whole.widths, symmetry, min_nonzeros=least, max_nonzeros=most, inputs="any"
        )
        inside = everything[(nonzeros >= (least or 0)) & (nonzeros <= (most or 99))]
        assert part.count == len(inside)
        assert torch.equal(part.take(range(part.count)), inside)
        assert torch.equal(part.ranks(inside), torch.arange(len(inside)))


@pytest.mark.parametrize("symmetry", ["layer", "network"])
def test_using_every_input_is_a_part_of_the_space(symmetry) -> None:
    every = ModelMasks((3, 3, 2, 1), symmetry, inputs="any")
    rows = every.take(range(len(every)))
    uses_all = rows[:, :9].reshape(-1, 3, 3).any(1).all(1)
    assert (rows[:, :9].reshape(-1, 3, 3).any(1).any(1)).all()
    strict = ModelMasks((3, 3, 2, 1), symmetry)
    assert strict.ranks(rows[uses_all]).sort().values.tolist() == list(range(len(strict)))
    with pytest.raises(ValueError, match="column"):
        strict.ranks(rows)


@pytest.mark.parametrize("widths", [(3, 2, 1), (2, 3, 2, 1), (4, 1, 1), (3, 2)])
def test_draws_are_uniform_over_orbits(widths: tuple[int, ...]) -> None:
    space = ModelMasks(widths, "network", inputs="any")
    n = 40 * len(space)
    without = UniformNetworks(widths, "any").draw(n, Random(3))
    for rows in (space.random(n), MaskLayout(widths).rows(without)):
        frequencies = torch.bincount(space.ranks(rows), minlength=len(space)).numpy()
        assert chisquare(frequencies).pvalue > 0.001


def test_draws_of_a_space_too_large_for_tables_leave_inputs_out() -> None:
    rows = ModelMasks((16, 8, 8, 1), "network", inputs="any").random(200)
    first = rows[:, : 8 * 16].reshape(-1, 8, 16)
    assert first.any(2).all()
    assert (~first.any(1)).any()


def test_one_network_has_one_canonical_form_whichever_inputs_must_be_used() -> None:
    space = ModelMasks((3, 2, 2, 1), "network", inputs="any")
    for masks in space:
        row = MaskLayout(space.widths).row(masks)[None]
        moved = MaskLayout(space.widths).masks(relabelled(row, space.widths, [(1, 0), (1, 0)])[0])
        assert same_network(masks, moved, inputs="any")
        form = canonical(moved, inputs="any")
        assert all(torch.equal(mask, masks[name]) for name, mask in form.items())
        if masks["layers.0.weight"].any(0).all():
            assert all(torch.equal(mask, form[n]) for n, mask in canonical(moved).items())
        else:
            with pytest.raises(ValueError, match="zero column"):
                canonical(masks)


@pytest.mark.parametrize(("most", "d_in", "layers"), [(9, 3, 1), (8, 4, 1), (9, 3, 2), (5, 4, 0)])
def test_every_widths_are_those_found_by_trying_all(most: int, d_in: int, layers: int) -> None:
    found = every_widths(most, d_in=d_in, hidden_layers=layers, inputs="any")
    expected = {}
    for hidden in itertools.product(range(1, most), repeat=layers):
        widths = (d_in, *hidden, 1)
        counts = count_networks_by_nonzeros(widths, max_nonzeros=most, inputs="any")
        if counts:
            expected[widths] = counts
    assert {space.widths: space.counts_by_nonzeros() for space in found} == expected
    assert all(space.inputs == "any" for space in found)


def test_the_sparsest_network_leaves_inputs_out() -> None:
    """Labels that depend on 2 of 4 columns: 5 nonzeros are enough, and 7 if all must be used."""
    assert ModelMasks((4, 1, 1)).nonzeros([0]).tolist() == [7]
    nets = ModelMasks((4, 1, 1), inputs="any", max_nonzeros=5)
    used = [masks["layers.0.weight"].nonzero()[:, 1].tolist() for masks in nets]
    assert [0, 1] in used
    assert nets.counts_by_nonzeros() == {4: 4, 5: 6}


def test_spaces_are_equal_by_value_and_tell_their_inputs() -> None:
    space = ModelMasks((4, 1, 1), max_nonzeros=5, inputs="any")
    assert repr(space) == "ModelMasks((4, 1, 1), symmetry='layer', max_nonzeros=5, inputs='any')"
    assert pickle.loads(pickle.dumps(space)) == space != ModelMasks((4, 1, 1), max_nonzeros=5)
    layer = EligibleMasks(4, 2, columns="any")
    assert repr(layer) == "EligibleMasks(4, 2, columns='any')"
    assert pickle.loads(pickle.dumps(layer)) == layer != EligibleMasks(4, 2)
    assert len({layer, EligibleMasks(4, 2), EligibleMasks(4, 2, columns="any")}) == 2


def test_an_unknown_choice_is_refused_by_name() -> None:
    for call in (
        lambda: ModelMasks((2, 1), inputs="some"),
        lambda: count_networks((2, 1), inputs=None),
        lambda: count_networks_by_nonzeros((2, 1), inputs=True),
        lambda: every_widths(9, inputs="none"),
        lambda: canonical(ModelMasks((2, 1))[0], inputs=0),
    ):
        with pytest.raises(ValueError, match="inputs must be one of 'all', 'any', got"):
            call()
    with pytest.raises(ValueError, match="columns must be one of 'all', 'any', got 'zero'"):
        EligibleMasks(2, 2, columns="zero")
