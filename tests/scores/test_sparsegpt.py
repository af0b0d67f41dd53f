from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from prunelimits import pruners
from prunelimits.masks import top
from prunelimits.pruners import SparseGPT, prune_with_weights
from prunelimits.scores.layer_inputs import gram, layer_inputs
from prunelimits.scores.refit import damped
from prunelimits.scores.sparsegpt import sparsegpt

from .cases import draw


def by_inverses(weights: Tensor, matrix: Tensor, keep: int, block: int) -> tuple[Tensor, Tensor]:
    """The paper's sweep with an inverse of its own at every input, one weight at a time."""
    weights, masks = weights.clone(), torch.zeros_like(weights, dtype=torch.bool)
    outputs, inputs = weights.shape
    for place in range(inputs):
        inverse = torch.linalg.inv(matrix[place:, place:])
        if place % block == 0:
            end = min(place + block, inputs)
            quota = keep * end // inputs - keep * place // inputs
            scales = [torch.linalg.inv(matrix[j:, j:])[0, 0] for j in range(place, end)]
            scores = weights[:, place:end].square() / torch.stack(scales)
            masks[:, place:end] = top({"block": scores}, quota)["block"]
        for output in range(outputs):
            if not masks[output, place]:
                ratio = weights[output, place] / inverse[0, 0]
                weights[output, place:] -= ratio * inverse[:, 0]
                weights[output, place] = 0
    return masks, weights


@pytest.mark.parametrize("block", [1, 2, 3, 7, 128])
def test_it_is_the_sweep_of_the_paper(block: int) -> None:
    generator = torch.Generator().manual_seed(block)
    x, weights = draw(generator, 30, 7), draw(generator, 4, 7)
    matrix, allowed = x.mT @ x, torch.ones(4, 7, dtype=torch.bool)
    for keep in (0, 5, 14, 28):
        masks, found = sparsegpt(weights, matrix, allowed, torch.tensor(keep), block=block)
        expected = by_inverses(weights, matrix, keep, block)
        assert torch.equal(masks, expected[0])
        assert int(masks.sum()) == keep
        torch.testing.assert_close(found, expected[1])


def network() -> tuple[nn.Module, Tensor]:
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(2, 4, 3, groups=2), nn.ReLU(), nn.Flatten(), nn.Linear(16, 5), nn.Linear(5, 3)
    )
    return model.double(), draw(generator, 50, 2, 4, 4)


def test_each_layer_sees_what_the_pruned_ones_before_it_give() -> None:
    model, x = network()
    result = prune_with_weights(model, SparseGPT(block=4), sparsity=0.5, batches=[(x, x)])
    dense = prune_with_weights(
        model, SparseGPT(block=4, sequential=False), sparsity=0.5, batches=[(x, x)]
    )
    quotas = pruners.plan(model, SparseGPT(), sparsity=0.5).quotas
    assert quotas == {name: int(mask.sum()) for name, mask in result.masks.items()}
    assert torch.equal(result.masks["0.weight"], dense.masks["0.weight"])
    assert not torch.equal(result.params["3.weight"], dense.params["3.weight"])

    before = nn.Sequential(*list(model)[:3])
    hidden = torch.func.functional_call(before, {"0.weight": result.params["0.weight"]}, (x,))
    matrix = damped(hidden.mT @ hidden, 0.01).detach()
    weight = model[3].weight.detach()
    masks, weights = by_inverses(weight, matrix, quotas["3.weight"], 4)
    assert torch.equal(masks, result.masks["3.weight"])
    torch.testing.assert_close(weights, result.params["3.weight"])


def test_groups_of_a_convolution_are_layers_of_their_own() -> None:
    model, x = network()
    result = prune_with_weights(model, SparseGPT(), keep=17, batches=[(x, x)], ignore=[nn.Linear])
    problem, params = pruners.task.problem_of(model, batches=[(x, x)])
    found = layer_inputs(problem, params, {"0.weight": result.masks["0.weight"] | True}, gram)
    matrices = damped(found["0.weight"].sums, 0.01)
    for group, keep in enumerate((8, 9)):
        rows = slice(2 * group, 2 * group + 2)
        weight = params["0.weight"][rows].flatten(1)
        masks, weights = by_inverses(weight, matrices[group], keep, 128)
        assert torch.equal(masks, result.masks["0.weight"][rows].flatten(1))
        torch.testing.assert_close(weights, result.params["0.weight"][rows].flatten(1))


def test_there_is_no_ranking_across_layers() -> None:
    with pytest.raises(ValueError, match=r"scope must be a quota for each layer.*got 'global'"):
        SparseGPT(scope="global")
