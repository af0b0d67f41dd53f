"""Choices that are wrong are refused by name, before anything changes; small cases by hand."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from prunelimits import MLP, MLPEnsemble, Recipe, fit, pruners, scores
from prunelimits.connectivity import coupled_units
from prunelimits.datasets import cubist_spiral
from prunelimits.experiments import Study, run_study
from prunelimits.masks import count, top, with_biases
from prunelimits.problem import problem_of
from prunelimits.pruners import (
    GMP,
    OBS,
    SNFS,
    SNIP,
    AtOnce,
    Blocks,
    DropGrow,
    Gradual,
    Magnitude,
    Method,
    NOfM,
    Pruner,
    Rewind,
    Score,
    Tiling,
    prunable,
    prune,
)
from prunelimits.pruners.described import settings
from prunelimits.sessions import attach


def model() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 2))


class Twice(Tiling):
    """Not a tiling: it gives each entry twice."""

    def tiles(self, weight: Tensor) -> Tensor:
        return torch.cat([weight, weight])


def one_each(shapes: Any, keep: int) -> dict[str, int]:
    return dict.fromkeys(shapes, 1)


REFUSED: list[tuple[Callable[[], object], str]] = [
    (lambda: NOfM(5, 4), "n must be from 0 to 4, got 5"),
    (lambda: NOfM(2, 0), "m must be at least 1, got 0"),
    (lambda: Blocks(0, 2), "height must be at least 1, got 0"),
    (lambda: Gradual(start=0.5, end=0.5), "start must be before end, got 0.5 and 0.5"),
    (lambda: Gradual(start=9, end=3), "start must be before end, got 9 and 3"),
    (lambda: Gradual(end=1.5), "end must be at least 0 and at most 1, got 1.5"),
    (lambda: Gradual(end=0), "end must be above 0"),
    (lambda: GMP(until=0.0), "until must be above 0, got 0.0"),
    (lambda: Gradual(end=500).update_steps(300), "end must be at most the training's 300 steps"),
    (lambda: Gradual(start=0.9, end=50).update_steps(100), "start must be before end"),
    (lambda: Rewind(to=1.0), "to must be before the training's end"),
    (lambda: Pruner(score=OBS().score, schedule=Gradual()), "schedule must be AtOnce"),
    (lambda: Pruner(score=OBS().score, schedule=AtOnce(rounds=2)), "schedule must be AtOnce"),
    (lambda: Pruner(score=scores.snip, schedule=DropGrow()), "scope must give layers quotas"),
    (lambda: SNFS(shape=Blocks(2, 2)), r"shape must be Weights\(\) for MovesByMomentum"),
    (lambda: pruners.NPB(shape=NOfM(2, 4), scope="erk"), "scope must be 'global' for NOfM"),
    (lambda: pruners.CHITA(shape=Blocks(2, 2)), r"shape must be Weights\(\) for a method that"),
    (lambda: Magnitude(shape=NOfM(2, 4), scope="erk"), "scope must be 'global' for NOfM"),
    (lambda: Magnitude(scope="layer"), "scope must be one of 'global', 'uniform'"),  # type: ignore[arg-type]
    (lambda: prune(model(), Magnitude(shape=NOfM(2, 3))), "needs a multiple of 3 .* '0.weight'"),
    (lambda: prune(model(), Magnitude(shape=NOfM(2, 4)), keep=9), "keep must be the 20 weights"),
    (lambda: prune(model(), Magnitude(shape=Blocks(3, 2)), keep=9), "does not fit '0.weight'"),
    (lambda: prune(model(), Magnitude(shape=Twice()), keep=9), "each entry of '0.weight' to one"),
    (lambda: prune(model(), Magnitude(), keep={"x.*": 3}), r"keep\['x.\*'\] names no layer"),
    (lambda: prune(model(), Magnitude(), keep={}), "keep must name at least one layer"),
    (lambda: prune(model(), Magnitude(), keep={"*": 0.5, "0": 3}), "only layers of keys before"),
    (lambda: prune(model(), Magnitude(), keep={"0": 33, "2": 2}), "must be from 0 to 32, got 33"),
    (lambda: prune(model(), Magnitude(), keep={"0": 1.5, "2": 2}), "a share between 0 and 1"),
    (lambda: prune(model(), Magnitude(floor=3), keep={"0": 2, "2": 4}), "cannot be met: keep must"),
    (
        lambda: prune(model(), Magnitude(shape=NOfM(2, 4)), keep={"0": 2}),
        "keep must be left out for NOfM",
    ),
    (
        lambda: prune(model(), Magnitude(), keep={"0": 2, "2": 3}, sparsity=0.5),
        "exactly one of keep and sparsity",
    ),
    (
        lambda: prune(model(), Magnitude(scope=lambda shapes, keep: {"0.weight": keep}), keep=9),
        "scope must give a number for each of",
    ),
    (
        lambda: prune(
            model(), Magnitude(scope=lambda shapes, keep: dict.fromkeys(shapes, 1)), keep=9
        ),
        "quotas that add up to keep=9, got 2",
    ),
]


@pytest.mark.parametrize(("call", "message"), REFUSED, ids=[m for _, m in REFUSED])
def test_a_wrong_choice_is_refused_by_name(call: Callable[[], object], message: str):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"score": SNIP()}, "score must be a function"),
        ({"score": "snip"}, "score must be a function"),
        ({"score": lambda problem, params: params}, "score must be a function of"),
        ({"score": scores.snip, "schedule": "cubic"}, "schedule must be a Schedule"),
        ({"score": scores.snip, "shape": "2:4"}, "shape must be a Shape"),
        ({"score": scores.snip, "scope": 3}, "scope must be one of"),
        ({"score": scores.snip, "schedule": Gradual, "floor": 1}, "schedule must be a Schedule"),
    ],
)
def test_a_choice_of_another_kind_is_refused_by_name(options: dict[str, Any], message: str):
    with pytest.raises(TypeError, match=message):
        Pruner(**options)
    with pytest.raises(TypeError, match="curve must be a function"):
        Gradual(curve=3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"keep\['0'\] must be a number of weights or a share"):
        prune(model(), Magnitude(), keep={"0": True, "2": 2})


def scored(function: Callable[[Tensor], Any]) -> Any:
    """A score of one's own, from what it makes of each weight."""
    return lambda problem, params, masks, noise: {n: function(params[n]) for n in masks}


@pytest.mark.parametrize("shape", [pruners.Weights(), NOfM(2, 4), Blocks(2, 2), "units"])
@pytest.mark.parametrize(
    ("score", "error", "message"),
    [
        (scored(lambda w: w.tolist()), TypeError, r"scores\['0.weight'\] must be a tensor, got a"),
        (scored(lambda w: w.numpy()), TypeError, r"scores\['0.weight'\] must be a tensor, got an"),
        (scored(lambda w: 3.0), TypeError, r"scores\['0.weight'\] must be a tensor, got 3.0"),
        (scored(lambda w: w + 1j), TypeError, r"scores\['0.weight'\] must be a dense tensor of re"),
        (
            scored(lambda w: w.to_sparse()),
            TypeError,
            r"\['0.weight'\] must be a dense tensor",
        ),
        (scored(lambda w: w.to("meta")), ValueError, r"scores\['0.weight'\] must hold data"),
        (scored(lambda w: w[:1]), ValueError, r"scores\['0.weight'\] must have shape"),
        (scored(lambda w: w * torch.nan), ValueError, "scores of Pruner.* must be numbers"),
        (lambda *_: None, TypeError, "scores must be tensors by name, got None"),
        (lambda *_: torch.ones(3), TypeError, "scores must be tensors by name, got a tensor"),
        (lambda *_: {}, ValueError, r"scores\['0.weight'\] must have shape .* got none"),
        (
            scored(lambda w: w.abs_()),
            ValueError,
            r"not change .* wrote to params\['0.weight'\]",
        ),
        (
            lambda problem, params, masks, noise: {n: masks[n].logical_not_() for n in masks},
            ValueError,
            r"must not change what it is given, but wrote to masks\['0.weight'\]",
        ),
    ],
)
def test_scores_of_another_form_are_refused_in_every_shape(
    score: Any, error: type[Exception], message: str, shape: Any
):
    net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 4))
    shape = pruners.Units(coupled_units(net)) if shape == "units" else shape
    keep = None if shape == NOfM(2, 4) else 32
    with pytest.raises(error, match=message):
        prune(net, Pruner(score=score, shape=shape), keep=keep)


class Tiles(pruners.Tiling):
    def __init__(self, made: Callable[[Tensor], Any]) -> None:
        object.__setattr__(self, "made", made)

    def tiles(self, weight: Tensor) -> Tensor:
        return self.made(weight)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("made", "error", "message"),
    [
        (lambda w: None, TypeError, "each entry of '0.weight' to one tile, .* got None"),
        (lambda w: [w], TypeError, "each entry of '0.weight' to one tile, .* got a list"),
        (lambda w: w.float().flatten(1), TypeError, "moved and nothing else, got torch.float32"),
        (lambda w: w.reshape(-1, 7), ValueError, "does not fit '0.weight': .*7"),
        (lambda w: w[99], ValueError, "does not fit '0.weight': index 99"),
        (lambda w: w.flatten(), ValueError, "each entry of '0.weight' to one tile"),
        (lambda w: w.flatten(1)[:2], ValueError, "each entry of '0.weight' to one tile"),
    ],
)
def test_tiles_that_are_none_are_refused(
    made: Callable[[Tensor], Any], error: type[Exception], message: str
):
    with pytest.raises(error, match=message):
        prune(model(), Magnitude(shape=Tiles(made)), sparsity=0.5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Gradual(curve=lambda start, budget: budget), "curve must be a function of start"),
        (lambda: AtOnce(curve=lambda: 3), "curve must be a function of start"),
        (lambda: AtOnce(curve=int), "curve must be a function of start"),
        (lambda: Magnitude(scope=lambda shapes: {}), "scope must be one of .* or a function"),
        (lambda: pruners.Units(lambda: None), "coupled must be a function of a model"),
        (lambda: pruners.Growth(scores.magnitude), "function must be a function of what a round"),
        (lambda: told(lambda start, budget, progress: None), "curve must give numbers, got None"),
        (lambda: told(lambda start, budget, progress: "x"), "curve must give numbers, got 'x'"),
        (lambda: told(lambda start, budget, progress: budget * 1j), "curve must give numbers"),
        (lambda: learned(None), "score of Pruner.* must give scores and params, got None"),
        (lambda: learned(({}, [1])), r"params must be tensors by name, got \[1\]"),
    ],
)
def test_functions_of_another_form_are_refused(call: Callable[[], object], message: str):
    with pytest.raises(TypeError, match=message):
        call()


def told(curve: Any) -> object:
    pruner = Pruner(score=scores.magnitude, schedule=Gradual(rounds=2, curve=curve))
    return pruners.plan(model(), pruner, keep=9, steps=9)


def learned(found: Any) -> object:
    score = pruners.LearnedScore(lambda *_: found, needs_data=False)
    return pruners.prune_with_weights(model(), Pruner(score=score), keep=9)


def test_numbers_out_of_range_of_functions_are_refused():
    with pytest.raises(ValueError, match="curve must give numbers, got NaN"):
        told(lambda start, budget, progress: budget * torch.nan)
    pruner = Magnitude(scope=lambda shapes, keep: {"0.weight": keep, "2.weight": 0})
    with pytest.raises(ValueError, match=r"scope of '0.weight' must be from 0 to 32, got 33"):
        prune(model(), pruner, keep=33)


def test_the_model_and_the_optimizer_are_as_before_a_refusal():
    net = model()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    for pruner in (
        Pruner(score=scores.magnitude, schedule=Gradual(end=50)),
        Magnitude(shape=NOfM(2, 3)),
    ):
        with pytest.raises(ValueError, match=r"end must be at most|needs a multiple of 3"):
            attach(pruner, net, optimizer, sparsity=0.5, steps=20)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert not optimizer._optimizer_step_pre_hooks


def test_numbers_by_layers_in_every_entry_point():
    net = MLP((4, 8, 8, 4))
    keep = {"layers.0": 0.25, "layers.*": 20}
    masks = prune(net, Magnitude(), keep=keep)
    assert int(masks["layers.0.weight"].sum()) == 8
    assert count(masks) == 28
    assert pruners.plan(net, GMP(rounds=2), keep=keep, steps=10).quotas == {
        "layers.0": 8, "layers.*": 20,
    }  # fmt: skip
    quotas = pruners.plan(net, GMP(rounds=2, scope="uniform"), keep=keep, steps=10).quotas
    assert quotas == {"layers.0.weight": 8, "layers.1.weight": 13, "layers.2.weight": 7}
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with attach(GMP(rounds=2), net, optimizer, keep=keep, steps=4) as session:
        for _ in range(4):
            optimizer.zero_grad()
            net(torch.ones(1, 4)).sum().backward()
            optimizer.step()
    assert count(session.masks) == 28
    x, y = cubist_spiral(100)
    ensemble = MLPEnsemble((2, 6, 1), models=2, seed=0)
    keeps = [{"layers.0": 4, "*": 3}, {"layers.0": 0.5, "*": 1}]
    result = fit(ensemble, x, y, Recipe(epochs=1, batch_size=50), pruner=GMP(rounds=2), keep=keeps)
    sizes = [
        result.ensemble.masks[f"layers.{layer}.weight"].flatten(1).sum(1).tolist()
        for layer in (0, 1)
    ]
    assert sizes == [[4, 6], [3, 1]]
    with pytest.raises(ValueError, match="keep must name the same layers"):
        fit(ensemble, x, y, Recipe(batch_size=50), pruner=GMP(), keep=[keeps[0], {"*": 3}])


def test_keys_may_be_modules_classes_and_functions():
    net = nn.Sequential(nn.Conv1d(2, 4, 3), nn.Flatten(), nn.Linear(8, 6), nn.Linear(6, 4))

    def of_four(name: str, parameter: nn.Parameter) -> bool:
        return parameter.shape[0] == 4

    def kept(keep: Any) -> list[int]:
        return [int(mask.sum()) for mask in prune(net, Magnitude(), keep=keep).values()]

    assert kept({net[2]: 10, nn.Linear: 0.5, "0": 7}) == [7, 10, 12]
    assert kept({"2": 10, nn.Conv1d: 3, of_four: 5}) == [3, 10, 5]
    layers = pruners.plan(net, GMP(rounds=2), keep={net[0]: 5, nn.Linear: 20}, steps=10)
    assert layers.quotas == {"0": 5, "Linear": 20}
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    session = attach(Magnitude(), net, optimizer, keep={nn.Linear: 20, net[0]: 5})
    with session:
        pass
    assert count(session.masks) == 25
    for key, message in (
        (nn.Linear(2, 2), "keep holds a Linear that is not in the model"),
        (nn.Embedding, r"keep\['Embedding'\] names no layer"),
    ):
        with pytest.raises(ValueError, match=message):
            prune(net, Magnitude(), keep={key: 3})
    with pytest.raises(TypeError, match="keep must hold modules and names"):
        prune(net, Magnitude(), keep={3: 3})


def test_what_no_group_names_stays_whole_with_a_warning():
    with pytest.warns(UserWarning, match=r"keep names nothing for 0\.weight: 32 of the 40"):
        masks = prune(model(), Magnitude(), keep={"2": 3})
    assert {name: int(mask.sum()) for name, mask in masks.items()} == {
        "0.weight": 32,
        "2.weight": 3,
    }


def test_two_of_four_by_hand():
    net = nn.Linear(4, 2, bias=False)
    with torch.no_grad():
        net.weight.copy_(torch.tensor([[3.0, -1.0, 2.0, -4.0], [1.0, 1.0, 1.0, 1.0]]))
    masks = prune(net, Magnitude(shape=NOfM(2, 4)))
    assert masks["weight"].int().tolist() == [[1, 0, 0, 1], [1, 1, 0, 0]]
    down = prune(net, Magnitude(shape=NOfM(1, 2, axis=0)))
    assert down["weight"].int().tolist() == [[1, 1, 1, 1], [0, 0, 0, 0]]
    # In rounds: 8 weights, 8 sqrt(1/2) = 5.66 after the first, so three of four, then two.
    shape, allowed = NOfM(2, 4), prunable(net)
    budget = shape.budget(allowed, None, "global", 0)
    pruner = Magnitude(rounds=2, shape=shape)
    counts = [
        count(kept)
        for _, kept in pruner.schedule.each_round(
            pruner.ranking,
            pruners.Seen(*problem_of(net)),
            allowed,
            budget,
        )
    ]
    assert counts == [6, 4]


def test_blocks_by_hand():
    net = nn.Linear(4, 2, bias=False)
    with torch.no_grad():
        net.weight.copy_(torch.tensor([[3.0, 0.0, 2.0, 2.0], [0.0, 0.0, 0.0, 0.0]]))
    masks = prune(net, Magnitude(shape=Blocks(2, 2)), keep=4)
    assert masks["weight"].int().tolist() == [[0, 0, 1, 1], [0, 0, 1, 1]]
    with pytest.warns(UserWarning, match=r"keep=7 is no whole number of tiles of Blocks.*: 4 weig"):
        assert count(prune(net, Magnitude(shape=Blocks(2, 2)), keep=7)) == 4


def test_a_curve_that_rises_brings_nothing_back():
    def rising(start: Tensor, budget: Tensor, progress: Tensor | float) -> Tensor:
        return budget + (start - budget) * torch.as_tensor(progress)

    net = model()
    pruner = Pruner(score=scores.magnitude, schedule=Gradual(curve=rising, rounds=3))
    problem, params = problem_of(net)
    allowed = prunable(net)
    state = pruner.init(problem, params, allowed, pruner.budget(allowed, 9))
    sizes = []
    for _ in range(3):
        params, state = pruner.update(problem, state, params)
        sizes.append(count(state.masks))
    assert sizes == [19, 19, 9]


def test_published_methods_are_their_combinations():
    net = model()
    x = torch.randn(16, 8, generator=torch.Generator().manual_seed(0))
    data: dict[str, Any] = {
        "loss": nn.functional.cross_entropy, "batches": [(x, (x[:, 0] > 0).long())],
    }  # fmt: skip
    for method in pruners.all():
        pruner = method()
        assert isinstance(pruner, Method)
        assert isinstance(pruner.combination, Pruner)
        assert pruner.combination == method().combination
        assert hash(pruner.combination) == hash(method().combination)
        assert pruner.combination.combination is not None
        if pruner.acts_in_training or method in (pruners.Dense, pruners.PHEW):
            continue
        if method in (pruners.EdgePopup, pruners.RareGems, pruners.LOMP, pruners.CHITA):
            continue  # each trains for long
        with_name, without = (prune(net, p, keep=14, **data) for p in (pruner, pruner.combination))
        assert all(torch.equal(mask, without[name]) for name, mask in with_name.items())


def test_settings_are_text_without_addresses():
    def cubed(problem: Any, params: Any, masks: Any, noise: Any, *, power: int = 3) -> Any:
        return {name: params[name].abs() ** power for name in masks}

    pruner = Pruner(score=Score(cubed, options={"power": 2}), schedule=Gradual(rounds=3))
    assert pruner.name == "Pruner(cubed)"
    assert "0x" not in settings(pruner)
    assert "power" in settings(pruner)
    assert re.search(r"Gradual\(rounds=3, curve=cubic, start=0, end=0.75\)", settings(pruner))


def test_an_ensemble_goes_back_to_a_later_step():
    x, y = cubist_spiral(200)
    ensemble = MLPEnsemble((2, 6, 4, 1), models=3, seed=0)
    recipe = Recipe(epochs=2, batch_size=20)
    pruner = Pruner(score=scores.magnitude, schedule=Rewind(rounds=2, to=5))
    found = fit(ensemble, x, y, recipe, pruner=pruner, keep=[8, 12, 20]).ensemble
    # By segments: five steps dense, then from there to the end for every round.
    early = fit(ensemble, x, y, recipe, stop=5).ensemble.without_momentum()
    weights = [name for name in early.masks if name.endswith("weight")]
    for member, keep in enumerate((8, 12, 20)):
        masks = {name: early.masks[name][member] for name in weights}
        for left in (round(40 * (keep / 40) ** 0.5), keep):
            start = _with_masks(early, member, masks)
            trained = fit(start, x, y, recipe, start=5).ensemble
            sizes = {
                name: trained.params[name][0].abs().masked_fill(~masks[name], -1)
                for name in weights
            }
            masks = top(sizes, left)
        for name in weights:
            assert torch.equal(masks[name], found.masks[name][member])


def _with_masks(early: MLPEnsemble, member: int, masks: Any) -> MLPEnsemble:
    one = early[torch.tensor([member])]
    return one.replace(masks=with_biases({name: mask[None] for name, mask in masks.items()}))


def test_a_study_takes_combinations_and_tells_them_apart(tmp_path: Path):
    quick = [Gradual(rounds=2, end=end) for end in (0.5, 0.9)]
    methods = (
        *(Pruner(score=scores.snip, schedule=schedule) for schedule in quick),
        Pruner(score=scores.magnitude, shape=Blocks(1, 2)),
    )
    recipe = Recipe(epochs=1, batch_size=50)
    study = Study(methods=methods, widths=(4,), budgets=(8,), recipes=(recipe,), hidden_layers=1)
    assert study.names[2] == "Pruner(magnitude)"
    assert study.names[0].startswith("Pruner(snip)(schedule=Gradual(rounds=2, end=0.5")
    results = run_study(study, *cubist_spiral(100), table=tmp_path / "table.csv")
    assert len(results) == 3
    again = run_study(study, *cubist_spiral(100), table=tmp_path / "table.csv", time_limit=0)
    assert again == results
