from __future__ import annotations

import torch

from prunelimits.masks import count, top
from prunelimits.problem import problem_of
from prunelimits.scores import wanda

from .cases import CASES, Case, draw


def test_it_is_the_formula(case: Case) -> None:
    found = wanda(case.problem, case.params, case.masks)
    name = next(iter(case.masks))
    x = torch.cat([x for x, _ in case.batches])
    if x.dim() == 2 and case.model.__class__.__name__ != "Tied":
        expected = case.weights()[name].abs() * x.norm(dim=0)
        torch.testing.assert_close(found[name], expected)
    for name, mask in case.masks.items():
        assert not found[name][~mask].any()


def test_ranked_within_outputs_every_output_keeps_its_share() -> None:
    generator = torch.Generator().manual_seed(0)
    x = draw(generator, 20, 5)
    problem, params = problem_of(torch.nn.Linear(5, 4).double(), batches=[(x, x)])
    params["weight"] = draw(generator, 4, 5) * torch.tensor([[1.0], [9.0], [0.1], [3.0]])
    masks = {"weight": torch.ones(4, 5, dtype=torch.bool)}
    plain = wanda(problem, params, masks)["weight"]
    ranked = wanda(problem, params, masks, per_output=True)
    assert ranked["weight"].min() >= 0
    assert ranked["weight"].max() <= 1
    for keep in range(21):
        kept = top(ranked, keep)["weight"]
        assert count({"weight": kept}) == keep
        rows = kept.sum(1)
        assert rows.max() - rows.min() <= 1
        for row, best in zip(kept, plain, strict=True):
            assert torch.equal(row, top({"row": best}, int(row.sum()))["row"])
        more = rows > keep // 4  # the next best of their output are larger than the others'
        following = plain.sort(1, descending=True).values[:, min(keep // 4, 4)]
        if more.any() and not more.all():
            assert following[more].min() >= following[~more].max()


def test_outputs_that_are_pruned_already_keep_their_best() -> None:
    case = CASES["perceptron"]()
    ranked = wanda(case.problem, case.params, case.masks, per_output=True)
    plain = wanda(case.problem, case.params, case.masks)
    for name, mask in case.masks.items():
        best = plain[name].argmax(1)
        rows = mask.any(1)
        chosen = ranked[name].argmax(1)
        assert torch.equal(best[rows], chosen[rows])
