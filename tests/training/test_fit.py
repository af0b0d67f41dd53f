"""The laws of training, for every engine, against a plain loop over single PyTorch models."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass, replace
from itertools import pairwise, product
from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from prunelimits.models.mlp import parameter_shapes
from prunelimits.training import (
    AbstractEngine,
    MLPEnsemble,
    Recipe,
    TorchEngine,
    default_engine,
    evaluate,
    fit,
)
from prunelimits.training.engine import Loss
from prunelimits.training.fit import diverged_members
from prunelimits.training.initialisation import initial_params
from prunelimits.training.plan import _recent_order, sample_order
from prunelimits.training.recipe import Schedule
from prunelimits.types import Masks, Params

Supported = Callable[[MLPEnsemble], MLPEnsemble]
CLASSES: dict[Loss, int] = {"binary_cross_entropy": 1, "cross_entropy": 3, "mse": 2}
LOSSES: list[Loss] = ["binary_cross_entropy", "cross_entropy", "mse"]


def data(loss: Loss, n: int = 53, inputs: int = 2, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, inputs, generator=generator, dtype=torch.float64)
    match loss:
        case "binary_cross_entropy":
            return x, (x.sin().sum(1) > 0).double()
        case "cross_entropy":
            return x, (3 * x.sum(1).sigmoid()).long()
        case "mse":
            return x, torch.stack([x.prod(1), x.sum(1).cos()], 1)


def masks_for(widths: tuple[int, ...], models: int, seed: int = 0) -> Masks:
    generator = torch.Generator().manual_seed(seed)
    return {
        name: torch.rand(models, *shape, generator=generator) < 0.7
        for name, shape in parameter_shapes(widths).items()
    }


# --- the oracle: one model, torch.optim.SGD, torch's own schedulers -----------------------------


class PlainMLP(nn.Module):
    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(d_in, d_out) for d_in, d_out in pairwise(widths))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers[:-1]:
            x = torch.relu(layer(x))
        return self.layers[-1](x)


def plain_model(ensemble: MLPEnsemble, member: int) -> PlainMLP:
    with torch.random.fork_rng():
        model = PlainMLP(ensemble.widths).to(ensemble.dtype)
    model.load_state_dict({n: v[member].clone() for n, v in ensemble.params.items()})
    return model


def plain_loss(outputs: Tensor, y: Tensor, loss: Loss) -> Tensor:
    match loss:
        case "binary_cross_entropy":
            return nn.BCEWithLogitsLoss()(outputs.squeeze(1), y)
        case "cross_entropy":
            return nn.CrossEntropyLoss()(outputs, y)
        case "mse":
            return nn.MSELoss()(outputs, y)


def hold_pruned_at_zero(model: nn.Module, masks: Masks) -> None:
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.mul_(masks[name])


@dataclass
class PlainState:
    params: Params
    momentum: Params


def plain_training(
    ensemble: MLPEnsemble, member: int, x: Tensor, y: Tensor, recipe: Recipe, loss: Loss, seed: int
) -> Iterator[PlainState]:
    """One member's training, yielding its state after every step."""
    x = x.to(ensemble.dtype)
    y = y if loss == "cross_entropy" else y.to(ensemble.dtype)
    masks = {name: mask[member] for name, mask in ensemble.masks.items()}
    model = plain_model(ensemble, member)
    optimizer = torch.optim.SGD(
        model.parameters(),
        lr=recipe.lr,
        momentum=recipe.momentum,
        weight_decay=recipe.weight_decay,
    )
    match recipe.schedule:
        case "constant":
            scheduler = None
        case "cosine":
            scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, recipe.epochs)
        case "step":
            milestones = [math.ceil(share * recipe.epochs / 10) for share in (3, 6)]
            scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones)
    for epoch in range(recipe.epochs):
        order = sample_order(len(x), seed, epoch)
        for batch in range(len(x) // recipe.batch_size):
            chosen = order[batch * recipe.batch_size : (batch + 1) * recipe.batch_size]
            hold_pruned_at_zero(model, masks)
            optimizer.zero_grad()
            plain_loss(model(x[chosen]), y[chosen], loss).backward()
            optimizer.step()
            hold_pruned_at_zero(model, masks)
            buffers = {
                name: optimizer.state[parameter].get("momentum_buffer")
                for name, parameter in model.named_parameters()
            }
            yield PlainState(
                params={n: p.detach().clone() for n, p in model.named_parameters()},
                momentum={n: b * masks[n] for n, b in buffers.items() if b is not None},
            )
        if scheduler is not None:
            scheduler.step()


def close(actual: Tensor, expected: Tensor, what: str = "") -> None:
    tolerance = 1e-10 if expected.dtype == torch.float64 else 1e-5
    if not torch.allclose(actual, expected, rtol=tolerance, atol=tolerance):  # the fast way
        torch.testing.assert_close(
            actual, expected, rtol=tolerance, atol=tolerance, msg=lambda text: f"{what}: {text}"
        )


def identical(left: Params, right: Params) -> bool:
    """Equal to the last bit, NaN included."""
    return left.keys() == right.keys() and all(
        left[n].numpy().tobytes() == right[n].numpy().tobytes() for n in left
    )


def same_state(left: MLPEnsemble, right: MLPEnsemble) -> bool:
    return all(
        identical(getattr(left, part), getattr(right, part))
        for part in ("params", "masks", "momentum")
    )


DEPTHS = [(2,), (2, 4), (2, 5, 4), (2, 3, 3, 3), (2, 4, 1, 3, 2)]


RECIPES = [
    Recipe(10, 16, lr=lr, momentum=momentum, weight_decay=decay, schedule=schedule)
    for schedule in get_args(Schedule)
    for lr, momentum, decay in [(0.1, 0.9, 5e-4), (0.2, 0.5, 0.05), (0.03, 0.0, 0.0)]
]


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("hidden", DEPTHS, ids=str)
@pytest.mark.parametrize("loss", LOSSES)
def test_every_step_of_every_recipe_is_that_of_a_plain_loop(
    engine: AbstractEngine,
    supported: Supported,
    loss: Loss,
    hidden: tuple[int, ...],
    dtype: torch.dtype,
) -> None:
    widths, models = (*hidden, CLASSES[loss]), len(RECIPES)
    ensemble = MLPEnsemble(widths, models, masks=masks_for(widths, models), dtype=dtype)
    supported(ensemble)
    x, y = data(loss)
    oracles = [plain_training(ensemble, i, x, y, r, loss, seed=4) for i, r in enumerate(RECIPES)]
    now = ensemble
    for step in range(10 * (53 // 16)):
        now = fit(
            now, x, y, RECIPES, loss=loss, seed=4, start=step, stop=step + 1, engine=engine
        ).ensemble
        states = [next(oracle) for oracle in oracles]
        with_momentum = [i for i, recipe in enumerate(RECIPES) if recipe.momentum]
        for name in parameter_shapes(widths):
            params = torch.stack([state.params[name] for state in states])
            close(now.params[name], params, f"{name} after step {step}")
            momentum = torch.stack([states[i].momentum[name] for i in with_momentum])
            close(now.momentum[name][with_momentum], momentum, f"momentum of {name}, step {step}")
    assert all(next(oracle, None) is None for oracle in oracles)  # it was the whole training
    assert not any(torch.equal(now.params[n], ensemble.params[n]) for n in now.params)


# --- segments ---------------------------------------------------------------------------------


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.integers(0, 12), max_size=4), dtype=st.sampled_from([4, 8]))
def test_segments_are_the_whole_to_the_last_bit(
    engine: AbstractEngine, cuts: list[int], dtype: int
) -> None:
    kind = torch.float32 if dtype == 4 else torch.float64
    ensemble = MLPEnsemble((2, 4, 3, 1), 5, masks=masks_for((2, 4, 3, 1), 5), dtype=kind)
    if not engine.supports(ensemble):
        return
    x, y = data("binary_cross_entropy")
    recipe = Recipe(epochs=4, batch_size=16, schedule="cosine")
    whole = fit(ensemble, x, y, recipe, engine=engine)
    now, start = ensemble, 0
    for stop in [*sorted(cuts), None]:
        result = fit(now, x, y, recipe, start=start, stop=stop, engine=engine)
        now, start = result.ensemble, stop or 0
    assert same_state(now, whole.ensemble)
    assert torch.equal(result.loss, whole.loss)
    assert torch.equal(result.accuracy, whole.accuracy)


def test_no_steps_train_nothing_and_measure(engine: AbstractEngine) -> None:
    ensemble = MLPEnsemble((2, 4, 1), 3)
    x, y = data("binary_cross_entropy")
    result = fit(ensemble, x, y, Recipe(epochs=2, batch_size=16), start=3, stop=3, engine=engine)
    assert same_state(result.ensemble, ensemble)
    measured = evaluate(ensemble, x, y, engine=engine)
    assert torch.equal(result.loss, measured.loss)
    assert torch.equal(result.accuracy, measured.accuracy)


def test_the_order_depends_on_the_seed_of_the_run_alone(engine: AbstractEngine) -> None:
    ensemble = MLPEnsemble((2, 4, 1), 3)
    x, y = data("binary_cross_entropy")
    recipe = Recipe(epochs=1, batch_size=16)
    first, again, other = (
        fit(ensemble, x, y, recipe, seed=seed, engine=engine).ensemble for seed in (1, 1, 2)
    )
    assert same_state(first, again)
    assert not same_state(first, other)


@given(st.integers(1, 60), st.integers(-(2**70), 2**70), st.integers(0, 1000))
def test_sample_order_is_a_permutation_of_its_own(samples: int, seed: int, epoch: int) -> None:
    state = torch.get_rng_state()
    order = sample_order(samples, seed, epoch)
    assert sorted(order.tolist()) == list(range(samples))
    assert order.dtype == torch.int64
    _recent_order.cache_clear()
    assert torch.equal(order, sample_order(samples, seed, epoch))
    assert torch.equal(torch.get_rng_state(), state)


def test_short_sample_orders_are_kept() -> None:
    assert sample_order(2**17, 0, 0) is sample_order(2**17, 0, 0)
    assert sample_order(2**17 + 1, 0, 0) is not sample_order(2**17 + 1, 0, 0)


def test_sample_orders_of_epochs_and_seeds_differ() -> None:
    orders = {tuple(sample_order(30, s, e).tolist()) for s in range(10) for e in range(10)}
    assert len(orders) == 100


# --- measuring --------------------------------------------------------------------------------


def plain_measure(model: nn.Module, x: Tensor, y: Tensor, loss: Loss) -> tuple[float, float]:
    """Mean loss and share of right answers, sample by sample, in float64."""
    model, x = model.double(), x.double()
    total, right = 0.0, 0
    for i in range(len(x)):
        with torch.no_grad():
            output = model(x[i : i + 1])
            total += float(plain_loss(output, y[i : i + 1], loss))
        values = output[0].tolist()
        if loss == "binary_cross_entropy":
            right += math.isfinite(values[0]) and (values[0] > 0) == (float(y[i]) == 1)
        elif loss == "cross_entropy":
            right += all(map(math.isfinite, values)) and values.index(max(values)) == int(y[i])
    return total / len(x), math.nan if loss == "mse" else right / len(x)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("loss", LOSSES)
def test_evaluate_equals_a_loop_over_samples(
    engine: AbstractEngine, supported: Supported, loss: Loss, dtype: torch.dtype
) -> None:
    widths = (2, 4, 3, CLASSES[loss])
    ensemble = supported(MLPEnsemble(widths, 20, masks=masks_for(widths, 20), dtype=dtype))
    x, y = data(loss, n=37)
    x = x.float().double()  # the samples as a float32 engine sees them
    y = y.float().double() if loss == "mse" else y
    measured = evaluate(ensemble, x, y, loss=loss, engine=engine)
    assert measured.loss.shape == measured.accuracy.shape == (20,)
    assert measured.loss.dtype == measured.accuracy.dtype == torch.float64
    tolerance = 1e-12 if dtype == torch.float64 else 2e-6
    for member in range(20):
        expected = plain_measure(plain_model(ensemble, member), x, y, loss)
        found = float(measured.loss[member]), float(measured.accuracy[member])
        assert found == pytest.approx(expected, rel=tolerance, abs=tolerance, nan_ok=True)


@pytest.mark.parametrize("loss", LOSSES)
def test_fit_reports_what_evaluate_measures(engine: AbstractEngine, loss: Loss) -> None:
    ensemble = MLPEnsemble((2, 4, CLASSES[loss]), 4)
    x, y = data(loss)
    result = fit(ensemble, x, y, Recipe(epochs=2, batch_size=16), loss=loss, engine=engine)
    measured = evaluate(result.ensemble, x, y, loss=loss, engine=engine)
    assert torch.equal(result.loss, measured.loss)
    assert torch.equal(result.accuracy.nan_to_num(-1), measured.accuracy.nan_to_num(-1))
    assert result.accuracy.isnan().all() == (loss == "mse")
    assert result.diverged.dtype == torch.bool
    assert result.diverged.tolist() == [False] * 4


def test_a_logit_of_exactly_zero_is_class_0(engine: AbstractEngine) -> None:
    zero = {n: torch.zeros_like(v) for n, v in initial_params((2, 3, 1), range(2)).items()}
    ensemble = MLPEnsemble.from_params((2, 3, 1), zero)
    x = torch.ones(8, 2)
    y = torch.tensor([0.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0])
    measured = evaluate(ensemble, x, y, engine=engine)
    assert measured.accuracy.tolist() == [0.75, 0.75]
    assert measured.loss.tolist() == pytest.approx([math.log(2)] * 2, rel=1e-6)


@pytest.mark.parametrize("loss", LOSSES)
def test_gradients_are_autograds_for_pruned_parameters_too(
    engine: AbstractEngine, loss: Loss
) -> None:
    for dtype in (torch.float32, torch.float64):
        widths = (2, 4, 3, CLASSES[loss])
        ensemble = MLPEnsemble(widths, 9, masks=masks_for(widths, 9), dtype=dtype)
        if not engine.supports(ensemble):
            continue
        x, y = data(loss)
        x, y = x.to(dtype), y if loss == "cross_entropy" else y.to(dtype)
        found = engine.gradients(ensemble, x, y, loss)
        grown = 0
        for member in range(9):
            model = plain_model(ensemble, member)
            plain_loss(model(x), y, loss).backward()
            for name, parameter in model.named_parameters():
                assert parameter.grad is not None
                close(found[name][member], parameter.grad, name)
                grown += int((found[name][member][~ensemble.masks[name][member]] != 0).sum())
        assert grown > 0  # the test saw pruned parameters with a gradient


# --- members do not touch each other -------------------------------------------------------------


@pytest.mark.parametrize("loss", LOSSES)
def test_a_member_is_the_same_alone_and_among_others(engine: AbstractEngine, loss: Loss) -> None:
    widths = (2, 4, 3, CLASSES[loss])
    for dtype in (torch.float32, torch.float64):
        ensemble = MLPEnsemble(widths, 7, masks=masks_for(widths, 7), dtype=dtype)
        if not engine.supports(ensemble):
            continue
        x, y = data(loss)
        recipe = Recipe(epochs=3, batch_size=16)
        together = fit(ensemble, x, y, recipe, loss=loss, engine=engine)
        for member in range(7):
            alone = fit(ensemble[member : member + 1], x, y, recipe, loss=loss, engine=engine)
            for name, value in alone.ensemble.params.items():
                close(together.ensemble.params[name][member], value[0], name)
            close(together.loss[member].to(dtype), alone.loss[0].to(dtype), "loss")


def test_members_that_diverge_are_flagged_and_leave_the_others_alone(
    engine: AbstractEngine,
) -> None:
    widths = (2, 4, 3, 1)
    ensemble = MLPEnsemble(widths, 5, masks=masks_for(widths, 5))
    x, y = data("binary_cross_entropy")
    calm = Recipe(epochs=3, batch_size=16)
    wild = replace(calm, lr=1e30)
    recipes = [calm, wild, calm, calm, wild]
    result = fit(ensemble, x, y, recipes, engine=engine)
    assert result.diverged.tolist() == [False, True, False, False, True]
    assert result.accuracy[result.diverged].tolist() == [0.0, 0.0]
    assert (result.accuracy[~result.diverged] > 0).all()
    quiet = fit(ensemble, x, y, calm, engine=engine)
    for name, value in quiet.ensemble.params.items():
        close(result.ensemble.params[name][~result.diverged], value[~result.diverged], name)
    assert torch.equal(diverged_members(result.ensemble) | ~result.loss.isfinite(), result.diverged)
    zero_outside_masks(result.ensemble)


def test_diverged_members_are_flagged_under_squared_error(engine: AbstractEngine) -> None:
    ensemble = MLPEnsemble((2, 4, 2), 2)
    x, y = data("mse")
    calm = Recipe(epochs=2, batch_size=16)
    recipes = [calm, replace(calm, lr=1e30)]
    result = fit(ensemble, x, y, recipes, loss="mse", engine=engine)
    assert result.diverged.tolist() == [False, True]
    assert result.accuracy.isnan().tolist() == [True, False]
    assert result.accuracy[1] == 0


@pytest.mark.parametrize("loss", ["binary_cross_entropy", "cross_entropy"])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_outputs_that_are_not_finite_are_never_right(
    engine: AbstractEngine, loss: Loss, bad: float
) -> None:
    outputs = CLASSES[loss]
    x, y = data(loss)
    for place, label in product(range(outputs), range(max(2, outputs))):
        params = initial_params((2, 3, outputs), range(2))
        params["layers.1.bias"][0, place] = bad
        ensemble = MLPEnsemble.from_params((2, 3, outputs), params)
        same = torch.full_like(y, label)
        measured = evaluate(ensemble, x, same, engine=engine)
        assert measured.accuracy[0] == 0
        expected = plain_measure(plain_model(ensemble, 1), x.float().double(), same, loss)
        assert float(measured.accuracy[1]) == pytest.approx(expected[1], abs=1e-12)
        result = fit(ensemble, x, same, Recipe(epochs=1, batch_size=16), engine=engine)
        assert result.diverged.tolist() == [True, False]
        assert result.accuracy[0] == 0


def test_samples_whose_output_overflows_are_wrong_one_by_one(engine: AbstractEngine) -> None:
    params = {n: torch.zeros_like(v) for n, v in initial_params((2, 1, 1), range(1)).items()}
    params["layers.0.weight"][0, 0, 0] = 1e30
    params["layers.1.weight"].fill_(1e30)
    params["layers.1.bias"].fill_(0.5)
    ensemble = MLPEnsemble.from_params((2, 1, 1), params)
    x = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [1.0, 1.0], [-1.0, 1.0]])  # inf, 0.5, inf, 0.5
    measured = evaluate(ensemble, x, torch.ones(4), engine=engine)
    assert measured.accuracy.tolist() == [0.5]
    measured = evaluate(ensemble, x, torch.tensor([1.0, 0.0, 0.0, 0.0]), engine=engine)
    assert measured.accuracy.tolist() == [0.0]


# --- what stays as it was ------------------------------------------------------------------------


def zero_outside_masks(ensemble: MLPEnsemble) -> None:
    for name, mask in ensemble.masks.items():
        assert (ensemble.params[name][~mask] == 0).all(), name
        assert (ensemble.momentum[name][~mask] == 0).all(), name


@pytest.mark.parametrize("loss", LOSSES)
def test_pruned_parameters_and_their_momentum_stay_exactly_zero(
    engine: AbstractEngine, loss: Loss
) -> None:
    widths = (2, 4, 3, CLASSES[loss])
    ensemble = MLPEnsemble(widths, 9, masks=masks_for(widths, 9))
    x, y = data(loss)
    result = fit(ensemble, x, y, Recipe(epochs=3, batch_size=16), loss=loss, engine=engine)
    zero_outside_masks(result.ensemble)
    assert identical(result.ensemble.masks, ensemble.masks)
    assert torch.equal(result.ensemble.nonzeros(), ensemble.nonzeros())


def test_an_empty_network_learns_its_bias_alone(engine: AbstractEngine) -> None:
    masks = {n: torch.zeros(s).bool() for n, s in parameter_shapes((2, 4, 1)).items()}
    masks["layers.1.bias"] = torch.ones(1).bool()
    ensemble = MLPEnsemble((2, 4, 1), 2, masks=masks)
    x = torch.ones(64, 2)
    y = torch.tensor([1.0, 1.0, 1.0, 0.0]).repeat(16)
    recipe = Recipe(epochs=400, batch_size=64, lr=0.5, weight_decay=0.0)
    result = fit(ensemble, x, y, recipe, engine=engine)
    assert result.accuracy.tolist() == [0.75, 0.75]
    # Three in four are ones: the best constant logit is log 3.
    logits = result.ensemble.params["layers.1.bias"].flatten().tolist()
    assert logits == pytest.approx([math.log(3)] * 2, abs=1e-4)


def test_global_state_and_the_callers_tensors_stay_as_they_were(engine: AbstractEngine) -> None:
    widths = (2, 4, 1)
    ensemble = MLPEnsemble(widths, 5, masks=masks_for(widths, 5))
    ensemble = ensemble.replace(momentum=initial_params(widths, range(5)))
    x, y = data("binary_cross_entropy")
    before = deepcopy(ensemble), x.clone(), y.clone()

    def global_state() -> list[object]:
        return [
            torch.get_rng_state().tolist(),
            random.getstate(),
            np.random.get_state()[1].tolist(),  # noqa: NPY002
            torch.get_num_threads(),
            torch.get_default_dtype(),
            torch.are_deterministic_algorithms_enabled(),
            torch.is_grad_enabled(),
            torch.tensor(1e-45).mul(1).tolist(),  # denormals are not flushed
        ]

    for grad in (True, False):
        with torch.set_grad_enabled(grad):
            state = global_state()
            result = fit(ensemble, x, y, Recipe(epochs=1, batch_size=16), engine=engine)
            engine.gradients(ensemble, x.float(), y.float(), "binary_cross_entropy")
            evaluate(ensemble, x, y, engine=engine)
            assert global_state() == state
            for value in (*result.ensemble.params.values(), *result.ensemble.momentum.values()):
                assert not value.requires_grad
    assert same_state(ensemble, before[0])
    assert torch.equal(x, before[1])
    assert torch.equal(y, before[2])
    for part in (result.ensemble.params, result.ensemble.momentum, result.ensemble.masks):
        for value in part.values():
            value.zero_()  # storage of its own
    assert same_state(ensemble, before[0])


def test_data_in_any_layout_are_the_same_data(engine: AbstractEngine) -> None:
    ensemble = MLPEnsemble((2, 4, 1), 3)
    x, y = data("binary_cross_entropy")
    x, y = x.float(), y.float()
    recipe = Recipe(epochs=1, batch_size=16)
    expected = fit(ensemble, x, y, recipe, engine=engine)
    strided = x.T.contiguous().T
    assert torch.equal(strided, x)
    labels = torch.stack([y, 1 - y], 1)[:, 0]
    assert not strided.is_contiguous()
    assert not labels.is_contiguous()
    found = fit(ensemble, strided, labels, recipe, engine=engine)
    assert same_state(found.ensemble, expected.ensemble)
    assert torch.equal(found.loss, expected.loss)


def test_one_batch_may_be_all_the_data_and_the_rest_of_an_epoch_is_dropped(
    engine: AbstractEngine,
) -> None:
    ensemble = MLPEnsemble((2, 3, 1), 2)
    x, y = data("binary_cross_entropy")
    for batch_size, steps in ((53, 1), (52, 1), (27, 1), (26, 2), (1, 53)):
        recipe = Recipe(epochs=2, batch_size=batch_size, lr=0.01)
        result = fit(ensemble, x, y, recipe, engine=engine)
        states = list(plain_training(ensemble, 1, x, y, recipe, "binary_cross_entropy", 0))
        assert len(states) == 2 * steps
        for name, expected in states[-1].params.items():
            close(result.ensemble.params[name][1], expected, name)


def test_the_default_recipe_and_losses() -> None:
    ensemble = MLPEnsemble((2, 3, 1), 2)
    x, y = data("binary_cross_entropy", n=130)
    engine = TorchEngine()
    by_default = fit(ensemble, x, y, engine=engine)
    said = fit(ensemble, x, y, Recipe(), loss="binary_cross_entropy", engine=engine)
    assert same_state(by_default.ensemble, said.ensemble)
    many = MLPEnsemble((2, 3, 3), 2)
    labels = data("cross_entropy", n=130)[1]
    by_default = evaluate(many, x, labels, engine=engine)
    said = evaluate(many, x, labels, loss="cross_entropy", engine=engine)
    assert torch.equal(by_default.loss, said.loss)


@pytest.mark.filterwarnings("ignore:prunelimits was installed without:UserWarning")
def test_without_an_engine_the_default_one_serves() -> None:
    ensemble = MLPEnsemble((2, 3, 1), 2)
    x, y = data("binary_cross_entropy")
    recipe = Recipe(epochs=1, batch_size=16)
    found = fit(ensemble, x, y, recipe)
    expected = fit(ensemble, x, y, recipe, engine=default_engine(ensemble))
    assert same_state(found.ensemble, expected.ensemble)
    assert torch.equal(evaluate(found.ensemble, x, y).loss, found.loss)


# --- bad input ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"x": torch.zeros(0, 2), "y": torch.zeros(0)}, ValueError, r"x must hold .*\(0, 2\)"),
        ({"x": torch.full((53, 2), math.nan)}, ValueError, "x must be finite, got nan"),
        ({"y": torch.full((53,), math.nan)}, ValueError, "y must be finite, got nan"),
        ({"y": torch.full((53,), 2.0)}, ValueError, "y must be labels 0 and 1.*2.0"),
        ({"x": torch.zeros(53, 3)}, ValueError, r"x must have shape \(n, 2\), got \(53, 3\)"),
        ({"y": torch.zeros(52)}, ValueError, r"y must have one entry for each of the 53"),
        ({"loss": "hinge"}, ValueError, "loss must be one of .*'hinge'"),
        ({"loss": "cross_entropy"}, ValueError, "cross_entropy needs at least two outputs, got 1"),
        ({"recipe": Recipe(batch_size=54)}, ValueError, "batch_size must be at most 53, .* got 54"),
        ({"recipe": [Recipe()]}, ValueError, "recipe must be one or 2, one a member, got 1"),
        ({"recipe": []}, ValueError, "recipe must be one or 2, one a member, got 0"),
        ({"recipe": 50}, TypeError, "recipe must be a Recipe or a sequence of them, got 50"),
        ({"recipe": [0.1, 0.2]}, TypeError, "recipe must be a Recipe or a sequence of them"),
        (
            {"recipe": [Recipe(epochs=2), Recipe(epochs=3)]},
            ValueError,
            r"must have the same epochs, got \[2, 3\]",
        ),
        (
            {"recipe": [Recipe(batch_size=2), Recipe(batch_size=3)]},
            ValueError,
            r"must have the same batch_size, got \[2, 3\]",
        ),
        ({"recipe": "fast"}, TypeError, "recipe must be a Recipe or .* got 'fast'"),
        ({"seed": 0.5}, TypeError, r"seed must be an integer, got 0\.5"),
        ({"seed": None}, TypeError, "seed must be an integer, got None"),
        ({"start": 0.5}, TypeError, r"start must be an integer, got 0\.5"),
        ({"stop": True}, TypeError, "stop must be an integer, got True"),
        ({"engine": "torch"}, TypeError, "engine must be an engine, .* got 'torch'"),
        ({"engine": TorchEngine}, TypeError, "engine must be an engine, "),
        ({"ensemble": []}, TypeError, r"ensemble must be an MLPEnsemble, got \[\]"),
        ({"x": np.zeros((53, 2))}, TypeError, r"x must be a tensor, got an array \(53, 2\)"),
        ({"y": [0.0] * 53}, TypeError, "y must be a tensor, got a list"),
        ({"x": torch.zeros(53, 2, dtype=torch.cfloat)}, TypeError, "x must be .* real numbers"),
        ({"y": torch.zeros(53, dtype=torch.cfloat)}, TypeError, "y must be .* real numbers"),
        ({"x": torch.zeros(53, 2).to_sparse()}, TypeError, "x must be a dense tensor"),
        ({"x": torch.zeros(53, 2, device="meta")}, ValueError, "x must hold data"),
        ({"loss": ""}, ValueError, "loss must be one of .*''"),
        ({"loss": []}, ValueError, r"loss must be one of .*\[\]"),
        ({"start": -1}, ValueError, "start and stop must .* <= 6, got -1 and 6"),
        ({"stop": 7}, ValueError, "start and stop must .* <= 6, got 0 and 7"),
        ({"start": 4, "stop": 3}, ValueError, "start and stop must .* <= 6, got 4 and 3"),
    ],
)
def test_bad_arguments(arguments: dict, error: type[Exception], message: str) -> None:
    x, y = data("binary_cross_entropy")
    good = {"x": x, "y": y, "recipe": Recipe(epochs=2, batch_size=16), "engine": TorchEngine()}
    ensemble = MLPEnsemble((2, 3, 1), 2)
    before = deepcopy(ensemble)
    with pytest.raises(error, match=message):
        fit(**{"ensemble": ensemble, **good, **arguments})
    assert same_state(ensemble, before)
    if arguments.keys() <= {"ensemble", "x", "y", "loss", "engine"}:
        with pytest.raises(error, match=message):
            evaluate(**{"ensemble": ensemble, "x": x, "y": y, **arguments})


class NoEngine(TorchEngine):
    def supports(self, ensemble: MLPEnsemble) -> bool:
        return False


def test_an_engine_that_does_not_support_the_ensemble_is_refused() -> None:
    ensemble = MLPEnsemble((2, 3, 1), 2)
    x, y = data("binary_cross_entropy", n=130)
    with pytest.raises(ValueError, match=r"engine torch .* does not support MLPEnsemble\(\(2, 3"):
        fit(ensemble, x, y, engine=NoEngine())
    with pytest.raises(ValueError, match=r"engine torch .* does not support MLPEnsemble\(\(2, 3"):
        evaluate(ensemble, x, y, engine=NoEngine())


def test_threads_that_train_at_once_do_what_each_does_alone(
    engine: AbstractEngine, supported: Callable[[MLPEnsemble], MLPEnsemble]
) -> None:
    """They share the engine, the data and the remembered orders of the samples."""
    x, y = data("binary_cross_entropy", n=130)
    recipe = Recipe(epochs=3, batch_size=16)
    ensembles = [supported(MLPEnsemble((2, 5, 1), 3, seed=seed)) for seed in range(6)]

    def trained(seed: int) -> MLPEnsemble:
        result = fit(ensembles[seed], x, y, recipe, seed=seed % 2, engine=engine)
        evaluate(result.ensemble, x, y, engine=engine)
        return result.ensemble

    _recent_order.cache_clear()
    alone = [trained(seed) for seed in range(6)]
    _recent_order.cache_clear()
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    with ThreadPoolExecutor(6) as pool:
        together = list(pool.map(trained, range(6)))
    assert all(map(same_state, alone, together))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads
