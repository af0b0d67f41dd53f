from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrizations
from torch.nn.utils import prune as torch_prune

from prunelimits import MLP, attach, lottery_ticket, masks, pruners
from prunelimits.pruners import (
    FORCE,
    GMP,
    LOMP,
    LTH,
    OBS,
    SNIP,
    AbstractPruner,
    AtInit,
    AtOnce,
    Dense,
    EdgePopup,
    GraSP,
    IterSNIP,
    Magnitude,
    ProsPr,
    Pruner,
    Random,
    RareGems,
    RigL,
    SynFlow,
    prunable,
    prune,
)
from prunelimits.pruners.budgets import checked_keep
from prunelimits.types import Masks, Params, Problem, Scores

BATCH = (torch.randn(8, 2, generator=torch.Generator().manual_seed(0)), torch.ones(8, 1))
bce = functional.binary_cross_entropy_with_logits


def mlp() -> MLP:
    torch.manual_seed(0)
    return MLP((2, 6, 5, 1))


class Tied(nn.Module):
    """Two layers that share their weight."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.second = nn.Linear(4, 4, bias=False)
        self.second.weight = self.first.weight
        self.head = nn.Linear(4, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.second(self.first(x).relu()).relu())


def test_masks_are_those_of_the_weights_in_the_models_order():
    found = prune(mlp(), Magnitude(), keep=20)
    assert list(found) == [f"layers.{layer}.weight" for layer in range(3)]
    assert [mask.shape for mask in found.values()] == [(6, 2), (5, 6), (1, 5)]


@pytest.mark.parametrize(
    ("sparsity", "total", "keep"),
    [(0.9, 560, 56), (0.9, 10, 1), (0.5, 5, 3), (0, 7, 7), (1, 7, 0), (0.7, 10, 3), (0.95, 47, 2)],
)
def test_sparsity_is_rounded_to_the_nearest_number_of_weights(
    sparsity: float, total: int, keep: int
):
    assert checked_keep(None, sparsity, total) == keep


@given(st.integers(0, 10**6), st.integers(1, 10**6))
def test_every_budget_is_reached_by_its_sparsity(kept: int, total: int):
    kept = min(kept, total)
    assert checked_keep(None, 1 - kept / total, total) == kept


def test_tied_weights_count_once_and_are_scored_in_both_places():
    torch.manual_seed(0)
    model = Tied()
    assert list(prunable(model)) == ["first.weight", "head.weight"]
    batch = (torch.randn(8, 4, generator=torch.Generator().manual_seed(1)), torch.ones(8, 1))
    found = prune(model, SNIP(), keep=9, loss=bce, batches=[batch])
    assert masks.count(found) == 9
    model.zero_grad()
    bce(model(batch[0]), batch[1]).backward()
    assert model.first.weight.grad is not None
    scores = {
        "first.weight": (model.first.weight.grad * model.first.weight).abs().detach(),
        "head.weight": (model.head.weight.grad * model.head.weight).abs().detach(),
    }
    expected = masks.top(scores, 9)
    assert all(torch.equal(found[name], mask) for name, mask in expected.items())


def test_modules_and_names_can_be_left_alone():
    model = mlp()
    for ignore in ([model.layers[2]], ["layers.2"], ["layers.2.weight"]):
        assert list(prunable(model, ignore)) == ["layers.0.weight", "layers.1.weight"]
        assert list(prune(model, Magnitude(), keep=9, ignore=ignore)) == list(
            prunable(model, ignore)
        )
    assert list(prunable(Tied(), ["second.weight"])) == ["head.weight"]
    assert list(prunable(mlp(), ["layers.2.bias"])) == list(prunable(mlp()))


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Conv1d(2, 3, 2), (3, 2, 2)),
        (nn.Conv2d(4, 6, 3, groups=2), (6, 2, 3, 3)),
        (nn.Conv3d(1, 2, 2), (2, 1, 2, 2, 2)),
        (nn.ConvTranspose2d(2, 3, 2), (2, 3, 2, 2)),
        (nn.Linear(3, 2, bias=False), (2, 3)),
    ],
)
def test_every_kind_of_linear_and_convolutional_layer_is_pruned(
    layer: nn.Module, shape: tuple[int, ...]
):
    assert {name: mask.shape for name, mask in prunable(layer).items()} == {"weight": shape}


def test_an_attention_layer_is_pruned_where_it_is_linear():
    torch.manual_seed(0)
    model = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    batch = (torch.randn(3, 4, 8), torch.randn(3, 4, 8))
    found = prune(model, SNIP(), keep=50, loss=functional.mse_loss, batches=[batch])
    assert list(found) == [
        "self_attn.in_proj_weight",
        "self_attn.out_proj.weight",
        "linear1.weight",
        "linear2.weight",
    ]
    assert masks.count(found) == 50


def test_what_masks_prune_already_stays_pruned_and_does_not_count():
    model = mlp()
    first = prune(model, Random(), keep=20)
    second = prune(model, Magnitude(), keep=12, masks=first)
    assert masks.count(second) == 12
    assert all(not (mask & ~first[name]).any() for name, mask in second.items())
    part = prune(model, Magnitude(), keep=12, masks={"layers.1.weight": first["layers.1.weight"]})
    assert not (part["layers.1.weight"] & ~first["layers.1.weight"]).any()
    with pytest.raises(ValueError, match="keep must be at most the 20 prunable weights, got 21"):
        prune(model, Magnitude(), keep=21, masks=first)


def test_the_generator_decides_and_is_advanced():
    model, generator = mlp(), torch.Generator().manual_seed(5)
    first, second = (prune(model, Random(floor=1), keep=20, generator=generator) for _ in range(2))
    assert any(not torch.equal(first[name], second[name]) for name in first)


def test_dense_prunes_nothing():
    assert all(mask.all() for mask in prune(mlp(), Dense(), keep=47).values())
    assert masks.count(prune(mlp(), Dense(), sparsity=0.0)) == 47
    with pytest.raises(ValueError, match="keep must be all 47 weights of masks, got 46"):
        prune(mlp(), Dense(), keep=46)


def test_an_empty_layer_is_named():
    model = mlp()
    with torch.no_grad():
        model.layers[1].weight.mul_(1e-3)
    with pytest.warns(
        UserWarning, match=r"Magnitude leaves no weight in layers\.1\.weight; floor=1"
    ):
        found = prune(model, Magnitude(), keep=10)
    assert not found["layers.1.weight"].any()
    found = prune(model, Magnitude(floor=1), keep=10)
    assert int(found["layers.1.weight"].sum()) == 1
    assert masks.count(found) == 10


def test_zero_scores_of_an_unpruned_model_are_refused():
    model = mlp()
    with torch.no_grad():
        model.layers[2].weight.zero_()
        model.layers[1].weight.zero_()
    for pruner in (SNIP(), FORCE(), GraSP()):
        with pytest.raises(ValueError, match="are zero everywhere: the loss does not feel"):
            prune(model, pruner, keep=10, loss=bce, batches=[BATCH])
    # What is pruned already may leave no path: an answer all the same, with a warning.
    dead = {
        "layers.1.weight": torch.zeros(5, 6).bool(),
        "layers.2.weight": torch.zeros(1, 5).bool(),
    }
    with pytest.warns(UserWarning, match="scores of SNIP are zero everywhere in round 1 of 1"):
        found = prune(mlp(), SNIP(), keep=4, loss=bce, batches=[BATCH], masks=dead)
    assert found["layers.0.weight"].flatten().nonzero().flatten().tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("pruner", [IterSNIP(), FORCE()])
def test_zero_scores_in_a_later_round_are_answered_with_one_warning(pruner: AbstractPruner):
    # Two weights are not enough for a path through four layers; a bias would begin one.
    torch.manual_seed(0)
    model = MLP((2, 64, 64, 64, 1))
    with torch.no_grad():
        for layer in model.layers:
            layer.bias.zero_()
    with pytest.warns(UserWarning, match=r"zero everywhere|leaves no weight") as caught:
        found = prune(model, pruner, keep=2, loss=bce, batches=[BATCH])
    assert masks.count(found) == 2
    about = [str(w.message) for w in caught if "zero everywhere" in str(w.message)]
    assert len(about) == 1
    assert f"scores of {type(pruner).__name__} are zero everywhere in round" in about[0]


@pytest.mark.parametrize("brings_back", [False, True])
def test_only_weights_that_can_be_kept_count_as_scored(brings_back: bool):
    class OnlyPruned(AtInit):
        revive = brings_back

        def scores(
            self, problem: Problem, params: Params, masks: Masks, noise: Params | None = None
        ) -> Scores:
            whole = all(bool(mask.all()) for mask in masks.values())
            return {
                name: params[name].abs() if whole else (~mask).float()
                for name, mask in masks.items()
            }

    pruner = OnlyPruned(rounds=2, floor=1)
    if brings_back:
        prune(mlp(), pruner, keep=10)
    else:
        with pytest.warns(UserWarning, match="OnlyPruned are zero everywhere in round 2 of 2"):
            prune(mlp(), pruner, keep=10)


@pytest.mark.parametrize("pruner", [SNIP(), GraSP(), ProsPr(), IterSNIP(), FORCE()])
def test_a_loss_that_is_no_number_is_named(pruner: AbstractPruner):
    x, y = BATCH
    broken = [(x, y), (x * math.nan, y)]
    with pytest.raises(ValueError, match="must be numbers: the loss of batch 1 is nan"):
        prune(mlp(), pruner, keep=10, loss=bce, batches=broken)
    model = mlp()
    with torch.no_grad():
        model.layers[1].bias[0] = math.nan
    with pytest.raises(ValueError, match=r"the model has NaN in 'layers\.1\.bias'"):
        prune(model, pruner, keep=10, loss=bce, batches=[BATCH])


def test_a_derivative_that_is_no_number_is_named():
    def kinked(outputs: Tensor, targets: Tensor) -> Tensor:
        return (outputs - outputs).sum().sqrt()

    with pytest.raises(ValueError, match="loss are finite, but not what the method makes"):
        prune(mlp(), SNIP(), keep=10, loss=kinked, batches=[BATCH])


@pytest.mark.parametrize("method", [SNIP, GraSP, IterSNIP, FORCE, ProsPr])
def test_what_methods_with_data_need_is_asked_for(method: type[pruners.Method]):
    name = method.__name__
    with pytest.raises(ValueError, match=f"loss is needed by {name}, got None"):
        prune(mlp(), method(), keep=5, batches=[BATCH])
    with pytest.raises(ValueError, match=f"at least one pair .* for {name}, got none"):
        prune(mlp(), method(), keep=5, loss=bce)

    def one_a_sample(outputs: Tensor, targets: Tensor) -> Tensor:
        return bce(outputs, targets, reduction="none")

    with pytest.raises(ValueError, match=r"loss must give one number.*got shape \(8, 1\)"):
        prune(mlp(), method(), keep=5, loss=one_a_sample, batches=[BATCH])


def test_synflow_needs_a_batch_for_its_shape_but_no_loss():
    assert masks.count(prune(mlp(), SynFlow(), keep=12, batches=[BATCH])) == 12
    with pytest.raises(ValueError, match="batches must hold at least one pair"):
        prune(mlp(), SynFlow(), keep=12)


@pytest.mark.parametrize("pruner", [GMP(), LTH(), RigL()])
def test_methods_that_act_during_training_name_what_to_use(pruner: pruners.AbstractPruner):
    with pytest.raises(ValueError, match=r"prunes during training: use attach.*fit\("):
        prune(mlp(), pruner, keep=10)


@pytest.mark.parametrize(
    ("budget", "error", "message"),
    [
        ({}, ValueError, "exactly one of keep and sparsity"),
        ({"keep": 5, "sparsity": 0.5}, ValueError, "exactly one of keep and sparsity"),
        ({"keep": -1}, ValueError, "keep must be at least 0, got -1"),
        ({"keep": 48}, ValueError, "keep must be at most the 47 prunable weights, got 48"),
        ({"keep": 5.0}, TypeError, "keep must be an integer, got 5.0"),
        ({"keep": True}, TypeError, "keep must be an integer, got True"),
        ({"sparsity": 1.5}, ValueError, "sparsity must be between 0 and 1, got 1.5"),
        ({"sparsity": -0.1}, ValueError, "sparsity must be between 0 and 1, got -0.1"),
        ({"sparsity": math.nan}, ValueError, "sparsity must be between 0 and 1, got nan"),
        ({"sparsity": "0.5"}, TypeError, "sparsity must be a number, got '0.5'"),
        ({"sparsity": True}, TypeError, "sparsity must be a number, got True"),
    ],
)
def test_wrong_budgets_are_refused(budget: dict[str, object], error: type[Exception], message: str):
    with pytest.raises(error, match=message):
        prune(mlp(), Magnitude(), **budget)  # type: ignore[arg-type]


def test_a_floor_above_the_budget_is_refused():
    with pytest.raises(ValueError, match="keep must be at least 6, as floor=2 holds for each of 3"):
        prune(mlp(), Magnitude(floor=2), keep=5)


def test_wrong_arguments_are_refused():
    model = mlp()
    with pytest.raises(TypeError, match="pruner must be a pruner, such as SNIP"):
        prune(model, SNIP, keep=5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="model must be a module, got dict"):
        prune({}, Magnitude(), keep=5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"ignore names 'layers\.7', which is no module or param"):
        prune(model, Magnitude(), keep=5, ignore=["layers.7"])
    with pytest.raises(ValueError, match="ignore holds a Linear that is not in the model"):
        prune(model, Magnitude(), keep=5, ignore=[nn.Linear(2, 2)])
    with pytest.raises(TypeError, match=r"ignore must be modules and names, got 'layers\.0'"):
        prune(model, Magnitude(), keep=5, ignore="layers.0")
    with pytest.raises(TypeError, match="ignore must hold modules and names, got 3"):
        prune(model, Magnitude(), keep=5, ignore=[3])  # type: ignore[list-item]
    with pytest.raises(ValueError, match=r"masks names 'layers\.0\.bias'"):
        prune(model, Magnitude(), keep=5, masks={"layers.0.bias": torch.ones(6).bool()})
    with pytest.raises(TypeError, match="bool tensor"):
        prune(model, Magnitude(), keep=5, masks={"layers.0.weight": torch.ones(6, 2)})


def test_models_without_anything_to_prune_are_refused():
    for model in (nn.ReLU(), nn.Embedding(2, 3), nn.Sequential(nn.LayerNorm(3))):
        with pytest.raises(ValueError, match="model must have linear or convolutional layers, got"):
            prune(model, Magnitude(), keep=1)
    with pytest.raises(ValueError, match="layers that ignore leaves, got"):
        prune(mlp(), Magnitude(), keep=1, ignore=["layers"])


def test_models_in_another_form_are_refused_with_the_remedy():
    model = mlp()
    torch_prune.l1_unstructured(model.layers[0], "weight", amount=4)
    with pytest.raises(ValueError, match=r"torch.nn.utils.prune form: .*make_permanent"):
        prune(model, Magnitude(), keep=10)
    before = masks.from_torch_prune(model)
    masks.make_permanent(model)
    assert masks.count(prune(model, Magnitude(floor=1), keep=10, masks=before)) == 10

    model = mlp()
    parametrizations.weight_norm(model.layers[1])
    with pytest.raises(ValueError, match=r"parametrization at 'layers\.1'.*remove_parametriz"):
        prune(model, Magnitude(), keep=10)

    with pytest.raises(ValueError, match=r"wrapped in DataParallel: prune its \.module"):
        prune(nn.DataParallel(mlp()), Magnitude(), keep=10)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        lazy = nn.Sequential(nn.LazyLinear(3))
    with pytest.raises(ValueError, match=r"no shape for '0\.weight' yet: run it on a batch first"):
        prune(lazy, Magnitude(), keep=1)


def test_a_method_of_ones_own_in_a_few_lines():
    def cubed(problem: Problem, params: Params, masks: Masks, noise: Params | None) -> Scores:
        return {name: params[name].abs() ** 3 for name in masks}

    found, expected = (
        prune(mlp(), pruner, keep=20) for pruner in (Pruner(score=cubed), Magnitude())
    )
    assert all(torch.equal(found[name], mask) for name, mask in expected.items())

    class Cubed(AtInit):
        def scores(
            self, problem: Problem, params: Params, masks: Masks, noise: Params | None = None
        ) -> Scores:
            return cubed(problem, params, masks, noise)

    found = prune(mlp(), Cubed(), keep=20)
    assert all(torch.equal(found[name], mask) for name, mask in expected.items())
    assert masks.count(prune(mlp(), Cubed(rounds=3, scope="erk"), keep=20)) == 20
    assert (
        masks.count(
            prune(mlp(), Pruner(score=cubed, schedule=AtOnce(rounds=3), scope="erk"), keep=20)
        )
        == 20
    )
    assert Cubed not in pruners.all()


def test_the_catalogue_is_complete():
    names = [method.__name__ for method in pruners.all()]
    assert len(names) == len(set(names))
    assert names[:9] == [
        "SNIP",
        "GraSP",
        "SynFlow",
        "IterSNIP",
        "FORCE",
        "ProsPr",
        "GMP",
        "LTH",
        "RigL",
    ]
    assert all(
        getattr(pruners, name) is method for name, method in zip(names, pruners.all(), strict=True)
    )


class Words(nn.Module):
    """Most of it is a table."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.last = nn.Embedding(50, 4), nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.table(x).mean(1))


def calls() -> dict[str, Any]:
    """Everything that prunes, ranks or plans by a choice of parts."""
    x = torch.randint(50, (6, 2))
    data = {"loss": nn.functional.cross_entropy, "batches": [(x, x[:, 0] % 3)]}

    def sgd(model: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.SGD(model.parameters(), lr=0.1)

    lomp = pruners.LOMP(epochs=1, floor=1)
    return {
        "prune": lambda m, **o: prune(m, pruners.Magnitude(floor=1), keep=5, **o),
        "score": lambda m, **o: pruners.score(m, pruners.Magnitude(floor=1), **o),
        "weights": lambda m, **o: pruners.prune_with_weights(m, lomp, keep=5, **data, **o),
        "plan": lambda m, **o: pruners.plan(m, pruners.Magnitude(floor=1), keep=5, **o),
        "ticket": lambda m, **o: lottery_ticket(m, lambda *_: None, keep=5, **o),
        "at once": lambda m, **o: attach(pruners.Magnitude(floor=1), m, sgd(m), keep=5, **o),
        "learned": lambda m, **o: attach(lomp, m, sgd(m), keep=5, **data, **o),
        "in training": lambda m, **o: attach(pruners.GMP(), m, sgd(m), keep=5, steps=300, **o),
    }


@pytest.mark.parametrize("name", list(calls()))
def test_what_is_left_out_is_told_once_at_the_caller_s_line(name: str):
    call = calls()[name]
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        call(Words())
    assert [str(one.message).split(":")[0] for one in told] == [
        "200 of the 212 entries of the model's matrices are not pruned"
    ]
    assert told[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        call(Words(), ignore=["table"])
        call(Words(), include=(one for one in [nn.Embedding]))


@pytest.mark.parametrize("pruner", [SNIP(), OBS(), LOMP(epochs=1), EdgePopup(epochs=1)])
@pytest.mark.parametrize("argument", ["loss", "step"])
@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda v: {"loss": v}, TypeError, "must give a tensor of one number, got"),
        (lambda v: (v, 1), TypeError, "must give a tensor of one number, got"),
        (lambda v: v.item(), TypeError, r"must give a tensor of one number, got 0\.\d+"),
        (lambda v: v.detach().numpy(), TypeError, "must give a tensor of one number, got"),
        (lambda v: None, TypeError, "must give a tensor of one number, got None"),
        (lambda v: v * 1j, TypeError, "must give a real number, got torch.complex64"),
        (lambda v: v.expand(2), ValueError, r"must give one number.* got shape \(2,\)"),
    ],
)
def test_what_gives_no_loss_is_called_as_the_caller_calls_it(
    pruner: AbstractPruner,
    argument: str,
    change: Callable[[Tensor], object],
    error: type[Exception],
    message: str,
):
    own: Any = {
        "loss": lambda outputs, targets: change(bce(outputs, targets)),
        "step": lambda model, batch: change(bce(model(batch[0]), batch[1])),
    }
    with pytest.raises(error, match=f"^{argument} {message}"):
        prune(mlp(), pruner, keep=10, batches=[BATCH], **{argument: own[argument]})
    if pruner == SNIP():
        model = mlp()
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        with pytest.raises(error, match=f"^{argument} {message}"):
            attach(pruner, model, optimizer, keep=10, batches=[BATCH], **{argument: own[argument]})


@pytest.mark.parametrize("pruner", [LOMP(epochs=1), EdgePopup(epochs=1), RareGems(epochs=1)])
def test_a_training_by_a_loss_without_a_gradient_is_refused(pruner: AbstractPruner):
    with pytest.raises(ValueError, match=r"^loss must be a differentiable function"):
        prune(mlp(), pruner, keep=10, loss=lambda z, y: bce(z, y).detach(), batches=[BATCH])

    def step(model: nn.Module, batch: Any) -> Tensor:
        with torch.no_grad():
            return bce(model(batch[0]), batch[1])

    with pytest.raises(ValueError, match=r"^step must be a differentiable function"):
        prune(mlp(), pruner, keep=10, step=step, batches=[BATCH])
