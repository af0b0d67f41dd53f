"""Every hyperparameter of every method is checked when the method is made."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
import torch

from prunelimits import masks, pruners
from prunelimits.pruners import AbstractPruner, Weights, draw_noise
from prunelimits.pruners.scopes import RULES

from .test_laws import LAYER_BY_LAYER, WEIGHTS, network, pruned

FIELDS = [
    pytest.param(method, field.name, id=f"{method.__name__} {field.name}")
    for method in pruners.all()
    for field in dataclasses.fields(method)
    if field.init
]
TEXTS = ("scope", "decay")


def kind(method: type[AbstractPruner], name: str) -> type:
    value = getattr(method(), name)
    return int if value is None else type(value)  # PHEW's walks


@pytest.mark.parametrize(("method", "name"), FIELDS)
def test_what_is_no_such_setting_is_refused_by_name(method: type[AbstractPruner], name: str):
    wrong: list[Any] = ["three", [1], {}, object(), math.nan, -1, -math.inf, torch.ones(2), 1j]
    if kind(method, name) is int:
        wrong += [True, 2.5, 10**30]
    elif kind(method, name) is float:
        wrong += [True, math.inf, np.float64("nan"), 10**400]
    elif kind(method, name) is bool:
        wrong += [0, 1, "yes"]
    for value in wrong:
        with pytest.raises((TypeError, ValueError), match=f"^{name} must"):
            method(**{name: value})
    if name != "walks":
        with pytest.raises((TypeError, ValueError), match=f"^{name} must"):
            method(**{name: None})


@pytest.mark.parametrize(("method", "name"), FIELDS)
def test_numpy_s_numbers_become_python_s(method: type[AbstractPruner], name: str):
    plain = getattr(method(), name)
    if kind(method, name) in (int, float) and plain is not None:
        made = method(**{name: np.asarray(plain)[()]})
        assert made == method()
        assert repr(made) == repr(method())
        assert type(getattr(made, name)) is type(plain)


EXTREMES: dict[str, list[Any]] = {
    "rounds": [1, 7],
    "until": [1e-9, 1.0],
    "floor": [1, 2],
    "epochs": [1],
    "freeze": [1, 2**62],
    "at_once": [4, 2**62],
    "block": [1, 2**62],
    "samples": [1, 2**62],
    "stages": [1, 3],
    "swaps": [0, 3],
    "alpha": [0.0, 1.0],
    "beta": [0.0, 1e300],
    "steps": [0],
    "probes": [1, 24],
    "walks": [1, None],
    "fraction": [0.0, 1.0],
    "smoothing": [0.0, 1.0],
    "tolerance": [0.0, 1e300],
    "threshold": [0.0, 1e38],
    "momentum": [0.0, math.nextafter(1, 0)],
    "lr": [0.0, 1e-300],
    "l1": [0.0, 1e-300, 1.0],
    "l2": [0.0, 1e-300],
    "weight_decay": [0.0, 1e-300],
    "noise": [0.0, 1e30],
    "damping": [1e-6, 1e300],
    "temperature": [1e-3, 1e12],
    "shape": [Weights()],
}
QUICK = {"rounds": 3, "epochs": 2, "at_once": 12, "stages": 2, "swaps": 3}
KEEPS: dict[type[AbstractPruner], tuple[int, ...]] = {pruners.Dense: (WEIGHTS,), pruners.OBS: (30,)}


@pytest.mark.slow
@pytest.mark.parametrize(("method", "name"), FIELDS)
def test_the_budget_is_exact_whatever_the_settings(method: type[AbstractPruner], name: str):
    values = EXTREMES.get(name)
    if values is None:
        annotation = {
            "scope": ("global", *RULES),
            "decay": ("cosine", "constant"),
            "penalised": ("prunable", "all"),
        }
        values = list(annotation.get(name, (True, False)))
    fields = {field.name for field in dataclasses.fields(method) if field.init}
    few = {n: value for n, value in QUICK.items() if n in fields}
    problem, params, allowed = network()
    for value in values:
        if issubclass(method, LAYER_BY_LAYER) and value == "global":
            continue  # refused by name
        pruner = method(**{**few, name: value})
        for keep in KEEPS.get(method, (9, 30)):
            noise = draw_noise(allowed)
            budget = pruner.budget(allowed, keep)
            _, state = pruned(pruner, problem, params, allowed, budget, noise)
            assert masks.count(state.masks) == keep, (name, value)
