"""What the page takes out of a network without changing its answers is what the library takes."""

from __future__ import annotations

import numpy as np
import torch

import prunelimits as pl
from prunelimits.connectivity import effective_masks, fold_constants
from prunelimits.masks import apply
from tests.viz.node import encoded, flat, run
from tests.viz.test_core_pruning import WIDTHS


def test_folded_and_connected_networks_are_the_library_s():
    generator = torch.Generator().manual_seed(0)
    cases, expected = [], []
    for number in range(300):
        model = pl.MLP(WIDTHS[number % len(WIDTHS)])
        share = float(torch.rand((), generator=generator)) ** 2
        masks = {
            name: torch.rand(p.shape, generator=generator) < share
            for name, p in model.named_parameters()
        }
        params = {name: p.detach() for name, p in model.named_parameters()}
        activation, function = (("relu", torch.relu), ("tanh", torch.tanh))[number // 5 % 2]
        folded, left = fold_constants(params, masks, activation=function)
        connected = effective_masks(masks, keep_constants=True)
        cases.append({**encoded(model, masks), "activation": activation})
        expected.append(
            (
                flat(apply(folded, left), model),
                [int(kept) for kept in flat(left, model)],
                [int(kept) for kept in flat(connected, model)],
            )
        )
    found = run(
        """
        const after = (network, changes) => {
          for (const { index, value, kept } of changes) {
            network.values[index] = value;
            network.kept[index] = kept;
          }
          return network;
        };
        return input.map((encoded) => {
          const network = Network.decode(encoded);
          const folded = after(network.copy(), foldedConstants(network));
          const connected = after(network.copy(), withoutDisconnected(network));
          const effects = [...folded.values].map((_, i) => folded.effect(i));
          return [effects, [...folded.kept], [...connected.kept]];
        });
        """,
        cases,
    )
    constants = 0
    for (values, kept, connected), (folded, left, around) in zip(found, expected, strict=True):
        assert kept == left
        np.testing.assert_allclose(values, folded, rtol=1e-5, atol=1e-6)
        assert connected == around
        constants += kept != connected
    assert constants > 50  # networks that had some


def test_a_constant_beyond_float32_is_refused():
    params = {
        "layers.0.weight": torch.zeros(1, 1),
        "layers.0.bias": torch.tensor([3e38]),
        "layers.1.weight": torch.tensor([[10.0]]),
        "layers.1.bias": torch.zeros(1),
    }
    body = """
    try { foldedConstants(Network.decode(input)); } catch (error) { return error.message; }
    """
    found = run(body, encoded(pl.MLP.from_params((1, 1, 1), params)))
    assert found == "a constant is too large for float32"
