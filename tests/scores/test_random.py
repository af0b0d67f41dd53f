from __future__ import annotations

import torch
from scipy import stats
from torch import Tensor

from prunelimits.masks import top
from prunelimits.scores import random
from prunelimits.types import Params

from .cases import CASES, Case, flat, noise_for


def test_random_is_the_noise(case: Case) -> None:
    noise = noise_for(case.masks)
    found = random(case.problem, case.params, case.masks, noise)
    for name, mask in case.masks.items():
        assert torch.equal(found[name], noise[name] * mask)


def test_every_choice_of_weights_is_equally_likely() -> None:
    case = CASES["unpruned"]()  # 12 weights, of which 2 are kept: 66 choices
    draws, problem, params = 6600, case.problem, case.params
    noise = noise_for({n: mask.expand(draws, *mask.shape) for n, mask in case.masks.items()})

    def chosen(noise: Params) -> Tensor:
        return flat(top(random(problem, params, case.masks, noise), keep=2))

    choices, counts = torch.func.vmap(chosen)(noise).unique(dim=0, return_counts=True)
    assert choices.shape == (66, 12)
    assert (choices.sum(1) == 2).all()
    assert stats.chisquare(counts.numpy()).pvalue > 1e-3
