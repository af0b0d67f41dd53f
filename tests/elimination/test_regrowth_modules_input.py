"""What regrow refuses of modules and their data."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import prune as torch_prune

from prunelimits.elimination import regrow
from prunelimits.training import Recipe
from prunelimits.training.native_engine import NativeEngine

from .modules import QUICK, Everything, X, Y, convolutional, perceptron, regrowing, seeded


def other_form() -> list[nn.Module]:
    return [perceptron(), nn.Sequential(nn.Flatten(), nn.Linear(16, 2))]


class Holder(nn.Module):
    """What cannot be copied."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(16, 2)
        self.generator = (part for part in "ab")


def with_nan() -> nn.Module:
    model = perceptron()
    with torch.no_grad():
        model[1].weight[0, 0] = torch.nan
    return model


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"keep": 88}, "keep must be below the 88 weights of start, got 88"),
        ({"keep": 0}, "keep"),
        (
            {"keep": 2},
            "keep must be at least 3, a weight in each of 1.weight, 3.weight, 5.weight, through "
            "which all paths of start lead, got 2",
        ),
        ({"start": nn.Flatten()}, "start"),
        ({"start": nn.BatchNorm2d(1)}, "start"),
        ({"start": with_nan()}, "start must be finite, but '1.weight' holds NaN"),
        ({"start": other_form()}, r"start\[0\] and start\[1\] differ in '1.weight'"),
        ({"start": perceptron().requires_grad_(False)}, "all are frozen"),
        (
            {"start": nn.Conv2d(1, 2, 2), "keep": 3},
            r"start must give outputs of shape \(n, outputs\)",
        ),
        ({"start": nn.Linear(5, 2)}, "x must be what start takes, but calling it"),
        ({"x": X[:0], "y": Y[:0]}, "x must hold at least one sample"),
        ({"x": X * torch.nan}, "x must be finite"),
        ({"y": Y + 1}, "y must be integer labels 0 to 1"),
        ({"y": Y[:5]}, "y must have one entry for each of the 72 samples"),
        ({"measure": (X[:0], Y[:0])}, "measure: x must hold at least one sample"),
        ({"measure": (X,)}, "measure must be two tensors"),
        ({"measure": (X[:, :, :2], Y)}, r"measure: x must have rows of shape \(1, 4, 4\)"),
        ({"measure": (X, Y + 5)}, "measure: y must be integer labels"),
        ({"loss": "hinge"}, "loss must be"),
        ({"engine": NativeEngine()}, "engine must be None for modules"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_trains(options: dict, message: str):
    given = {"x": X, "y": Y, "keep": 9, "start": perceptron(), **options}
    with pytest.raises(ValueError, match=message):
        regrow(method=QUICK, **given)


class Beside(nn.Module):
    """A layer used twice, and one that a connection leads around."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.twice = nn.Linear(16, 4), nn.Linear(4, 4)
        self.around, self.last = nn.Linear(4, 4), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.twice(self.twice(self.first(x.flatten(1)).relu()).relu()).relu()
        return self.last(x + self.around(x).relu())


@pytest.mark.parametrize(
    ("make", "least", "layers"),
    [
        (convolutional, 3, "0.weight, 2.weight, 5.weight"),
        (Beside, 3, "first.weight, twice.weight, last.weight"),
        (Everything, 3, "first.weight, twice.weight, last.weight"),
    ],
)
def test_a_path_needs_a_weight_of_each_layer_that_none_leads_around(
    make: Callable[[], nn.Module], least: int, layers: str
):
    with pytest.raises(
        ValueError, match=f"keep must be at least {least}, a weight in each of {layers},"
    ):
        regrowing(seeded(make), keep=least - 1)
    regrowing(seeded(make), keep=least)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"start": [perceptron(), 3]}, r"start\[1\] must be a module"),
        ({"start": Holder()}, "start: model must be one that copy.deepcopy takes"),
        ({"start": 5}, "start"),
        ({"x": [1.0]}, "x"),
        ({"measure": (X, [1])}, "y"),
    ],
)
def test_what_is_of_another_kind_is_refused(options: dict, message: str):
    given = {"x": X, "y": Y, "keep": 9, "start": perceptron(), **options}
    with pytest.raises(TypeError, match=message):
        regrow(method=QUICK, **given)


def pruned_by_torch() -> nn.Module:
    model = perceptron()
    torch_prune.l1_unstructured(model[1], "weight", amount=2)
    return model


@pytest.mark.parametrize(
    ("start", "message"),
    [
        (pruned_by_torch(), "start cannot be pruned: model is in torch.nn.utils.prune form"),
        (
            nn.Sequential(nn.Flatten(), nn.LazyLinear(2)),
            "start cannot be pruned: model has no shape for '1.weight' yet",
        ),
        (
            [perceptron(), nn.utils.parametrizations.weight_norm(nn.Linear(2, 2))],
            r"start\[1\] cannot be pruned: .* of its own: remove .*\.remove_parametrizations$",
        ),
    ],
)
def test_a_start_whose_weights_are_in_another_form_is_refused_with_the_remedy(
    start: object, message: str
):
    with pytest.raises(ValueError, match=message):
        regrow(X, Y, QUICK, keep=9, start=start)


def test_batches_of_one_row_are_refused_where_the_batch_normalises():
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    single = dataclasses.replace(QUICK, first=Recipe(epochs=1, batch_size=1))
    with pytest.raises(ValueError, match="several samples each where BatchNorm"):
        regrow(X, Y, single, keep=9, start=model)


def test_a_training_that_diverges_everywhere_says_so():
    wild = dataclasses.replace(QUICK, first=Recipe(epochs=3, batch_size=20, lr=1e30))
    with pytest.raises(ValueError, match="lower its learning rate"):
        regrow(X, Y, wild, keep=9, start=perceptron())
