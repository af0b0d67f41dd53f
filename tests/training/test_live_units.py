import dataclasses
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from prunelimits.connectivity import effective_masks
from prunelimits.datasets import cubist_spiral
from prunelimits.masks import with_biases
from prunelimits.training import AbstractEngine, MLPEnsemble, Recipe, TorchEngine, fit
from prunelimits.training.engine import Plan
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


def make_plan(models: int, start: int = 3, stop: int = 17) -> Plan:
    """Part of two epochs, with numbers that differ between members and epochs."""
    spread = torch.linspace(0.5, 1, models, dtype=torch.float64)
    return Plan(
        loss="binary_cross_entropy",
        batch_size=30,
        steps_per_epoch=10,
        lr=torch.stack([0.1 * spread, 0.03 * spread]),
        momentum=0.9 * spread,
        weight_decay=0.05 * spread,
        start=start,
        stop=stop,
        order=lambda epoch: torch.arange(300).roll(epoch),
    )


def moving(ensemble: MLPEnsemble) -> MLPEnsemble:
    """With momentum, of dead units too."""
    return ensemble.replace(momentum={n: 0.1 * p.flip(0) for n, p in ensemble.params.items()})


@settings(max_examples=15)
@given(st.integers(0, 10**6), st.sampled_from([0.02, 0.1, 0.2, 0.5, 1.0]))
def test_everything_is_as_if_all_were_there(seed: int, density: float):
    masks = random_masks(seed, density, 3)
    start = MLPEnsemble(WIDTHS, models=3, seed=seed, masks=masks, dtype=torch.float64)
    start, plan = moving(start), make_plan(3)

    def train(ensemble: MLPEnsemble) -> MLPEnsemble:
        return TorchEngine().train(ensemble, X.double(), Y.double(), plan)

    whole, live = train(start), train_live_units(start, plan, train)
    for name, mask in masks.items():
        for part in ("params", "momentum"):
            torch.testing.assert_close(getattr(live, part)[name], getattr(whole, part)[name])
        assert torch.equal(live.masks[name], mask)


def test_engines_see_narrow_networks(
    engine: AbstractEngine, supported: Callable[[MLPEnsemble], MLPEnsemble]
):
    masks = random_masks(0, 0.1, 5)
    start = supported(MLPEnsemble(WIDTHS, models=5, seed=1, masks=masks))
    seen: list[tuple[int, ...]] = []

    def train(ensemble: MLPEnsemble) -> MLPEnsemble:
        seen.append(ensemble.widths)
        return fit(ensemble, X, Y, RECIPE, engine=engine).ensemble

    plan = make_plan(5)
    live, whole = train_live_units(start, plan, train), train(start)
    assert all(part < width for part, width in zip(seen[0][1:4], WIDTHS[1:4], strict=True))
    assert seen[0][::4] == WIDTHS[::4]
    torch.testing.assert_close(
        fit(live, X, Y, RECIPE, stop=0, engine=engine).loss,
        fit(whole, X, Y, RECIPE, stop=0, engine=engine).loss,
    )


def test_a_network_without_any_path_still_learns_its_last_bias():
    masks = random_masks(0, 0.0, 2)
    start = MLPEnsemble(WIDTHS, models=2, seed=1, masks=masks)
    live = train_live_units(
        start, make_plan(2), lambda part: TorchEngine().train(part, X, Y, make_plan(2))
    )
    assert (live.params["layers.3.bias"] != start.params["layers.3.bias"]).all()
    assert not effective_masks(masks)["layers.0.weight"].any()


def test_a_full_ensemble_is_passed_on_as_it_is():
    start = MLPEnsemble(WIDTHS, models=2, seed=1)
    assert train_live_units(start, make_plan(2), lambda ensemble: ensemble) is start


@pytest.mark.parametrize("part", ["params", "momentum"])
def test_nothing_moves_without_training(part: str):
    start = moving(MLPEnsemble(WIDTHS, models=4, seed=1, masks=random_masks(3, 0.1, 4)))
    after = train_live_units(start, make_plan(4, start=7, stop=7), lambda ensemble: ensemble)
    for name, value in getattr(start, part).items():
        assert torch.equal(value, getattr(after, part)[name])


def test_several_outputs_are_all_trained():
    widths = (*WIDTHS[:-1], 3)
    plan = dataclasses.replace(make_plan(2), loss="cross_entropy")
    labels = (torch.arange(300) % 3).long()
    masks = {
        name: torch.rand(value.shape, generator=torch.Generator().manual_seed(4)) < 0.2
        for name, value in MLPEnsemble(widths, models=2).params.items()
        if name.endswith("weight")
    }
    start = MLPEnsemble(widths, models=2, seed=1, masks=with_biases(masks), dtype=torch.float64)

    def train(ensemble: MLPEnsemble) -> MLPEnsemble:
        return TorchEngine().train(ensemble, X.double(), labels, plan)

    whole, live = train(start), train_live_units(start, plan, train)
    for name in start.params:
        torch.testing.assert_close(live.params[name], whole.params[name])
    assert (whole.params["layers.3.bias"] != start.params["layers.3.bias"]).any(0).sum() == 3
