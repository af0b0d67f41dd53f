from __future__ import annotations

import math
from copy import deepcopy

import pytest
import torch
from torch import nn
from torch.nn import functional

from prunelimits.limits import Measured, PruningSweep, magnitude_sweep, total_variation
from prunelimits.limits.magnitudes import magnitude_masks
from prunelimits.limits.sweep import accuracy
from tests.limits.conftest import Case


def prunable(case: Case) -> list[str]:
    return [name for name, p in case.model.named_parameters() if p.dim() > 1]


def pruned_copy(case: Case, removed: int) -> nn.Module:
    model = deepcopy(case.model).eval()
    weights = [p for p in model.parameters() if p.dim() > 1]
    flat = torch.cat([p.detach().abs().flatten() for p in weights])
    order = flat.argsort(descending=True, stable=True)
    gone = torch.zeros(len(flat), dtype=torch.bool)
    gone[order[len(flat) - removed :]] = True
    with torch.no_grad():
        for p, part in zip(weights, gone.split([p.numel() for p in weights]), strict=True):
            p.masked_fill_(part.view_as(p), 0.0)
    return model


@pytest.mark.parametrize("at_once", [1, 2**22])
def test_every_point_is_a_pruned_copy_measured_plainly(case: Case, at_once: int, monkeypatch):
    monkeypatch.setattr("prunelimits.limits.sweep._ENTRIES_AT_ONCE", at_once)
    problem, params = case.problem()
    test = case.batches[1:]
    sweep = magnitude_sweep(
        problem, params, prunable(case), removed=[0.2, 0.5, 0.99, 1.0], test=test
    )
    count = sum(params[name].numel() for name in prunable(case))
    assert sweep.weights == count
    expected = [0, *(round(fraction * count) for fraction in (0.2, 0.5, 0.99, 1.0))]
    assert sweep.removed_weights.tolist() == sorted(set(expected))
    assert sweep.test is not None
    for measured, batches in ((sweep.train, case.batches), (sweep.test, test)):
        x, y = (torch.cat(part) for part in zip(*batches, strict=True))
        for place, removed in enumerate(sweep.removed_weights.tolist()):
            with torch.no_grad():
                outputs = pruned_copy(case, removed)(x)
            loss = float(case.loss(outputs, y))
            assert float(measured.loss[place]) == pytest.approx(loss, rel=1e-9)
            if case.loss is functional.cross_entropy:
                right = float((outputs.argmax(1) == y).double().mean())
            elif case.loss is functional.binary_cross_entropy_with_logits:
                right = float(((outputs > 0) == (y > 0.5)).double().mean())
            else:
                assert math.isnan(float(measured.accuracy[place]))
                continue
            assert float(measured.accuracy[place]) == pytest.approx(right)


def test_what_is_pruned_already_goes_first_and_is_not_counted(mlp: Case):
    problem, params = mlp.problem()
    masks = {"0.weight": torch.rand(6, 5, generator=torch.Generator().manual_seed(0)) < 0.5}
    params["0.weight"] = params["0.weight"] * masks["0.weight"]
    sweep = magnitude_sweep(problem, params, prunable(mlp), removed=[0.5, 1.0], masks=masks)
    kept = int(masks["0.weight"].sum())
    assert sweep.weights == kept + 18
    weights = {name: params[name] for name in prunable(mlp)}
    for removed in (0, 5, kept + 18):
        found = magnitude_masks(weights, removed, masks)
        assert sum(int(m.sum()) for m in found.values()) == kept + 18 - removed
        assert not (found["0.weight"] & ~masks["0.weight"]).any()


def sweep_of(loss: list[float], right: list[float]) -> PruningSweep:
    numbers = torch.arange(len(loss))
    measured = Measured(torch.tensor(loss).double(), torch.tensor(right).double())
    return PruningSweep(numbers, 10, measured, measured)


def test_criteria_by_hand():
    sweep = sweep_of([1.0, 1.05, 1.2, 1.05, 2.0], [0.90, 0.9005, 0.8995, 0.91, 0.5])
    assert sweep.removed.tolist() == [0.0, 0.1, 0.2, 0.3, 0.4]
    assert sweep.removed_within(0.1) == pytest.approx(0.1)
    assert sweep.removed_within(0.3) == pytest.approx(0.3)
    assert sweep.removed_within(0.01) == 0.0
    assert sweep.removed_above_dense() == pytest.approx(0.3)
    assert sweep.removed_before_loss_of() == pytest.approx(0.3)
    assert sweep.removed_before_loss_of(0.0004) == pytest.approx(0.1)
    assert sweep.removed_before_loss_of(1.0) == pytest.approx(0.4)
    never = sweep_of([1.0, 1.1], [0.9, 0.9])
    assert never.removed_above_dense() == 0.0
    with pytest.raises(ValueError, match="test is needed by this criterion"):
        PruningSweep(never.removed_weights, 10, never.train, None).removed_above_dense()


def test_diverged_outputs_are_no_right_answers():
    nan = torch.full((4,), math.nan)
    assert float(accuracy(nan, torch.zeros(4))) == 0.0
    assert float(accuracy(nan, torch.ones(4))) == 0.0
    assert float(accuracy(nan[:, None].expand(4, 3), torch.zeros(4).long())) == 0.0


def test_accuracy_of_every_kind_of_task():
    logits, labels = torch.tensor([1.0, -1.0, 2.0, 3.0]), torch.tensor([1, 0, 0, 1])
    for outputs in (logits, logits[:, None]):
        for targets in (labels, labels.double()):
            assert float(accuracy(outputs, targets)) == 0.75
    assert float(accuracy(logits[:, None], labels[:, None].double())) == 0.75
    scores = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
    assert float(accuracy(scores, torch.tensor([1, 1]))) == 0.5
    assert math.isnan(float(accuracy(logits, torch.randn(4))))
    assert math.isnan(float(accuracy(scores, torch.randn(2, 2))))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"removed": [0.5, 0.2]}, r"ascend in \[0, 1\], got \[0\.5, 0\.2\]"),
        ({"removed": [1.5]}, r"ascend in \[0, 1\], got \[1\.5\]"),
        ({"prunable": []}, r"prunable must be among .*, got \[\]"),
        ({"prunable": ["x"]}, r"prunable must be among .*, got \['x'\]"),
        ({"test": []}, "must hold at least one pair"),
    ],
)
def test_bad_arguments(options: dict, message: str, mlp: Case):
    problem, params = mlp.problem()
    with pytest.raises(ValueError, match=message):
        magnitude_sweep(problem, params, **{"prunable": prunable(mlp), **options})


def test_total_variation():
    generator = torch.Generator().manual_seed(0)
    one, other = (torch.randn(200_000, generator=generator) for _ in range(2))
    assert total_variation(one, one) == 0.0
    assert total_variation(one, one + 100) == 1.0
    assert total_variation(one, other) < 0.02
    # Two normal distributions one standard deviation apart: 2 Phi(1/2) - 1.
    shifted = total_variation(one, other + 1)
    assert shifted == pytest.approx(math.erf(0.5 / math.sqrt(2)), abs=0.02)
    assert shifted == total_variation(other + 1, one)
    left, right = torch.tensor([0.0, 0.1, 0.6, 1.0]), torch.tensor([0.0, 0.7, 0.8, 1.0])
    assert total_variation(left, right, bins=2) == pytest.approx(0.25)
    for bad in (torch.zeros(0), torch.tensor([math.nan])):
        with pytest.raises(ValueError, match="left and right must hold finite weights"):
            total_variation(bad, one)
