import copy
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from prunelimits import pruners
from prunelimits.masks import count, flatten, top
from prunelimits.pruners import plan, prune, prune_with_weights, score


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3)).double()


def data() -> dict[str, Any]:
    x = torch.randn(16, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    return {"loss": functional.cross_entropy, "batches": [(x, (x[:, 0] > 0).long())]}


@pytest.mark.parametrize(
    "pruner", [pruners.SNIP(), pruners.GraSP(), pruners.Magnitude(), pruners.Random()]
)
def test_the_largest_scores_are_what_prune_keeps(pruner: pruners.Method):
    model = network()
    before = copy.deepcopy(model.state_dict())
    found = score(model, pruner, **data())
    assert torch.equal(flatten(top(found, 11)), flatten(prune(model, pruner, keep=11, **data())))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_methods_of_the_training_have_scores_and_movers_have_none():
    model = network()
    for method in (pruners.GMP, pruners.LTH):
        assert torch.equal(score(model, method())["0.weight"], model[0].weight.abs())
    for pruner in (pruners.RigL(), pruners.OBS(), "SNIP"):
        with pytest.raises(TypeError, match="pruner must have scores"):
            score(model, pruner)  # pyright: ignore
    with pytest.raises(ValueError, match="loss is needed by SNIP"):
        score(model, pruners.SNIP())


def loss_of(model: nn.Module, params: dict[str, Tensor]) -> float:
    x, y = data()["batches"][0]
    return float(functional.cross_entropy(torch.func.functional_call(model, params, (x,)), y))


def test_the_weights_after_surgery_belong_to_the_masks_and_do_better():
    model = network()
    x, y = data()["batches"][0]
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(150):
        optimizer.zero_grad()
        functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    pruner = pruners.OBS(at_once=3)
    result = prune_with_weights(model, pruner, keep=14, **data())
    masks = prune(model, pruner, keep=14, **data())
    assert torch.equal(flatten(result.masks), flatten(masks))
    assert count({n: v != 0 for n, v in result.params.items() if n in masks}) == 14
    own = {name: value.detach() * masks.get(name, 1) for name, value in model.named_parameters()}
    assert loss_of(model, result.params) < loss_of(model, own)
    model.load_state_dict(result.params)
    with pytest.raises(TypeError, match="pruner must change weights"):
        prune_with_weights(model, pruners.SNIP(), keep=14, **data())  # pyright: ignore


@pytest.mark.parametrize("method", [pruners.GMP, pruners.SET, pruners.IterSNIP])
def test_a_plan_is_what_happens(method: Any):
    model = network()
    pruner = method(rounds=4)
    told = plan(model, pruner, keep=10, steps=20)
    assert told.left[-1][1] == 10
    if method is pruners.IterSNIP:
        problem, params = pruners_problem(model)
        allowed = pruners.prunable(model)
        seen = pruners.Seen(problem, params)
        budget = pruner.budget(allowed, 10)
        rounds = pruner.schedule.each_round(pruner.ranking, seen, allowed, budget)
        assert [left for _, left in told.left] == [count(masks) for _, masks in rounds]
        return
    from prunelimits.sessions import attach

    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    x, y = data()["batches"][0]
    sizes: list[tuple[int, int]] = []
    with attach(pruner, model, optimizer, keep=10, steps=20) as session:
        sizes.append((0, count(session.masks)))
        for step in range(1, 21):
            optimizer.zero_grad()
            functional.cross_entropy(model(x), y).backward()
            optimizer.step()
            if step in dict(told.left):
                sizes.append((step, count(session.masks)))
    assert sizes == told.left


def pruners_problem(model: nn.Module) -> Any:
    from prunelimits.problem import problem_of

    return problem_of(model, **data())


def test_a_plan_tells_quotas_and_asks_for_the_training():
    told = plan(network(), pruners.Random(scope="uniform"), keep=21)
    assert told.quotas == {"0.weight": 12, "2.weight": 9}
    assert told.left == [(0, 21)]
    assert "together" in str(plan(network(), pruners.Random(), keep=21))
    assert plan(network(), pruners.LTH(rounds=2), keep=21, steps=5).left[-1] == (10, 21)
    late = pruners.Rewind(rounds=2, to=2)
    told = plan(network(), replace(pruners.LTH().combination, schedule=late),
                keep=21, steps=5)  # fmt: skip
    assert [step for step, _ in told.left] == [0, 5, 8]  # five steps, then three each
    with pytest.raises(ValueError, match="to must be at most the training's 1 steps, got 2"):
        plan(network(), replace(pruners.LTH().combination, schedule=late),
             keep=21, steps=1)  # fmt: skip
    for method in (pruners.LTH(), pruners.GMP(), pruners.SNIP()):
        for steps in (0, -3, 2.5, True):
            with pytest.raises((ValueError, TypeError), match="steps must be"):
                plan(network(), method, keep=21, steps=steps)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="steps is needed by GMP"):
        plan(network(), pruners.GMP(), keep=21)
