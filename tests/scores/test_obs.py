from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from prunelimits.problem import problem_of
from prunelimits.scores import obs, obs_correction
from prunelimits.types import Masks, Params

from .cases import CASES, Case, dense_hessian, flat
from .test_obd import gauss_newton_matrix, regression


def refitted(x: Tensor, y: Tensor, kept: Tensor) -> Tensor:
    """The least-squares solution that uses some inputs alone."""
    weights = torch.zeros(1, x.shape[1], dtype=x.dtype)
    weights[0, kept] = torch.linalg.lstsq(x[:, kept], y).solution[:, 0]
    return weights


@pytest.mark.parametrize("gauss_newton", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_on_a_quadratic_it_is_the_rise_of_the_loss_after_refitting(
    seed: int, gauss_newton: bool
) -> None:
    case, x, y = regression(seed)
    least = case.mean_loss(case.weights())
    found = obs(case.problem, case.params, case.masks, damping=0.0, gauss_newton=gauss_newton)
    for place in range(4):
        kept = torch.arange(4) != place
        weights = refitted(x, y, kept)
        rise = case.mean_loss({"weight": weights}) - least
        torch.testing.assert_close(found["weight"][0, place], rise)
        corrected = obs_correction(
            case.problem, case.params, case.masks, {"weight": kept[None]}, damping=0.0
        )
        torch.testing.assert_close(corrected["weight"], weights)


def test_several_at_once_are_corrected_together() -> None:
    case, x, y = regression(5, inputs=6)
    kept = torch.tensor([True, False, False, True, True, False])
    found = obs_correction(
        case.problem, case.params, case.masks, {"weight": kept[None]}, damping=0.0
    )
    torch.testing.assert_close(found["weight"], refitted(x, y, kept))


def test_surgery_one_weight_at_a_time() -> None:
    case, x, y = regression(1, inputs=6)
    masks, weights = case.masks, case.params
    for size in range(5, 0, -1):
        scores = obs(case.problem, weights, masks, damping=0.0)["weight"]
        gone = scores.masked_fill(~masks["weight"], torch.inf).argmin()
        survivors = {"weight": masks["weight"] & (torch.arange(6) != gone)}
        rise = case.mean_loss({"weight": refitted(x, y, survivors["weight"][0])})
        torch.testing.assert_close(scores[0, gone], rise - case.mean_loss(weights))
        weights = obs_correction(case.problem, weights, masks, survivors, damping=0.0)
        masks = survivors
        assert int(masks["weight"].sum()) == size
        torch.testing.assert_close(weights["weight"], refitted(x, y, masks["weight"][0]))


@pytest.mark.parametrize("gauss_newton", [False, True])
def test_with_masks_it_is_the_inverse_on_the_kept_weights(case: Case, gauss_newton: bool) -> None:
    damping = 2.0
    kept = flat(case.masks).nonzero()[:, 0]
    matrix = gauss_newton_matrix(case) if gauss_newton else dense_hessian(case)
    matrix = matrix[kept][:, kept] + damping * torch.eye(len(kept))
    inverse = torch.linalg.inv(matrix)
    weights = flat(case.weights())[kept]
    expected = torch.zeros(len(flat(case.masks)), dtype=torch.float64)
    expected[kept] = weights.square() / (2 * inverse.diagonal())
    found = obs(case.problem, case.params, case.masks, damping=damping, gauss_newton=gauss_newton)
    torch.testing.assert_close(flat(found), expected, rtol=1e-8, atol=1e-11)

    gone = 1  # the paper's formula for one weight
    survivors = {name: mask.clone() for name, mask in case.masks.items()}
    change = -weights[gone] / inverse[gone, gone] * inverse[:, gone]
    corrected = flat(case.weights())
    corrected[kept] += change
    place = int(kept[gone])
    for mask in survivors.values():
        if 0 <= place < mask.numel():
            mask.view(-1)[place] = False
        place -= mask.numel()
    found = obs_correction(
        case.problem,
        case.params,
        case.masks,
        survivors,
        damping=damping,
        gauss_newton=gauss_newton,
    )
    torch.testing.assert_close(flat(found), corrected, rtol=1e-8, atol=1e-11)


def test_a_pruned_weight_does_not_come_back() -> None:
    case = CASES["perceptron"]()
    survivors = {name: torch.ones_like(mask) for name, mask in case.masks.items()}
    survivors["layers.1.weight"][:] = False
    both = {name: mask & survivors[name] for name, mask in case.masks.items()}
    found = obs_correction(case.problem, case.params, case.masks, survivors)
    assert not any(value[~both[name]].count_nonzero() for name, value in found.items())
    torch.testing.assert_close(found, obs_correction(case.problem, case.params, case.masks, both))
    assert (flat(found) != flat(case.weights()) * flat(both)).any()


def test_what_was_pruned_before_makes_no_singular_matrix() -> None:
    case, x, y = regression(2)
    before = {"weight": torch.tensor([[True, True, True, False]])}
    weights = {"weight": refitted(x, y, before["weight"][0])}
    survivors = {"weight": torch.tensor([[True, False, True, True]])}
    found = obs_correction(case.problem, weights, before, survivors, damping=0.0)["weight"]
    torch.testing.assert_close(found, refitted(x, y, torch.tensor([True, False, True, False])))


def test_many_corrections_at_once() -> None:
    case = CASES["perceptron"]()
    generator = torch.Generator().manual_seed(0)
    survivors = {
        name: torch.rand((5, *mask.shape), generator=generator) < 0.5
        for name, mask in case.masks.items()
    }

    def corrected(survivors: Masks) -> Params:
        return obs_correction(case.problem, case.params, case.masks, survivors)

    together = torch.func.vmap(corrected)(survivors)
    for member in range(5):
        alone = corrected({name: mask[member] for name, mask in survivors.items()})
        for name, value in alone.items():
            torch.testing.assert_close(together[name][member], value)


def test_a_unit_that_nothing_reaches_goes_first() -> None:
    case = CASES["perceptron"]()
    masks = {name: torch.ones_like(mask) for name, mask in case.masks.items()}
    masks["layers.2.weight"][0, 1] = False  # the last layer does not see unit 1 of the second
    found = obs(case.problem, case.params, masks)
    useless = found["layers.1.weight"][1]
    assert useless.max() < 1e-3
    torch.testing.assert_close(useless, case.params["layers.1.weight"][1].square() * 1e-4 / 2)


def test_bad_input() -> None:
    case = CASES["perceptron"]()
    with pytest.raises(ValueError, match=r"damping must be at least 0, got -1\.0"):
        obs(case.problem, case.params, case.masks, damping=-1.0)
    model = nn.Linear(129, 128)
    problem, params = problem_of(model, case.loss, [(torch.zeros(1, 129), torch.zeros(1))])
    masks = {"weight": torch.ones(128, 129, dtype=torch.bool)}
    with pytest.raises(ValueError, match="at most 16384 weights for a dense matrix, got 16512"):
        obs(problem, params, masks)
