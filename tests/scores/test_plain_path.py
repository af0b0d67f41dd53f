"""One model is scored by ordinary autograd: whatever a training takes, a score takes."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from prunelimits import pruners
from prunelimits.masks import count, flatten
from prunelimits.problem import problem_of
from prunelimits.pruners import SNIP, AbstractPruner, GraSP, SynFlow, prune, score
from prunelimits.scores import loss_gradient, snip
from prunelimits.types import Masks

METHODS: list[AbstractPruner] = [
    pruners.SNIP(), pruners.GraSP(), pruners.SynFlow(rounds=3), pruners.FORCE(rounds=2),
    pruners.IterSNIP(rounds=2), pruners.ProsPr(), pruners.OBD(), pruners.OBD(gauss_newton=True),
    pruners.OBS(at_once=20), pruners.LOMP(epochs=2), pruners.EdgePopup(epochs=2),
    pruners.RareGems(epochs=2, freeze=1), pruners.Wanda(), pruners.OBC(), pruners.SparseGPT(),
    pruners.CHITA(stages=2, swaps=3), pruners.NPB(),
]  # fmt: skip


class Square(torch.autograd.Function):
    """`x^2` in the classic form, with `ctx` in its forward."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return 2 * x * grad


class Plain(nn.Module):
    """Two layers, and what a subclass does between them."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(4, 6), nn.Linear(6, 3)

    def between(self, x: Tensor) -> Tensor:
        return x * x

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.between(self.first(x)))


class Custom(Plain):
    def between(self, x: Tensor) -> Tensor:
        return Square.apply(x)


class Checkpointed(Plain):
    def forward(self, x: Tensor) -> Tensor:
        def block(x: Tensor) -> Tensor:
            return self.second(self.between(self.first(x)))

        return checkpoint(block, x, use_reentrant=False)


class Hooked(Plain):
    def forward(self, x: Tensor) -> Tensor:
        with torch.autograd.graph.saved_tensors_hooks(lambda t: t.clone(), lambda t: t):
            return super().forward(x)


class Counting(Plain):
    def __init__(self) -> None:
        super().__init__()
        self.calls = 0
        self.seen: list[int] = []
        self.register_buffer("total", torch.zeros(()))

    def between(self, x: Tensor) -> Tensor:
        self.calls += 1
        self.seen.append(len(x))
        self.total += 1
        return x * x


def made(kind: Callable[[], nn.Module]) -> nn.Module:
    torch.manual_seed(0)
    return kind().double()


def data(count: int = 4) -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(count, 8, 4, generator=generator, dtype=torch.float64)
    return [(one, (one[:, 0] > 0).long()) for one in x]


def masks_of(model: nn.Module, pruner: AbstractPruner, **more: Any) -> Masks:
    more = {"loss": functional.cross_entropy, "batches": data()} | more
    return prune(model, pruner, keep=15, **more)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [Custom, Checkpointed, Hooked, Counting])
@pytest.mark.parametrize("pruner", METHODS, ids=lambda p: type(p).__name__)
def test_every_method_takes_models_that_torch_func_refuses(
    pruner: AbstractPruner, kind: type[Plain]
):
    model = made(kind)
    before = copy.deepcopy(model.state_dict())
    expected = masks_of(made(Plain), pruner)
    assert torch.equal(flatten(masks_of(model, pruner)), flatten(expected))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    if isinstance(model, Counting):
        assert model.calls == 0 == len(model.seen)


def test_stored_statistics_that_a_forward_pass_updates_stay():
    class Normalised(Plain):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("mean", torch.zeros(6))
            self.register_buffer("var", torch.ones(6))

        def between(self, x: Tensor) -> Tensor:
            return functional.batch_norm(x, self.mean, self.var, training=True)

    model = made(Normalised)
    masks_of(model, pruners.SNIP())
    assert not model.mean.any()
    assert (model.var == 1).all()


def test_unequal_batches_count_by_their_samples():
    model = made(Plain)
    (x, y), *_ = data(1)
    whole, params = problem_of(model, functional.cross_entropy, [(x, y)])
    parts, _ = problem_of(model, functional.cross_entropy, [(x[:6], y[:6]), (x[6:], y[6:])])
    masks = pruners.prunable(model)
    for function in (loss_gradient, snip):
        one, two = function(whole, params, masks), function(parts, params, masks)
        for name, value in one.items():
            torch.testing.assert_close(two[name], value, rtol=1e-12, atol=1e-14)


def test_the_axis_of_the_batch_is_that_of_the_targets():
    class TimeFirst(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn, self.head = nn.RNN(3, 5), nn.Linear(5, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.rnn(x)[0][-1])

    model = made(TimeFirst)
    x = torch.randn(7, 10, 3, dtype=torch.float64)
    y = torch.arange(10) % 2
    masks = pruners.prunable(model)
    assert set(masks) == {"rnn.weight_ih_l0", "rnn.weight_hh_l0", "head.weight"}
    whole, params = problem_of(model, functional.cross_entropy, [(x, y)])
    split = [(x[:, :8], y[:8]), (x[:, 8:], y[8:])]
    parts, _ = problem_of(model, functional.cross_entropy, split)
    one, two = loss_gradient(whole, params, masks), loss_gradient(parts, params, masks)
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=1e-12, atol=1e-14)


class TwoInputs(Plain):
    """Takes two inputs by position or name, and gives its outputs by name."""

    def forward(self, left: Tensor, right: Tensor | None = None) -> Any:
        right = torch.zeros_like(left) if right is None else right
        return {"hidden": left, "logits": super().forward(left + right)}


def named_loss(outputs: Any, y: Tensor) -> Tensor:
    return functional.cross_entropy(outputs["logits"], y)


@pytest.mark.slow
@pytest.mark.parametrize("pruner", METHODS, ids=lambda p: type(p).__name__)
def test_batches_of_every_form_are_the_same_batches(pruner: AbstractPruner):
    if isinstance(pruner, pruners.SynFlow):
        pytest.skip("one input of ones is not the sum of two")
    expected = masks_of(made(Plain), pruner)
    half = [(x / 2, y) for x, y in data()]
    forms: dict[str, list[Any]] = {
        "tuples": [((x, x), y) for x, y in half],
        "lists": [([x, x], y.tolist()) for x, y in half],
        "names": [({"left": x, "right": x}, y) for x, y in half],
        "arrays": [((x.numpy(), x.numpy()), np.asarray(y)) for x, y in half],
        "ordered": [(OrderedDict(left=x, right=x), y) for x, y in half],
    }
    for name, batches in forms.items():
        found = masks_of(made(TwoInputs), pruner, loss=named_loss, batches=batches)
        assert torch.equal(flatten(found), flatten(expected)), name


def test_a_mapping_is_inputs_and_targets_and_the_loss_is_given_it():
    class Whole(Plain):
        def forward(self, x: Tensor, labels: Tensor) -> dict[str, Tensor]:
            logits = super().forward(x)
            return {"loss": functional.cross_entropy(logits, labels), "logits": logits}

    expected = masks_of(made(Plain), pruners.SNIP())
    batches = [{"x": x, "labels": y} for x, y in data()]
    for loss in (
        lambda outputs, batch: outputs["loss"],
        lambda outputs, batch: functional.cross_entropy(outputs["logits"], batch["labels"]),
    ):
        found = masks_of(made(Whole), pruners.SNIP(), loss=loss, batches=batches)
        assert torch.equal(flatten(found), flatten(expected))


def test_those_who_compute_the_loss_themselves_give_a_step():
    def step(model: nn.Module, batch: Any) -> Tensor:
        return functional.cross_entropy(model(batch["inputs"]), batch["answers"])

    batches = [{"inputs": x, "answers": y, "note": "any"} for x, y in data()]
    for pruner in (pruners.SNIP(), pruners.ProsPr(), pruners.OBD()):
        found = masks_of(made(Plain), pruner, loss=None, step=step, batches=batches)
        assert torch.equal(flatten(found), flatten(masks_of(made(Plain), pruner)))
    for pruner in (pruners.GraSP(), pruners.SynFlow(), pruners.OBS()):
        with pytest.raises(ValueError, match="step gives the loss alone, but"):
            masks_of(made(Plain), pruner, loss=None, step=step, batches=batches)
    with pytest.raises(ValueError, match="loss and step cannot both be given"):
        masks_of(made(Plain), pruners.SNIP(), step=step, batches=batches)


def batch_normalised() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 3))


def test_batch_norm_is_scored_as_the_authors_do_or_as_asked():
    model = made(batch_normalised)
    x, y = data(1)[0]
    before = copy.deepcopy(model.state_dict())

    def by_hand(training: bool) -> dict[str, Tensor]:
        other = copy.deepcopy(model).train(training)
        functional.cross_entropy(other(x), y).backward()
        return {n: (p.grad * p).abs().detach() for n, p in other.named_parameters() if p.dim() > 1}

    masks = pruners.prunable(model)
    for normalise, training in (("running", False), ("batch", True)):
        problem, params = problem_of(model, functional.cross_entropy, [(x, y)], normalise=normalise)
        for name, value in snip(problem, params, masks).items():
            torch.testing.assert_close(value, by_hand(training)[name])
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert pruners.SNIP().normalise == pruners.SynFlow().normalise == "running"
    for method in (pruners.GraSP, pruners.FORCE, pruners.IterSNIP, pruners.ProsPr):
        assert method().normalise == "batch"
    with pytest.raises(ValueError, match="normalise must be one of 'batch', 'running'"):
        masks_of(model, pruners.SNIP(), normalise="layer")


def test_many_models_are_normalised_by_their_batch_too():
    model = made(batch_normalised)
    problem, params = problem_of(model, functional.cross_entropy, data(1), normalise="batch")
    masks = pruners.prunable(model)
    stacked = {name: torch.stack([value, value]) for name, value in params.items()}
    together = torch.vmap(lambda p: snip(problem, p, masks))(stacked)
    for name, value in snip(problem, params, masks).items():
        torch.testing.assert_close(together[name][1], value)


def test_a_compiled_model_may_be_compiled_as_a_whole_afterwards():
    model = made(Plain)
    expected = masks_of(model, pruners.SNIP())
    compiled = torch.compile(model, backend="eager")
    found = masks_of(compiled, pruners.SNIP())
    assert torch.equal(flatten(found), flatten(expected))
    whole = torch.compile(model, backend="eager", fullgraph=True)
    x = data(1)[0][0]
    torch.testing.assert_close(whole(x), model(x))


def test_targets_that_the_loss_leaves_out_do_not_count():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3))
    x, y = torch.randn(6, 5, 4), torch.randint(3, (6, 5))
    y[:2, 1:] = -100  # a token of each of the first two sequences, four of the others
    y[2:, 4:] = -100

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        return functional.cross_entropy(outputs.flatten(0, 1), targets.flatten())

    for pruner in (SNIP(), GraSP()):
        whole = score(model, pruner, loss=loss, batches=[(x, y)])
        parts = score(model, pruner, loss=loss, batches=[(x[:2], y[:2]), (x[2:], y[2:])])
        for name, value in whole.items():
            torch.testing.assert_close(parts[name], value, rtol=1e-4, atol=1e-7)


def test_packed_sequences_are_one_input():
    class Tagger(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.recurrent, self.head = nn.GRU(4, 5), nn.Linear(5, 3)

        def forward(self, sequences: Any) -> Tensor:
            return self.head(self.recurrent(sequences)[1][-1])

    packed = torch.nn.utils.rnn.pack_sequence([torch.randn(5, 4), torch.randn(3, 4)])
    data: Any = {"loss": functional.cross_entropy, "batches": [(packed, torch.tensor([0, 2]))]}
    model = Tagger()
    found = score(model, SNIP(), **data)
    functional.cross_entropy(model(packed), torch.tensor([0, 2])).backward()
    for name, value in found.items():
        weight = model.get_parameter(name)
        assert weight.grad is not None
        torch.testing.assert_close(value, (weight * weight.grad).abs().detach())
    for pruner in (GraSP(floor=1), SynFlow(rounds=2, floor=1)):
        assert count(prune(model, pruner, keep=20, **data)) == 20


def test_lists_of_equally_long_lists_are_a_tensor():
    torch.manual_seed(0)
    model = nn.Linear(4, 3)
    x, y = torch.randn(5, 4), torch.tensor([0, 1, 2, 0, 1])
    lists = score(model, SNIP(), loss=functional.cross_entropy, batches=[(x.tolist(), y.tolist())])
    plain = score(model, SNIP(), loss=functional.cross_entropy, batches=[(x, y)])
    torch.testing.assert_close(lists["weight"], plain["weight"])


def test_a_batch_of_one_sample_has_no_statistics():
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))
    data: Any = {
        "loss": functional.cross_entropy,
        "batches": [(torch.randn(1, 4), torch.tensor([1]))],
    }
    with pytest.raises(ValueError, match=r"several samples each where BatchNorm .* takes one"):
        prune(model, GraSP(), keep=20, **data)
    assert count(prune(model, GraSP(floor=1), keep=20, normalise="running", **data)) == 20


class Writing(nn.Module):
    """Writes to its parameters as it runs, each in another way."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(9, 4, max_norm=0.5)
        self.first, self.last = nn.Linear(4, 4), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        self.first.weight.data.clamp_(-0.1, 0.1)
        self.last.bias.data.mul_(0.5)
        return self.last(self.first(self.table(x).mean(1)))


@pytest.mark.parametrize("include", [[], ["table"]])
def test_a_forward_pass_that_writes_to_its_parameters_leaves_the_model_as_it_is(include: Any):
    torch.manual_seed(0)
    model, x = Writing(), torch.randint(9, (6, 2))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    data: Any = {"loss": functional.cross_entropy, "batches": [(x, x[:, 0] % 3)]}
    for pruner in (
        SNIP(floor=1), GraSP(floor=1), SynFlow(rounds=1, floor=1), pruners.ProsPr(floor=1),
        pruners.OBD(probes=1, floor=1), pruners.LOMP(epochs=1, floor=1),
    ):  # fmt: skip
        parts = {"include": include} if include else {"ignore": ["table"]}
        prune(model, pruner, keep=20, **data, **parts)
        for name, value in model.state_dict().items():
            assert torch.equal(value, before[name]), (pruner.name, name)
