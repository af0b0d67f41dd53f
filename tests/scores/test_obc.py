from __future__ import annotations

import pytest
import torch
from torch import Tensor

from prunelimits import pruners
from prunelimits.problem import problem_of
from prunelimits.scores import obc, obc_correction
from prunelimits.scores.layer_inputs import gram, layer_inputs
from prunelimits.scores.native import library
from prunelimits.scores.refit import damped, refit, solve_within
from prunelimits.scores.removal import (
    _removed,  # pyright: ignore[reportPrivateUsage]
    losses_of_removal,
)
from prunelimits.types import Masks, Params, Problem

from .cases import CASES, Case, draw
from .quadratic import best_mask, best_masks, error_of

GENERATOR = torch.Generator()


@pytest.fixture(autouse=True)
def same_numbers() -> None:
    GENERATOR.manual_seed(0)


def correlated(inputs: int, samples: int = 40) -> Tensor:
    """Inputs that can stand in for each other."""
    return draw(GENERATOR, samples, inputs) @ draw(GENERATOR, inputs, inputs)


def one_by_one(weights: Tensor, gram: Tensor) -> Tensor:
    """What an output's error rises by: at each step by trying every weight that is left."""
    left = torch.ones(len(weights), dtype=torch.bool)
    losses, error, highest = torch.zeros_like(weights), 0.0, 0.0
    while left.any():
        tried: list[tuple[float, int]] = []
        for place in left.nonzero()[:, 0].tolist():
            kept = left.clone()
            kept[place] = False
            tried.append((float(error_of(weights, gram, kept)[0]), place))
        new, place = min(tried)
        highest, error = max(highest, new - error), new
        losses[place], left[place] = highest, False
    return losses


@pytest.fixture(params=["compiled", "torch"])
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """What finds the order: the library, or torch where there is none."""
    if request.param == "torch":
        monkeypatch.setattr("prunelimits.scores.native.library.load", lambda: None)
    elif library.load() is None:
        pytest.skip("installed without the library")
    return request.param


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize("block", [1, 3, 64])
def test_weights_go_as_they_cost_least(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("prunelimits.scores.removal._BLOCK", block)
    for inputs in (1, 2, 7, 12):
        x = correlated(inputs)
        weights, matrix = draw(GENERATOR, 3, inputs), x.mT @ x
        expected = torch.stack([one_by_one(row, matrix) for row in weights])
        found = losses_of_removal(weights, torch.linalg.inv(matrix))
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-9)


@pytest.mark.usefixtures("engine")
def test_parts_of_the_rows_and_single_precision_make_the_same_choices(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    x = correlated(20, 200)
    weights, inverse = draw(GENERATOR, 5, 20), torch.linalg.inv(damped(x.mT @ x, 0.01))
    whole = losses_of_removal(weights, inverse)
    monkeypatch.setattr("prunelimits.scores.removal._ENTRIES", 1)
    monkeypatch.setattr("prunelimits.scores.removal._MULTIPLY_ADDS", 1)
    torch.testing.assert_close(losses_of_removal(weights, inverse), whole)
    monkeypatch.setattr("prunelimits.scores.removal._LARGE", 1)
    single = losses_of_removal(weights, inverse)
    assert torch.equal(single.argsort(1), whole.argsort(1))
    torch.testing.assert_close(single, whole, rtol=1e-3, atol=1e-3)


@pytest.mark.usefixtures("engine")
def test_where_single_precision_fails_double_takes_over(monkeypatch: pytest.MonkeyPatch) -> None:
    x = correlated(6)
    x[:, 5] = x[:, 4] + 1e-4 * draw(GENERATOR, 40)
    weights, inverse = draw(GENERATOR, 2, 6), torch.linalg.inv(x.mT @ x)
    whole = losses_of_removal(weights, inverse)
    assert whole.isfinite().all()
    monkeypatch.setattr("prunelimits.scores.removal._LARGE", 1)
    assert losses_of_removal(weights, inverse).isfinite().all()


@pytest.mark.parametrize("inputs", [1, 15, 16, 17, 127, 130, 300])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_library_finds_the_same_order_with_every_instruction_set(
    inputs: int, dtype: torch.dtype
) -> None:
    if (compiled := library.load()) is None:
        pytest.skip("installed without the library")
    x = correlated(inputs, 4 * inputs)
    inverse = torch.linalg.inv(damped(x.mT @ x, 0.01))
    weights = draw(GENERATOR, 5, inputs)
    expected = _removed(weights, inverse.expand(5, inputs, inputs))
    closeness = {torch.float32: 1e-3, torch.float64: 1e-9}[dtype]
    for kernel in range(len(compiled.kernels())):
        for matrices in (inverse, inverse.expand(5, inputs, inputs)):
            for threads in (1, 3):
                found = compiled.losses(
                    weights.to(dtype), matrices.to(dtype), threads=threads, kernel=kernel
                )
                torch.testing.assert_close(found, expected, rtol=closeness, atol=0)
                assert torch.equal(found.argsort(1), expected.argsort(1))


@pytest.mark.usefixtures("engine")
def test_of_equals_the_first_goes_first_and_each_row_may_have_a_matrix_of_its_own() -> None:
    weights = torch.tensor([[2.0, -1.0, 1.0, 1.0], [0.0, 3.0, 0.0, 3.0]], dtype=torch.float64)
    one = torch.eye(4, dtype=torch.float64)
    found = losses_of_removal(weights, torch.stack([one, 2 * one]))
    assert found.argsort(1).tolist() == [[1, 2, 3, 0], [0, 2, 1, 3]]
    torch.testing.assert_close(found, weights.square() / torch.tensor([[1.0], [2.0]]))


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize("inputs", [4, 300])
def test_a_matrix_that_is_none_is_told(inputs: int) -> None:
    inverse = torch.eye(inputs, dtype=torch.float64)
    inverse[0, 1] = inverse[1, 0] = 2.0
    with pytest.raises(ValueError, match="damping must be larger"):
        losses_of_removal(torch.ones(2, inputs, dtype=torch.float64), inverse)
    inverse[0, 0] = torch.nan
    with pytest.raises(ValueError, match="damping must be larger"):
        losses_of_removal(torch.ones(2, inputs, dtype=torch.float64), inverse)


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 0.8, 1.0])
def test_what_stays_is_fitted_by_least_squares(share: float) -> None:
    x = correlated(8)
    weights, matrix = draw(GENERATOR, 6, 8), x.mT @ x
    kept = torch.rand(6, 8, generator=GENERATOR) < share
    kept[0] = True  # nothing goes
    found = refit(weights, matrix, kept)
    for row, survivors, fitted in zip(weights, kept, found, strict=True):
        expected = torch.zeros_like(row)
        if survivors.any():
            solution = torch.linalg.lstsq(x[:, survivors], (x @ row)[:, None]).solution
            expected[survivors] = solution[:, 0]
        torch.testing.assert_close(fitted, expected, rtol=1e-6, atol=1e-8)


def test_systems_of_all_sizes_are_solved_in_any_grouping(monkeypatch: pytest.MonkeyPatch) -> None:
    x = correlated(9)
    matrix, chosen = x.mT @ x, torch.rand(30, 9, generator=GENERATOR) < 0.5
    right = draw(GENERATOR, 30, 9)
    for entries in (1, 100, 2**22):
        monkeypatch.setattr("prunelimits.scores.refit._ENTRIES", entries)
        found = solve_within(matrix, chosen, right)
        assert not found[~chosen].any()
        torch.testing.assert_close((found @ matrix)[chosen], right[chosen])


def layer(x: Tensor, outputs: int) -> tuple[Problem, Params, Masks]:
    problem, params = problem_of(torch.nn.Linear(x.shape[1], outputs).double(), batches=[(x, x)])
    params["weight"] = draw(GENERATOR, outputs, x.shape[1])
    return problem, params, {"weight": torch.ones_like(params["weight"]).bool()}


def test_of_an_output_with_few_inputs_it_is_near_the_best_of_all_masks() -> None:
    ratios: list[float] = []
    for _ in range(60):
        x = correlated(8)
        problem, params, masks = layer(x, 1)
        order = obc(problem, params, masks, damping=0.0)["weight"][0].argsort(descending=True)
        matrix = x.mT @ x
        for keep in (1, 2, 4, 6, 7):
            kept = torch.zeros(8, dtype=torch.bool)
            kept[order[:keep]] = True
            error, fitted = error_of(params["weight"][0], matrix, kept)
            _, least = best_mask(params["weight"][0], matrix, keep)
            ratios.append(float(error / least))
            found = obc_correction(problem, params, masks, {"weight": kept[None]}, damping=0.0)
            torch.testing.assert_close(found["weight"][0], fitted, rtol=1e-6, atol=1e-8)
            assert ratios[-1] >= 1 - 1e-9
    exact = sum(ratio < 1 + 1e-9 for ratio in ratios) / len(ratios)
    assert exact > 2 / 3  # 0.70 here
    assert sorted(ratios)[int(0.9 * len(ratios))] < 3  # 2.1 here: far from it where it is not


def test_of_a_layer_it_is_near_the_best_of_all_masks_too() -> None:
    ratios: list[float] = []
    for _ in range(8):
        x = correlated(6)
        _, params, _ = layer(x, 3)
        model = torch.nn.Linear(6, 3).double()
        with torch.no_grad():
            model.weight.copy_(params["weight"])
        for keep in (4, 9, 14):
            result = pruners.prune_with_weights(
                model, pruners.OBC(damping=1e-12), keep=keep, batches=[(x, x)]
            )
            change = result.params["weight"] - params["weight"]
            error = ((change @ (x.mT @ x)) * change).sum()
            ratios.append(float(error / best_masks(params["weight"], x.mT @ x, keep)))
    assert min(ratios) >= 1 - 1e-6
    assert sum(ratios) / len(ratios) < 1.25


def test_with_masks_it_is_the_problem_of_the_kept_weights(case: Case) -> None:
    found = obc(case.problem, case.params, case.masks, damping=0.1)
    inputs = layer_inputs(case.problem, case.params, case.masks, gram)
    for name, mask in case.masks.items():
        part = inputs[name]
        blocks = zip(
            part.rows(case.weights()[name]), part.rows(mask), damped(part.sums, 0.1),
            part.rows(found[name]), strict=True,
        )  # fmt: skip
        for rows, kept, matrix, losses in blocks:
            for row, some, scores in zip(rows, kept, losses, strict=True):
                expected = torch.zeros_like(row)
                expected[some] = one_by_one(row[some], matrix[some][:, some])
                torch.testing.assert_close(scores, expected, rtol=1e-6, atol=1e-9)


def test_the_scores_lead_to_the_paper_s_global_step() -> None:
    """The heap of the paper: of all outputs the one whose next weight costs least goes on."""
    x = correlated(6)
    problem, params, masks = layer(x, 4)
    matrix = x.mT @ x
    found = obc(problem, params, masks, damping=0.0)["weight"]
    left = masks["weight"].clone()
    for _ in range(23):
        nexts: list[tuple[float, int, int]] = []
        for row in left.any(1).nonzero()[:, 0].tolist():
            error = error_of(params["weight"][row], matrix, left[row])[0]
            for place in left[row].nonzero()[:, 0].tolist():
                kept = left[row].clone()
                kept[place] = False
                rise = error_of(params["weight"][row], matrix, kept)[0] - error
                nexts.append((float(rise), row, place))
        _, row, place = min(nexts)
        left[row, place] = False
        lowest = found.masked_fill(~masks["weight"], -1).flatten().argsort()[: int((~left).sum())]
        assert set(lowest.tolist()) == set((~left).flatten().nonzero()[:, 0].tolist())


def test_an_input_that_is_never_there_can_go() -> None:
    x = draw(GENERATOR, 40, 5)
    x[:, 2] = 0
    problem, params, masks = layer(x, 2)
    params["weight"] = torch.ones_like(params["weight"])
    found = obc(problem, params, masks)["weight"]
    assert torch.equal(found.argmin(1), torch.tensor([2, 2]))
    with pytest.raises(ValueError, match="damping must be larger"):
        obc(problem, params, masks, damping=0.0)


def test_bad_input() -> None:
    case = CASES["perceptron"]()
    with pytest.raises(ValueError, match=r"damping must be at least 0, got -1\.0"):
        obc(case.problem, case.params, case.masks, damping=-1.0)
    with pytest.raises(ValueError, match="survivors names"):
        obc_correction(case.problem, case.params, {}, case.masks)


def test_smaller_budgets_keep_part_of_what_larger_ones_keep() -> None:
    x = correlated(6)
    model = torch.nn.Linear(6, 3).double()
    last = torch.ones(3, 6, dtype=torch.bool)
    for keep in range(17, 0, -1):
        mask = pruners.prune(model, pruners.OBC(scope="global"), keep=keep, batches=[(x, x)])
        assert not (mask["weight"] & ~last).any()
        last = mask["weight"]
