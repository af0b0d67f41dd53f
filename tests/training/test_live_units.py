from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from prunelimits.connectivity import effective_masks
from prunelimits.datasets import cubist_spiral
from prunelimits.masks import with_biases
from prunelimits.training import AbstractEngine, MLPEnsemble, Recipe, TorchEngine, fit
from prunelimits.training.live_units import train_live_units
from prunelimits.types import Masks

WIDTHS = (2, 9, 7, 8, 1)
X, Y = cubist_spiral(300)
RECIPE = Recipe(epochs=2, batch_size=30, lr=0.1)


def random_masks(seed: int, density: float, models: int) -> Masks:
    generator = torch.Generator().manual_seed(seed)
    return with_biases(
        {
            name: torch.rand(value.shape, generator=generator) < density
            for name, value in MLPEnsemble(WIDTHS, models=models).params.items()
            if name.endswith("weight")
        }
    )


def reaching_output(masks: Masks) -> Masks:
    """Parameters of units from which an output can be reached, by walking back unit by unit."""
    result: Masks = {name: torch.zeros_like(mask) for name, mask in masks.items()}
    layers = len(WIDTHS) - 1
    for model in range(len(masks["layers.0.weight"])):
        live = {(layers, unit) for unit in range(WIDTHS[-1])}
        for layer in reversed(range(layers)):
            for row in range(WIDTHS[layer + 1]):
                if (layer + 1, row) not in live:
                    continue
                result[f"layers.{layer}.bias"][model, row] = masks[f"layers.{layer}.bias"][
                    model, row
                ]
                for column in range(WIDTHS[layer]):
                    if masks[f"layers.{layer}.weight"][model, row, column]:
                        result[f"layers.{layer}.weight"][model, row, column] = True
                        live.add((layer, column))
    return result


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0.02, 0.1, 0.2, 0.5, 1.0]))
def test_what_reaches_an_output_is_trained_as_if_all_were_there(seed: int, density: float):
    masks = random_masks(seed, density, 3)
    start = MLPEnsemble(WIDTHS, models=3, seed=seed, masks=masks, dtype=torch.float64)

    def train(ensemble: MLPEnsemble) -> MLPEnsemble:
        return fit(ensemble, X, Y, RECIPE, engine=TorchEngine()).ensemble

    whole, live = train(start), train_live_units(start, train)
    for name, reaches in reaching_output(masks).items():
        for part in ("params", "momentum"):
            result = getattr(live, part)[name]
            torch.testing.assert_close(result[reaches], getattr(whole, part)[name][reaches])
            assert torch.equal(result[~reaches], getattr(start, part)[name][~reaches])
        assert torch.equal(live.masks[name], masks[name])


def test_engines_see_narrow_networks(
    engine: AbstractEngine, supported: Callable[[MLPEnsemble], MLPEnsemble]
):
    masks = random_masks(0, 0.1, 5)
    start = supported(MLPEnsemble(WIDTHS, models=5, seed=1, masks=masks))
    seen: list[tuple[int, ...]] = []

    def train(ensemble: MLPEnsemble) -> MLPEnsemble:
        seen.append(ensemble.widths)
        return fit(ensemble, X, Y, RECIPE, engine=engine).ensemble

    live, whole = train_live_units(start, train), train(start)
    assert all(part < width for part, width in zip(seen[0][1:4], WIDTHS[1:4], strict=True))
    assert seen[0][::4] == WIDTHS[::4]
    torch.testing.assert_close(
        fit(live, X, Y, RECIPE, stop=0, engine=engine).loss,
        fit(whole, X, Y, RECIPE, stop=0, engine=engine).loss,
    )


def test_a_network_without_any_path_still_learns_its_last_bias():
    masks = random_masks(0, 0.0, 2)
    start = MLPEnsemble(WIDTHS, models=2, seed=1, masks=masks)
    live = train_live_units(start, lambda e: fit(e, X, Y, RECIPE).ensemble)
    assert (live.params["layers.3.bias"] != start.params["layers.3.bias"]).all()
    assert not effective_masks(masks)["layers.0.weight"].any()


def test_a_full_ensemble_is_passed_on_as_it_is():
    start = MLPEnsemble(WIDTHS, models=2, seed=1)
    assert train_live_units(start, lambda ensemble: ensemble) is start


@pytest.mark.parametrize("part", ["params", "momentum"])
def test_nothing_moves_without_training(part: str):
    start = fit(
        MLPEnsemble(WIDTHS, models=4, seed=1, masks=random_masks(3, 0.1, 4)), X, Y, RECIPE
    ).ensemble
    after = train_live_units(start, lambda ensemble: ensemble)
    for name, value in getattr(start, part).items():
        assert torch.equal(value, getattr(after, part)[name])
