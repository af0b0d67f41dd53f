from __future__ import annotations

import torch

from prunelimits.scores import magnitude

from .cases import Case


def test_magnitude(case: Case) -> None:
    found = magnitude(case.problem, case.params, case.masks)
    for name, mask in case.masks.items():
        assert torch.equal(found[name], case.params[name].abs().where(mask, 0))


def test_what_is_pruned_is_zero_even_if_it_is_not_a_number(case: Case) -> None:
    broken = {
        name: value.masked_fill(~case.masks[name], torch.nan) if name in case.masks else value
        for name, value in case.params.items()
    }
    found = magnitude(case.problem, broken, case.masks)
    assert all(value.isfinite().all() for value in found.values())
