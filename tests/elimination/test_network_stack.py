"""Stacks of sparse networks: joining, cleaning up, and telling them apart."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from prunelimits.connectivity import effective_masks
from prunelimits.elimination.network_stack import join
from prunelimits.elimination.settling import settle
from prunelimits.elimination.signatures import signatures
from prunelimits.masks import count, rows, with_biases

from .oracle import one, outputs, pruned, random_networks, same_up_to_order

X = torch.randn(50, 2, generator=torch.Generator().manual_seed(0))


def test_joining_pads_with_pruned_units_and_changes_no_output():
    parts = [random_networks((2, 3, 4, 1), 3, 1), random_networks((2, 5, 2, 1), 2, 2)]
    joined = join(parts)
    assert joined.widths == (2, 5, 4, 1)
    assert joined.nonzeros().tolist() == [*parts[0].nonzeros().tolist(), *parts[1].nonzeros()]
    expected = [outputs(pruned(part, i), X) for part in parts for i in range(len(part))]
    for i, values in enumerate(expected):
        torch.testing.assert_close(outputs(pruned(joined, i), X), values)
    assert joined.units[0][0].tolist() == [0, 1, 2, -1, -1]


def test_joining_nothing_is_refused():
    with pytest.raises(ValueError, match="at least one stack"):
        join([])


@settings(max_examples=40)
@given(seed=st.integers(0, 10_000), density=st.floats(0.2, 1))
def test_settled_networks_give_the_same_outputs_and_all_of_them_is_effective(seed, density):
    networks = random_networks((2, 4, 3, 3, 2), 5, seed, density)
    settled = settle(networks, "free")
    effective = effective_masks(settled.masks)
    assert all(bool((effective[name] == mask).all()) for name, mask in settled.masks.items())
    for i in range(len(networks)):
        expected = outputs(pruned(networks, i), X)
        torch.testing.assert_close(
            outputs(one(settled.params, i), X), expected, atol=1e-5, rtol=1e-5
        )
        # In the widths that it came from it is the same network, too.
        model, masks = settled.member(i, networks.widths)
        assert count(masks) == int(settled.nonzeros()[i])
        placed = dict(model.named_parameters())
        torch.testing.assert_close(
            outputs({n: p.detach() for n, p in placed.items()}, X), expected, atol=1e-5, rtol=1e-5
        )


def test_units_stand_where_they_stood():
    networks = random_networks((2, 4, 1), 1, 3, 1.0)
    networks.masks["layers.1.weight"][0, 0, 1] = False
    settled = settle(networks, "free")
    assert settled.widths == (2, 3, 1)
    model, masks = settled.member(0, (2, 4, 1))
    assert masks["layers.0.bias"].tolist() == [True, False, True, True]
    assert torch.equal(model.layers[0].weight[2], networks.params["layers.0.weight"][0, 2])


@settings(max_examples=40)
@given(seed=st.integers(0, 10_000))
def test_with_the_outgoing_rule_exactly_the_units_in_use_have_biases(seed):
    settled = settle(random_networks((2, 4, 3, 1), 4, seed), "outgoing")
    weights = {name: mask for name, mask in settled.masks.items() if name.endswith("weight")}
    expected = with_biases(weights, "outgoing")
    for name, mask in settled.masks.items():
        assert torch.equal(mask, expected[name])
    values = rows(settled.params)
    assert not values[~rows(settled.masks)].any()


@settings(max_examples=40)
@given(seed=st.integers(0, 10_000))
def test_signatures_do_not_depend_on_the_order_of_hidden_units(seed):
    networks = random_networks((2, 4, 3, 1), 1, seed)
    generator = torch.Generator().manual_seed(seed)
    masks = {name: mask.clone() for name, mask in networks.masks.items()}
    for layer, width in enumerate((4, 3)):
        order = torch.randperm(width, generator=generator)
        for part in ("weight", "bias"):
            masks[f"layers.{layer}.{part}"] = masks[f"layers.{layer}.{part}"][:, order]
        above = f"layers.{layer + 1}.weight"
        masks[above] = masks[above][:, :, order]
    assert signatures(masks).equal(signatures(networks.masks))


def test_signatures_tell_apart_what_no_order_makes_equal():
    networks = settle(random_networks((2, 3, 2, 1), 60, 5, 0.7), "free")
    words = signatures(networks.masks)
    equal = 0
    for i in range(60):
        for j in range(i):
            same = same_up_to_order(one(networks.masks, i), one(networks.masks, j))
            assert bool(words[i] == words[j]) == same
            equal += same
    assert equal  # otherwise half of the test tests nothing


def test_signatures_do_not_see_padding():
    small = settle(random_networks((2, 3, 2, 1), 4, 7), "free")
    wide = join([small, random_networks((2, 6, 5, 1), 1, 8)])
    assert signatures(small.masks).equal(signatures(wide.masks)[:4])
