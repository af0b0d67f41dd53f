"""A found network, trained again by itself from where `initial_network` says it began."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from prunelimits.datasets import cubist_spiral
from prunelimits.experiments import initial_network
from prunelimits.models import MLP, leading_block, parameter_shapes
from prunelimits.search import FoundNetwork, SearchConfig, combinatorial_search, make_task
from prunelimits.search.shard import networks_per_shard, shard_ranks
from prunelimits.training import AbstractEngine, MLPEnsemble, Recipe, fit
from prunelimits.training.native_engine import NativeEngine, available

RECIPE = Recipe(epochs=2, batch_size=50, lr=0.1)
MASKS = SearchConfig(
    target=0.99, width=4, widths=(2, 3, 2, 1), recipes=(RECIPE, RECIPE), seeds=2, shard_size=64
)
SEARCHES = {
    "masks, one recipe twice": MASKS,
    "masks by halving": dataclasses.replace(MASKS, halving=((1, 0.5),)),
    "masks, some samples held out": dataclasses.replace(MASKS, held_out=0.2),
    "unused inputs": dataclasses.replace(MASKS, inputs="any", max_nonzeros=14),
    "networks up to symmetry": dataclasses.replace(MASKS, symmetry="network"),
    "both phases": SearchConfig(
        target=0.4, width=3, hidden_layers=2, recipes=(RECIPE, RECIPE), shard_size=16
    ),
    "every widths": SearchConfig(
        target=0.99, width=8, every_widths=True, max_nonzeros=14, recipes=(RECIPE, RECIPE)
    ),
}


@pytest.fixture
def data() -> tuple[Tensor, Tensor]:
    return cubist_spiral(300)


@pytest.fixture
def engine() -> AbstractEngine:
    """Only the native engine promises that a network's neighbours change no bit of it."""
    if not available():
        pytest.skip("installed without the native engine")
    return NativeEngine()


def again(config: SearchConfig, found: FoundNetwork, data: tuple[Tensor, Tensor]) -> MLPEnsemble:
    """The found network, trained alone, in the shape that held all the networks of its shard.

    In another shape sums are rounded elsewhere.
    """
    start = initial_network(config, found)
    own = found.model.widths
    assert start.widths == (own[0], *[config.width] * (len(own) - 2), own[-1])
    space = found.phase.space(own[0], own[-1])
    shard = found.rank // networks_per_shard(config)
    widths, _ = space.batch(shard_ranks(config, space, shard))
    masks: dict[str, Tensor] = {}
    for name, shape in parameter_shapes(widths).items():
        masks[name] = torch.zeros(shape, dtype=torch.bool)
        masks[name][tuple(map(slice, found.masks[name].shape))] = found.masks[name]
    block = leading_block(dict(start.named_parameters()), widths)
    ensemble = MLPEnsemble.from_params(widths, {n: v[None] for n, v in block.items()}, masks)
    task = make_task(*data, held_out=config.held_out, seed=config.seed)
    return fit(
        ensemble, task.x, task.y, found.recipe, seed=config.seed, engine=NativeEngine()
    ).ensemble


@pytest.mark.parametrize("name", SEARCHES)
def test_every_found_network_is_trained_again_to_the_last_bit(
    name: str, data: tuple[Tensor, Tensor], engine: AbstractEngine
):
    config = SEARCHES[name]
    result = combinatorial_search(config, *data, engine=engine)
    assert result.best
    assert {found.phase for found in result.best} <= {phase.phase for phase in result.phases}
    for found in result.best:
        trained = again(config, found, data)
        for parameter, value in found.model.named_parameters():
            own = leading_block(trained.params, found.model.widths)
            assert torch.equal(own[parameter][0], value), (found, parameter)


def test_a_search_that_began_from_a_network_is_refused(data: tuple[Tensor, Tensor]):
    initial = MLPEnsemble((2, 4, 4, 1), seeds=[7]).member(0)[0]
    config = dataclasses.replace(MASKS, seeds=1)
    result = combinatorial_search(config, *data, initial=initial)
    assert result.initial is not None
    for found in result.best:
        assert found.seed is None
        with pytest.raises(ValueError, match="its search began every training from one network"):
            initial_network(config, found)


def test_what_is_no_found_network_of_the_search_is_refused(data: tuple[Tensor, Tensor]):
    found = combinatorial_search(MASKS, *data).best[0]
    with pytest.raises(TypeError, match="found must be a FoundNetwork"):
        initial_network(MASKS, MLP((2, 3, 1)))
    with pytest.raises(TypeError, match="config must be a SearchConfig"):
        initial_network(found, found)
    narrow = SearchConfig(target=0.9, width=2)
    with pytest.raises(ValueError, match="config must be that of found's search: its width is 2"):
        initial_network(narrow, found)
