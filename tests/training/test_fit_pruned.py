"""`fit(pruner=...)` against plain loops over models, with `torch.optim.SGD`."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from prunelimits import MLP, pruners
from prunelimits.datasets import cubist_spiral
from prunelimits.masks import apply, with_biases
from prunelimits.problem import problem_of
from prunelimits.pruners import FORCE, GMP, LTH, SNIP, AbstractPruner, DeepR, IterSNIP, RigL
from prunelimits.training import FitResult, MLPEnsemble, Recipe, TorchEngine, fit
from prunelimits.training.engine import Plan
from prunelimits.training.native_engine import NativeEngine, available
from prunelimits.training.plan import sample_order
from prunelimits.types import Masks, Params

WIDTHS, KEEP = (2, 6, 5, 1), [10, 47, 20, 31, 1]
X, Y = cubist_spiral(320)
RECIPE = Recipe(epochs=3, batch_size=32, lr=0.1)
STEPS = 30
METHODS = [method for method in pruners.all() if method.__name__ not in ("Dense", "OBS")]
# DeepR moves weights after each of 19,500 steps, and these train for 100 epochs or more before they
# choose, where the others have the paper's defaults.
FEWER = {
    method: method(epochs=10) for method in (pruners.EdgePopup, pruners.RareGems, pruners.LOMP)
}
PRUNERS = [{DeepR: DeepR(rounds=30), **FEWER}.get(method) or method() for method in METHODS]
# Few rounds that fall into a training of 30 steps, so that a plain loop is quick.
SHORT = {
    "GMP": GMP(rounds=5, until=0.9),
    "RigL": RigL(rounds=4, until=0.8),
    "LTH": LTH(rounds=2),
}


def ensemble(dtype: torch.dtype = torch.float64, **more: Any) -> MLPEnsemble:
    return MLPEnsemble(WIDTHS, models=len(KEEP), seed=3, dtype=dtype, **more)


def fitted(
    begin: MLPEnsemble, pruner: AbstractPruner, keep: int | Sequence[int] = KEEP, **more: Any
) -> FitResult:
    return fit(begin, X, Y, RECIPE, seed=5, engine=TorchEngine(), pruner=pruner, keep=keep, **more)


def kept_weights(masks: Masks) -> list[int]:
    weights = [mask for name, mask in masks.items() if name.endswith("weight")]
    return sum(mask.flatten(1).sum(1) for mask in weights).tolist()


@pytest.mark.slow
@pytest.mark.parametrize("pruner", PRUNERS, ids=lambda p: type(p).__name__)
def test_every_member_has_its_budget_and_nothing_else(pruner: AbstractPruner):
    start = ensemble()
    before = {name: value.clone() for name, value in start.params.items()}
    result = fitted(start, pruner).ensemble
    assert kept_weights(result.masks) == KEEP
    for name, mask in result.masks.items():
        assert not result.params[name][~mask].any()
        assert not result.momentum[name][~mask].any()
        assert torch.equal(start.params[name], before[name])
    weights = {name: mask for name, mask in result.masks.items() if name.endswith("weight")}
    biased = with_biases(weights)
    assert all(torch.equal(mask, biased[name]) for name, mask in result.masks.items())


@pytest.mark.slow
@pytest.mark.parametrize("pruner", PRUNERS, ids=lambda p: type(p).__name__)
def test_a_member_does_not_depend_on_its_neighbours(pruner: AbstractPruner):
    together = fitted(ensemble(), pruner, pruner_seeds=[7, 8, 9, 10, 11]).ensemble
    part = ensemble()[2:4]
    alone = fitted(part, pruner, KEEP[2:4], pruner_seeds=[9, 10]).ensemble
    for name, mask in together.masks.items():
        assert torch.equal(mask[2:4], alone.masks[name])
        torch.testing.assert_close(together.params[name][2:4], alone.params[name])


def test_seeds_decide_the_random_masks():
    first, second, again = (
        fitted(ensemble(), pruners.Random(), 10, pruner_seeds=seeds).ensemble.masks
        for seeds in ([1, 1, 2, 3, 4], [1, 2, 2, 3, 4], [1, 1, 2, 3, 4])
    )
    name = "layers.1.weight"
    assert torch.equal(first[name], again[name])
    assert torch.equal(first[name][0], first[name][1])
    assert not torch.equal(second[name][0], second[name][1])


class Loop:
    """One network, one plain training loop, batches as `fit` orders them."""

    def __init__(self, member: int) -> None:
        self.model, _ = ensemble().member(member)
        self.start = {n: p.detach().clone() for n, p in self.model.named_parameters()}
        self.masks = {
            n: torch.ones_like(p).bool() for n, p in self.start.items() if n.endswith("weight")
        }
        self.restart()

    def restart(self) -> None:
        self.optimizer = torch.optim.SGD(
            self.model.parameters(), lr=RECIPE.lr, momentum=0.9, weight_decay=5e-4
        )

    def weights(self) -> Params:
        return {n: p.detach() for n, p in self.model.named_parameters() if n in self.masks}

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        order = sample_order(len(X), 5, step // 10)[(step % 10) * 32 :][:32]
        return X[order].double(), Y[order].double()

    def prune(self, masks: Masks) -> None:
        self.masks = {name: masks[name] for name in self.masks}
        for name, mask in with_biases(self.masks).items():
            parameter = self.model.get_parameter(name)
            parameter.data[~mask] = 0
            if parameter in self.optimizer.state:
                self.optimizer.state[parameter]["momentum_buffer"][~mask] = 0

    def gradients(self, step: int) -> Params:
        self.optimizer.zero_grad()
        x, y = self.batch(step)
        functional.binary_cross_entropy_with_logits(self.model(x).squeeze(1), y).backward()
        return {n: p.grad.clone() for n, p in self.model.named_parameters() if p.grad is not None}

    def step(self, step: int) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = RECIPE.learning_rates()[step // 10]
        gradients = self.gradients(step)
        for name, mask in with_biases(self.masks).items():
            self.model.get_parameter(name).grad = gradients[name] * mask
        self.optimizer.step()

    def check(self, member: int, result: MLPEnsemble) -> None:
        masks = with_biases(self.masks)
        # Units that reach no output are left alone after the last round, and decay in this loop.
        live = [(mask.any(0)) for mask in list(self.masks.values())[1:]]
        live[0] = live[0] & (self.masks["layers.1.weight"] & live[1].unsqueeze(1)).any(0)
        rows = [*live, torch.ones(1, dtype=torch.bool)]
        for name, mask in masks.items():
            assert torch.equal(mask, result.masks[name][member])
            part = rows[int(name.split(".")[1])]
            torch.testing.assert_close(
                self.model.get_parameter(name).data[part], result.params[name][member][part]
            )


def largest(scores: Params, number: int) -> Masks:
    """The `number` largest scores of all, by sorting a list."""
    entries = [
        (-float(score), place, name)
        for name, tensor in scores.items()
        for place, score in enumerate(tensor.flatten())
    ]
    order = {name: index for index, name in enumerate(scores)}
    entries.sort(key=lambda entry: (entry[0], order[entry[2]], entry[1]))
    masks = {name: torch.zeros_like(tensor, dtype=torch.bool) for name, tensor in scores.items()}
    for _, place, name in entries[:number]:
        masks[name].view(-1)[place] = True
    return masks


def magnitudes(loop: Loop) -> Params:
    return {n: w.abs().masked_fill(~loop.masks[n], -1) for n, w in loop.weights().items()}


@pytest.mark.parametrize("member", [0, 2, 3])
def test_snip(member: int):
    result = fitted(ensemble(), SNIP()).ensemble
    loop = Loop(member)
    gradients = loop.gradients(0)
    loop.prune(
        largest({n: (w * gradients[n]).abs() for n, w in loop.weights().items()}, KEEP[member])
    )
    for step in range(STEPS):
        loop.step(step)
    loop.check(member, result)


@pytest.mark.parametrize("revive", [False, True], ids=["IterSNIP", "FORCE"])
def test_rounds_before_training_see_the_first_batches_in_turn(revive: bool):
    member = 2
    result = fitted(ensemble(), FORCE(rounds=3) if revive else IterSNIP(rounds=3)).ensemble
    loop = Loop(member)
    dense, total = loop.weights(), 47
    for done in range(3):
        loop.model.load_state_dict(loop.start)
        for name, mask in loop.masks.items():
            loop.model.get_parameter(name).data[~mask] = 0
        gradients = loop.gradients(done)
        scores = {n: (loop.start[n] * gradients[n]).abs() for n in dense}
        if not revive:
            scores = {n: score.masked_fill(~loop.masks[n], -1) for n, score in scores.items()}
        loop.masks = largest(scores, round(total * (KEEP[member] / total) ** ((done + 1) / 3)))
    loop.model.load_state_dict(loop.start)
    loop.prune(loop.masks)
    for step in range(STEPS):
        loop.step(step)
    loop.check(member, result)


@pytest.mark.parametrize("member", [0, 2, 3])
def test_gmp(member: int):
    result = fitted(ensemble(), SHORT["GMP"]).ensemble
    loop, keep, total = Loop(member), KEEP[member], 47
    for step in range(STEPS):
        loop.step(step)
        if (step + 1) % 5 == 0 and step + 1 <= 25:  # int(0.9 * 30 / 5) = 5
            left = round(keep + (total - keep) * (1 - (step + 1) / 25) ** 3)
            loop.prune(largest(magnitudes(loop), left))
    loop.check(member, result)


@pytest.mark.parametrize("member", [0, 2, 3])
def test_lth(member: int):
    result = fitted(ensemble(), SHORT["LTH"]).ensemble
    loop, keep, total = Loop(member), KEEP[member], 47
    for block in range(3):
        for step in range(STEPS):
            loop.step(step)
        if block < 2:
            masks = largest(magnitudes(loop), round(total * (keep / total) ** ((block + 1) / 2)))
            loop.model.load_state_dict(loop.start)
            loop.restart()
            loop.prune(masks)
    loop.check(member, result)


class Counting(NativeEngine):
    """Remembers how many members each training had."""

    def __init__(self) -> None:
        super().__init__(threads=1)
        self.trained: list[int] = []

    def train(self, ensemble: MLPEnsemble, x: Tensor, y: Tensor, plan: Plan) -> MLPEnsemble:
        self.trained.append(len(ensemble))
        return super().train(ensemble, x, y, plan)


@pytest.mark.skipif(not available(), reason="installed without the native engine")
def test_what_lth_trains_alike_is_trained_once(monkeypatch: pytest.MonkeyPatch):
    start = MLPEnsemble(WIDTHS, seeds=[7, 7, 8, 7, 7])
    recipes = [Recipe(epochs=3, batch_size=32, lr=lr) for lr in (0.1, 0.1, 0.1, 0.05, 0.1)]
    keep = [10, 20, 20, 20, 20]
    engine = Counting()
    together = fit(start, X, Y, recipes, engine=engine, pruner=LTH(rounds=2), keep=keep)
    # Two starts, one of them with two learning rates; then budgets tell members apart too.
    assert engine.trained == [3, 4, 4]
    monkeypatch.setattr(
        "prunelimits.training.pruned._train_distinct",
        lambda ensemble, training, plan: training.run(ensemble, plan),
    )
    each = fit(start, X, Y, recipes, engine=engine, pruner=LTH(rounds=2), keep=keep)
    assert engine.trained[3:] == [5, 5, 5]
    for name, value in each.ensemble.params.items():
        assert torch.equal(value, together.ensemble.params[name])
    assert torch.equal(each.parameter_samples, together.parameter_samples)
    assert torch.equal(each.operations, together.operations)


@pytest.mark.parametrize("member", [0, 2, 3])
def test_the_cost_is_counted_step_by_step(member: int):
    result = fitted(ensemble(), SHORT["GMP"])
    parameter_samples = operations = 0
    loop = Loop(member)
    for step in range(STEPS):
        masks = with_biases(loop.masks)
        for name, mask in masks.items():
            kept = int(mask.sum())
            parameter_samples += 32 * kept
            first, bias = name.startswith("layers.0"), name.endswith("bias")
            operations += 6 * kept + 32 * kept * (1 if bias else 4 if first else 6)
        loop.step(step)
        if (step + 1) % 5 == 0 and step + 1 <= 25:
            left = round(KEEP[member] + (47 - KEEP[member]) * (1 - (step + 1) / 25) ** 3)
            loop.prune(largest(magnitudes(loop), left))
    assert result.parameter_samples[member] == parameter_samples
    assert result.operations[member] == operations


@pytest.mark.parametrize("member", [0, 2, 3])
def test_rigl(member: int):
    result = fitted(ensemble(), SHORT["RigL"]).ensemble
    # The random start is taken over; what becomes of it is written out.
    start = fit(
        ensemble(), X, Y, RECIPE, seed=5, engine=TorchEngine(),
        pruner=RigL(rounds=1, until=0.0, fraction=0.0), keep=KEEP,
    ).ensemble.masks  # fmt: skip
    loop = Loop(member)
    loop.prune({name: mask[member] for name, mask in start.items()})
    moved = 0
    for step in range(STEPS):
        round_, rest = divmod(step, 6)  # int(0.8 * 30 / 4) = 6
        if rest or not 1 <= round_ <= 4:
            loop.step(step)
            continue
        gradients, masks = loop.gradients(step), {}
        share = 0.3 / 2 * (1 + torch.tensor(torch.pi * round_ / 4, dtype=torch.float64).cos())
        for name, mask in loop.masks.items():
            number = int(share * mask.sum())
            weight = loop.weights()[name]
            stay = largest({"": weight.abs().masked_fill(~mask, -1)}, int(mask.sum()) - number)[""]
            free = gradients[name].abs().masked_fill(stay, -1)
            masks[name] = stay | largest({"": free}, number)[""]
            moved += int((masks[name] & ~mask).sum())
        loop.prune(masks)
    assert moved or member == 0
    loop.check(member, result)


def test_scores_do_not_see_padding_of_chunks(monkeypatch: pytest.MonkeyPatch):
    whole = fitted(ensemble(), SNIP()).ensemble
    monkeypatch.setattr("prunelimits.training.pruned._SCORED_PARAMETERS", 120)
    parts = fitted(ensemble(), SNIP()).ensemble
    assert all(torch.equal(mask, parts.masks[name]) for name, mask in whole.masks.items())


def test_the_default_engine_prunes_too():
    start = MLPEnsemble(WIDTHS, models=3, seed=3)
    result = fit(start, X, Y, RECIPE, pruner=GMP(), keep=9)
    assert kept_weights(result.ensemble.masks) == [9, 9, 9]


def test_the_task_of_a_member_is_the_training_s():
    """What scores see: a loss on outputs `(n, outputs)` of one member."""
    model, _ = ensemble().member(0)
    problem, params = problem_of(model, functional.mse_loss)
    x = X[:4].double()
    torch.testing.assert_close(problem.apply(apply(params, {}), x), model(x))
    assert isinstance(model, MLP)
    assert isinstance(model, nn.Module)


@pytest.mark.parametrize("keep", [np.int64(9), np.array(9), [9] * 5, (9,) * 5, np.full(5, 9)])
def test_numpys_integers_are_integers(keep: Any):
    expected = fitted(ensemble(), SNIP(), 9, pruner_seeds=[1, 2, 3, 4, 5]).ensemble
    seeds = np.arange(1, 6)
    found = fitted(ensemble(), SNIP(), keep, pruner_seeds=seeds).ensemble
    for name, value in expected.params.items():
        assert torch.equal(found.params[name], value)


def test_bad_input():
    with pytest.raises(ValueError, match="whole training for a pruner, got 3 and 30"):
        fitted(ensemble(), GMP(), start=3)
    with pytest.raises(ValueError, match="keep must be given with a pruner"):
        fit(ensemble(), X, Y, RECIPE, pruner=GMP())  # pyright: ignore
    with pytest.raises(ValueError, match="keep must hold 5 integers, got 2"):
        fitted(ensemble(), GMP(), [1, 2])
    with pytest.raises(ValueError, match="keep must be at least 0, got -1"):
        fitted(ensemble(), GMP(), -1)
    with pytest.raises(ValueError, match="at most the 47"):
        fitted(ensemble(), GMP(), 48)
    with pytest.raises(TypeError, match=r"keep\[0\] must be an integer, got 0\.5"):
        fitted(ensemble(), GMP(), [0.5] * 5)  # pyright: ignore
    for wrong in (0.5, True, "9", torch.tensor(9), {9}):
        with pytest.raises(TypeError, match="keep must be "):
            fitted(ensemble(), GMP(), wrong)  # pyright: ignore
    for seeds in ([], [1], range(6)):
        message = f"pruner_seeds must hold 5 integers, got {len(seeds)}"
        with pytest.raises(ValueError, match=message):
            fitted(ensemble(), GMP(), pruner_seeds=seeds)
    with pytest.raises(TypeError, match=r"pruner_seeds\[1\] must be an integer, got 1\.5"):
        fitted(ensemble(), GMP(), pruner_seeds=[1, 1.5, 2, 3, 4])
    with pytest.raises(TypeError, match="pruner must be a pruner"):
        fitted(ensemble(), GMP)  # pyright: ignore
    with pytest.raises(ValueError, match="keep is given without a pruner"):
        fit(ensemble(), X, Y, RECIPE, keep=3)  # pyright: ignore
    with pytest.raises(ValueError, match="pruner_seeds is given without a pruner"):
        fit(ensemble(), X, Y, RECIPE, pruner_seeds=range(5))  # pyright: ignore
    pruned = ensemble(masks={"layers.0.weight": torch.zeros(6, 2).bool()})
    with pytest.raises(ValueError, match="ensemble must have no pruned parameters"):
        fitted(pruned, GMP())


def _if(value: Tensor) -> Tensor:
    return value.abs() if value.max() > 0 else value.square()


def _in_place(value: Tensor) -> Tensor:
    result = torch.zeros(value.shape)
    result += value.abs()
    return result


READERS: dict[str, Callable[[Tensor], Tensor]] = {
    "if": _if,
    "item": lambda value: value.abs() * value.max().item(),
    "float": lambda value: value.abs() * float(value.max()),
    "tolist": lambda value: torch.tensor(value.tolist()).abs(),
    "numpy": lambda value: torch.from_numpy(value.detach().numpy()).abs(),
    "index": lambda value: value[value > 0],
    "in place": _in_place,
}


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
def test_scores_that_read_a_value_are_told_what_to_write_instead(
    reader: Callable[[Tensor], Tensor],
):
    def mine(problem, params, masks, noise):
        return {name: reader(params[name]) for name in masks}

    x, y = cubist_spiral(200)
    with pytest.raises(
        ValueError, match=r"^Pruner\(mine\) cannot prune many .* torch\.where"
    ) as raised:
        fit(
            MLPEnsemble((2, 4, 1), models=3),
            x,
            y,
            Recipe(),
            pruner=pruners.Pruner(score=mine),
            keep=5,
        )
    assert "file an issue" not in str(raised.value)


def test_another_error_of_one_s_own_scores_is_left_as_it_is():
    def mine(problem, params, masks, noise):
        raise RuntimeError("no such file")

    x, y = cubist_spiral(200)
    with pytest.raises(RuntimeError, match=r"^no such file$"):
        fit(
            MLPEnsemble((2, 4, 1), models=3),
            x,
            y,
            Recipe(),
            pruner=pruners.Pruner(score=mine),
            keep=5,
        )
