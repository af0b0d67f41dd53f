"""Situations of people who prune in loops of their own: each was once silently wrong."""

import copy
import io
import pickle
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer

from prunelimits import scores
from prunelimits.masks import count, flatten, make_permanent
from prunelimits.pruners import (
    GMP,
    SET,
    SNIP,
    Gradual,
    Magnitude,
    Pruner,
    Random,
    RigL,
    Score,
    prune,
)
from prunelimits.sessions import PruningSession, attach
from prunelimits.types import Masks, Params


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))


def loss_at(model: nn.Module, step: int) -> Tensor:
    x = torch.randn(16, 4, generator=torch.Generator().manual_seed(step))
    return functional.cross_entropy(model(x), (x[:, 0] > 0).long())


def sgd(model: nn.Module) -> Optimizer:
    return torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-3)


def train(model: nn.Module, optimizer: Optimizer, steps: int, first: int = 0) -> None:
    for step in range(first, first + steps):
        optimizer.zero_grad()
        loss_at(model, step).backward()
        optimizer.step()


def nonzeros(model: nn.Module) -> int:
    return sum(int(p.count_nonzero()) for p in model.parameters() if p.dim() > 1)


def test_a_generator_of_parts_is_read_once():
    for pruner in (Magnitude(floor=1), GMP(rounds=2)):
        model = network()
        before = model[2].weight.clone()
        session = attach(pruner, model, sgd(model), keep=5, steps=4, ignore=(n for n in ["2"]))
        assert list(session.masks) == ["0.weight"]
        assert torch.equal(model[2].weight, before)


@pytest.mark.parametrize(
    ("other", "named"),
    [
        ({"keep": 30}, "keep or sparsity must leave 20 weights as in resume, got 30"),
        ({"steps": 40}, "every, steps and start must give the rounds of resume"),
        ({"start": 1}, "every, steps and start must give the rounds of resume"),
        ({"pruner": GMP(rounds=3)}, "pruner must be GMP"),
        ({"pruner": SET(rounds=4)}, "pruner must be GMP"),
        ({"ignore": ["2"]}, "ignore and include must be the same"),
        ({"masks": {"0.weight": torch.eye(8, 4).bool()}}, "masks must be those of resume"),
    ],
)
def test_a_session_is_resumed_with_the_arguments_it_began_with(other: dict[str, Any], named: str):
    model = network()
    asked = {"pruner": GMP(rounds=4), "keep": 20, "steps": 20}
    pruner = asked.pop("pruner")
    session = attach(pruner, model, sgd(model), **asked)
    saved = session.state_dict()
    attach(pruner, model, sgd(model), resume=saved, **asked)
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(ValueError, match=named):
        attach(
            model=model, optimizer=sgd(model), resume=saved, **{"pruner": pruner, **asked, **other}
        )
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_what_is_loaded_at_the_end_is_masked():
    model = network()
    best = copy.deepcopy(model.state_dict())
    masks = prune(model, Random(), keep=9)
    optimizer = sgd(model)
    with attach(masks, model, optimizer):
        train(model, optimizer, 1)
        model.load_state_dict(best)
    assert nonzeros(model) == 9


def test_parameters_replaced_at_the_end_are_masked_and_under_way_refused():
    best = copy.deepcopy(network().state_dict())
    model = network()
    masks, optimizer = prune(model, Random(), keep=9), sgd(model)
    with attach(masks, model, optimizer):
        train(model, optimizer, 2)
        model.load_state_dict(copy.deepcopy(best), assign=True)
    assert nonzeros(model) == 9

    model = network()
    optimizer = sgd(model)
    with attach(masks, model, optimizer):
        train(model, optimizer, 2)
        model.load_state_dict(copy.deepcopy(best), assign=True)
        with pytest.raises(RuntimeError, match=r"'0\.weight' was replaced while it was pruned"):
            optimizer.step()
    assert nonzeros(model) == 9


def test_what_was_pruned_before_never_comes_back():
    model = network()
    first = prune(model, Magnitude(), keep=30)
    make_permanent(model, first)
    optimizer = sgd(model)
    for pruner in (GMP(rounds=3), SET(rounds=3)):
        with attach(pruner, model, optimizer, keep=12, steps=9, masks=first) as session:
            for step in range(9):
                train(model, optimizer, 1, step)
                assert nonzeros(model) <= 30
                assert not any((session.masks[n] & ~first[n]).any() for n in first)
        assert count(session.masks) == 12
    with pytest.warns(UserWarning, match=r"zeros in 0\.weight, .* pruned already"):
        session = attach(GMP(), model, optimizer, keep=12, steps=9)
    session.state_dict()


def test_a_session_cannot_be_entered_twice_at_once():
    model = network()
    optimizer = sgd(model)
    session = attach(GMP(rounds=2), model, optimizer, keep=10, steps=4)
    with session:
        with pytest.raises(RuntimeError, match="cannot be entered twice"):
            session.__enter__()
        train(model, optimizer, 4)
    assert count(session.masks) == 10
    assert not optimizer._optimizer_step_pre_hooks
    assert not model[0].weight._post_accumulate_grad_hooks


def test_a_session_may_be_entered_once_an_epoch_and_is_the_same():
    def run(parts: list[int]) -> tuple[nn.Module, Masks]:
        model = network()
        optimizer = sgd(model)
        session = attach(GMP(rounds=5), model, optimizer, keep=10, steps=12)
        done = 0
        for steps in parts:
            with session:
                train(model, optimizer, steps, done)
            done += steps
        return model, session.masks

    whole, parts = run([12]), run([3, 4, 5])
    assert torch.equal(flatten(whole[1]), flatten(parts[1]))
    assert torch.equal(whole[0][0].weight, parts[0][0].weight)


@pytest.mark.parametrize("pruner", [RigL(rounds=5), GMP(rounds=5)])
def test_rounds_that_never_came_are_told_once_the_session_is_given_up(pruner: Any):
    def run() -> None:
        model = network()
        optimizer = sgd(model)
        with attach(pruner, model, optimizer, keep=20, steps=100):
            train(model, optimizer, 4)

    with pytest.warns(UserWarning, match="ended after 4 steps and 0 of 5 rounds"):
        run()


@pytest.mark.parametrize(
    ("pruner", "asked", "named"),
    [
        (Magnitude(), {"keep": 5, "every": 3}, "every and start are for methods that act during"),
        (Magnitude(), {"keep": 5, "start": 3}, "every and start are for methods that act during"),
        ({}, {"loss": functional.cross_entropy}, "leave no choice of loss"),
        ({}, {"batches": [(torch.zeros(1, 4), torch.zeros(1))]}, "leave no choice of batch"),
        ({}, {"ignore": ["0"]}, "leave no choice of ignore"),
        ({}, {"steps": 3}, "leave no choice of steps"),
        (GMP(), {"keep": 5, "steps": 9, "start": 9}, "start must be from 0 to 8"),
    ],
)
def test_arguments_that_mean_nothing_are_refused(pruner: Any, asked: dict[str, Any], named: str):
    model = network()
    pruner = pruner or {"0.weight": torch.ones(8, 4).bool()}
    with pytest.raises(ValueError, match=named):
        attach(pruner, model, sgd(model), **asked)


@pytest.mark.parametrize("pruner", [GMP(rounds=2), RigL(rounds=2), SET(rounds=2)])
def test_frozen_layers_stay_as_they_are(pruner: Any):
    model = network()
    model[0].requires_grad_(False)
    before = model[0].weight.clone()
    optimizer = torch.optim.SGD(model[2].parameters(), lr=0.1)
    with attach(pruner, model, optimizer, keep=6, steps=8) as session:
        train(model, optimizer, 8)
    assert list(session.masks) == ["2.weight"]
    assert torch.equal(model[0].weight, before)


def test_a_layer_that_no_batch_reaches_has_a_gradient_of_zero():
    class Half(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.unused = nn.Linear(4, 3), nn.Linear(4, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.used(x)

    torch.manual_seed(0)
    model = Half()
    optimizer = sgd(model)
    with attach(RigL(rounds=3), model, optimizer, keep=8, steps=8) as session:
        train(model, optimizer, 8)
    assert count(session.masks) == 8 == nonzeros(model)


@pytest.mark.parametrize("method", [GMP, RigL])
def test_training_that_has_diverged_is_named_and_nothing_is_changed(method: Any):
    model = network()
    optimizer = sgd(model)
    session = attach(method(rounds=1), model, optimizer, keep=6, every=2)
    masks = session.masks

    def run() -> None:
        with session:
            for step in range(4):
                model[0].weight.data[masks["0.weight"]] = torch.nan
                train(model, optimizer, 1, step)

    with pytest.raises(ValueError, match=r"the model has NaN in '0\.weight'"):
        run()
    assert torch.equal(flatten(session.masks), flatten(masks))


def test_a_closure_evaluated_once_is_the_plain_step():
    def run(closure: bool, pruner: Any) -> Params:
        model = network()
        optimizer = sgd(model)

        def evaluate(step: int) -> Callable[[], Tensor]:
            def inner() -> Tensor:
                optimizer.zero_grad()
                loss = loss_at(model, step)
                loss.backward()
                return loss

            return inner

        with attach(pruner, model, optimizer, keep=10, steps=8) as session:
            for step in range(8):
                if closure:
                    optimizer.step(closure=evaluate(step))
                else:
                    evaluate(step)()
                    optimizer.step()
        assert count(session.masks) == 10
        return model.state_dict()

    for pruner in (GMP(rounds=3), RigL(rounds=3)):
        plain, closed = run(False, pruner), run(True, pruner)
        assert all(torch.equal(value, closed[name]) for name, value in plain.items())


def test_closures_that_are_evaluated_again_are_refused():
    model = network()
    with pytest.raises(ValueError, match="must evaluate the loss once a step, got LBFGS"):
        attach(SNIP(), model, torch.optim.LBFGS(model.parameters()), keep=3)

    class Twice(torch.optim.SGD):
        def step(self, closure: Any = None) -> Any:
            closure()
            return super().step(closure)

    optimizer = Twice(model.parameters(), lr=0.1)
    with (
        attach(Magnitude(floor=1), model, optimizer, keep=3),
        pytest.raises(RuntimeError, match="evaluates its closure several times"),
    ):
        optimizer.step(lambda: loss_at(model, 0))


class Wrapped(Optimizer):
    """As Accelerate's: an Optimizer by name, whose own __init__ never ran."""

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer = optimizer

    def step(self, closure: Any = None) -> None:
        self.optimizer.step(closure)


class Lookahead(Wrapped):
    """Writes to the weights after the step of the optimizer inside."""

    def __init__(self, optimizer: Optimizer) -> None:
        super().__init__(optimizer)
        self.slow = [
            [p.detach().clone() for p in group["params"]] for group in optimizer.param_groups
        ]

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        self.optimizer.step(closure)
        for group, slow in zip(self.optimizer.param_groups, self.slow, strict=True):
            for p, s in zip(group["params"], slow, strict=True):
                p.copy_(s.lerp_(p, 0.5))


def test_the_optimizer_inside_a_wrapper_is_the_one():
    model = network()
    inner = sgd(model)
    with attach(GMP(rounds=3), model, Wrapped(inner), keep=10, steps=6) as session:
        train(model, inner, 6)
    assert count(session.masks) == 10 == nonzeros(model)
    with pytest.raises(TypeError, match="attach to the one that a wrapper steps"):
        attach(GMP(), model, object(), keep=3, steps=3)  # pyright: ignore


def test_weights_that_come_back_are_told_and_are_zero_at_the_end():
    model = network()
    inner = sgd(model)
    around = Lookahead(inner)

    def run() -> None:
        with attach(Magnitude(floor=1), model, around, keep=10):
            for step in range(3):
                model.zero_grad()
                loss_at(model, step).backward()
                around.step()

    with pytest.warns(UserWarning, match="pruned weights came back between two steps"):
        run()
    assert nonzeros(model) == 10


def test_two_optimizers_of_one_session_are_one_optimizer_with_two_groups():
    def run(split: bool, pruner: Any) -> tuple[Params, Masks]:
        model = network()
        groups = [model[0].parameters(), model[2].parameters()]
        optimizers = (
            [torch.optim.SGD(group, lr=0.1, momentum=0.9) for group in groups]
            if split
            else [torch.optim.SGD([{"params": group} for group in groups], lr=0.1, momentum=0.9)]
        )
        with attach(pruner, model, optimizers, keep=10, steps=8) as session:
            for step in range(8):
                for optimizer in optimizers:
                    optimizer.zero_grad()
                loss_at(model, step).backward()
                for optimizer in optimizers:
                    optimizer.step()
        return model.state_dict(), session.masks

    for pruner in (GMP(rounds=3), RigL(rounds=3), SET(rounds=2)):
        one, two = run(False, pruner), run(True, pruner)
        assert all(torch.equal(value, two[0][name]) for name, value in one[0].items())
        assert torch.equal(flatten(one[1]), flatten(two[1]))


def test_a_late_start_leaves_the_warm_up_dense():
    model = network()
    optimizer = sgd(model)
    with attach(GMP(rounds=2), model, optimizer, keep=10, steps=10, start=6) as session:
        sizes = []
        for step in range(10):
            train(model, optimizer, 1, step)
            sizes.append(count(session.masks))
    assert sizes[:6] == [56] * 6
    assert sizes[-1] == 10


def test_methods_of_ones_own_that_score_with_data_get_it():
    def gradual(rounds: int) -> Pruner:
        return Pruner(score=scores.snip, schedule=Gradual(rounds=rounds))

    model = network()
    optimizer = sgd(model)
    x = torch.randn(16, 4)
    data = {"loss": functional.cross_entropy, "batches": [(x, (x[:, 0] > 0).long())]}
    with attach(gradual(1), model, optimizer, keep=10, every=3, **data) as session:
        train(model, optimizer, 2)
        at_round = copy.deepcopy(model)
        train(at_round, sgd_like(optimizer, model, at_round), 1, 2)
        train(model, optimizer, 1, 2)
    expected = prune(at_round, SNIP(), keep=10, **data)
    assert torch.equal(flatten(session.masks), flatten(expected))
    with pytest.raises(ValueError, match=r"loss is needed by Pruner\(snip\)"):
        attach(gradual(9), model, optimizer, keep=10, every=3)


def sgd_like(optimizer: Optimizer, model: nn.Module, other: nn.Module) -> Optimizer:
    result = sgd(other)
    result.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    return result


def test_sparse_gradients_of_embeddings_are_masked():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Embedding(6, 4, sparse=True), nn.Flatten(), nn.Linear(8, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with attach(Magnitude(floor=1), model, optimizer, keep=12, include=[nn.Embedding]) as session:
        for _ in range(3):
            optimizer.zero_grad()
            model(torch.tensor([[0, 1], [1, 5]])).square().sum().backward()
            optimizer.step()
            for name, mask in session.masks.items():
                assert not model.get_parameter(name)[~mask].any()
    assert nonzeros(model) == 12


def test_masks_of_other_kinds_are_refused_by_name():
    model = network()
    for wrong in ([], "masks", 3):
        with pytest.raises(TypeError, match="pruner must be a pruner"):
            attach(wrong, model, sgd(model))  # pyright: ignore


def test_adaptive_optimizers_that_do_not_keep_zeros_are_rewritten():
    """Rprop's step sizes and Adamax' norms are not zero where the gradient is."""
    for make in (torch.optim.Rprop, torch.optim.Adamax, torch.optim.ASGD):
        model = network()
        optimizer = make(model.parameters(), lr=0.01)
        with attach(GMP(rounds=2), model, optimizer, keep=10, steps=6) as session:
            for step in range(6):
                train(model, optimizer, 1, step)
                for name, mask in session.masks.items():
                    weight = model.get_parameter(name)
                    buffers = [
                        b for b in optimizer.state[weight].values()
                        if isinstance(b, Tensor) and b.shape == weight.shape
                    ]  # fmt: skip
                    assert buffers
                    assert not any(value[~mask].any() for value in (weight.detach(), *buffers))


def test_weights_written_past_autograd_are_told_and_zero_after_the_next_step():
    model = network()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)

    def run() -> None:
        with attach(Magnitude(floor=1), model, optimizer, keep=10):
            for step in range(3):
                model[0].weight.data.add_(1.0)
                train(model, optimizer, 1, step)
                assert nonzeros(model) == 10

    with pytest.warns(UserWarning, match="pruned weights came back between two steps") as told:
        run()
    assert [one.filename for one in told] == [__file__]


def test_a_session_keeps_no_memory_of_gradients():
    model = network()
    optimizer = sgd(model)
    session = attach(Magnitude(floor=1), model, optimizer, keep=10)
    with session:
        train(model, optimizer, 1)
        optimizer.zero_grad()
    assert isinstance(session, PruningSession)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        del session


@pytest.mark.parametrize("first", [True, False])
def test_hooks_of_others_that_write_to_the_weights_leave_no_trace(first: bool):
    @torch.no_grad()
    def noise(optimizer: Optimizer, *_: Any) -> None:
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                parameter.add_(0.1)

    model = network()
    optimizer, masks = sgd(model), prune(model, Random(), keep=9)
    if first:
        optimizer.register_step_post_hook(noise)
    with attach(masks, model, optimizer):
        if not first:
            optimizer.register_step_pre_hook(noise)
        for step in range(3):
            train(model, optimizer, 1, step)
            assert nonzeros(model) == 9


def test_what_is_written_between_the_steps_of_two_optimizers_is_zero_after_the_second():
    model = network()
    masks = prune(model, Random(), keep=9)
    optimizers = [torch.optim.SGD(layer.parameters(), lr=0.1) for layer in (model[0], model[2])]

    def run() -> None:
        with attach(masks, model, optimizers):
            for step in range(3):
                loss_at(model, step).backward()
                optimizers[0].step()
                model[0].weight.data += 1
                optimizers[1].step()
                assert nonzeros(model) == 9

    with pytest.warns(UserWarning, match="pruned weights came back between two steps"):
        run()


@pytest.mark.parametrize("past_autograd", [True, False])
def test_gradients_that_are_changed_before_the_step_reach_no_pruned_weight(past_autograd: bool):
    model = network()
    masks = prune(model, Random(), keep=9)
    optimizer = sgd(model)
    with attach(masks, model, optimizer):
        for step in range(3):
            optimizer.zero_grad()
            loss_at(model, step).backward()
            for parameter in model.parameters():  # noise, as for private or noisy training
                assert parameter.grad is not None
                (parameter.grad.data if past_autograd else parameter.grad).add_(0.1)
            optimizer.step()
            assert nonzeros(model) == 9
            for name, mask in masks.items():
                weight = model.get_parameter(name)
                assert not optimizer.state[weight]["momentum_buffer"][~mask].any()


def test_what_is_written_past_autograd_to_a_large_gradient_is_found():
    """At once if it is written everywhere, within sixteen steps if to a row alone."""
    torch.manual_seed(0)
    model = nn.Linear(512, 256, bias=False)
    masks = prune(model, Random(), keep=1000)
    optimizer = sgd(model)
    x = torch.randn(4, 512)
    with attach(masks, model, optimizer):
        for step in range(20):
            optimizer.zero_grad()
            model(x).square().mean().backward()
            assert model.weight.grad is not None
            if step == 0:
                model.weight.grad.data.add_(0.1)
            elif step < 18:
                model.weight.grad.data[77] += 0.1
            optimizer.step()
            assert not model.weight[~masks["weight"]].any()
            if step in (0, 19):
                buffer = optimizer.state[model.weight]["momentum_buffer"]
                assert not buffer[~masks["weight"]].any()


@pytest.mark.parametrize("pruner", [GMP(rounds=2), RigL(rounds=2), Magnitude(floor=1)])
def test_a_session_that_nobody_entered_says_so_once_it_is_given_up(pruner: Any):
    model = network()
    optimizer = sgd(model)
    clock = {"steps": 9} if pruner.acts_in_training else {}
    session = attach(pruner, model, optimizer, keep=10, **clock)
    train(model, optimizer, 3)
    with pytest.warns(UserWarning, match="the model was trained outside its session"):
        del session


def test_a_session_that_was_not_needed_says_nothing():
    model = network()
    optimizer = sgd(model)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        session = attach(GMP(rounds=2), model, optimizer, keep=10, steps=9)
        saved = session.state_dict()
        del session  # no training at all
        session = attach(GMP(rounds=2), model, optimizer, keep=10, steps=9, resume=saved)
        session = attach(GMP(rounds=2), model, optimizer, keep=10, steps=9)  # a cell run again
        del session
        train(model, optimizer, 1)
        masks = prune(model, Magnitude(floor=1), keep=10)
        session = attach(masks, model, optimizer)
        for step in range(3):  # a loop that masks by itself
            train(model, optimizer, 1, step)
            make_permanent(model, session.masks)
        del session


def test_pruned_weights_are_zero_at_the_end_whatever_the_optimizer_did():
    model = network()
    masks = prune(model, Random(), keep=9)
    optimizer = torch.optim.SGD(model.parameters(), lr=float("nan"))
    with attach(masks, model, optimizer):
        train(model, optimizer, 2)
    assert not model[0].weight[~masks["0.weight"]].any()


def test_an_optimizer_that_makes_no_step_while_weights_come_back_is_told():
    model = network()
    masks = prune(model, Random(), keep=9)
    with (
        pytest.warns(UserWarning, match=r"the optimizer made no step, .* whose step\(\) is called"),
        attach(masks, model, sgd(model)),
    ):
        model[0].weight.data.add_(0.1)  # as another optimizer that has momentum does
    assert nonzeros(model) == 9


@pytest.mark.parametrize("method", [GMP, RigL])
def test_a_training_that_ends_in_infinity_is_named(method: Any):
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def run() -> None:
        with attach(method(rounds=1), model, optimizer, keep=6, every=1) as session:
            mask = session.masks["0.weight"]
            model[0].weight.data[mask] = torch.inf
            loss_at(model, 0).backward()
            for parameter in model.parameters():
                parameter.grad = torch.zeros_like(parameter)
            optimizer.step()
            optimizer.step()

    with pytest.raises(ValueError, match=r"the model has infinity in '0\.weight'"):
        run()
    with pytest.raises(ValueError, match=r"the model has infinity in '0\.weight'"):
        prune(model, Magnitude(), keep=6)


def test_a_module_that_is_removed_under_way_is_an_error():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 3), nn.Linear(3, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with attach(prune(model, Magnitude(), keep=20), model, optimizer):
        model(torch.randn(5, 4)).square().sum().backward()
        optimizer.step()
        del model[3]
        with pytest.raises(RuntimeError, match=r"'3.weight' was replaced .* or removed"):
            optimizer.step()


def test_entries_that_share_their_memory_are_refused_before_anything_is_changed():
    model = nn.Linear(4, 6)
    model.weight = nn.Parameter(torch.randn(1, 4).expand(6, 4))
    before = model.weight.detach().clone()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(ValueError, match="each entry of 'weight' by itself"):
        attach(GMP(rounds=2), model, optimizer, keep=10, steps=4)
    assert torch.equal(model.weight, before)


def test_a_score_of_shapes_alone_gets_the_batches_too():
    model = nn.Linear(4, 6)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    pruner = Pruner(score=Score(scores.synflow), schedule=Gradual(rounds=2))
    batches = [(torch.randn(3, 4), torch.zeros(3).long())]
    with attach(pruner, model, optimizer, keep=10, steps=4, batches=batches) as session:
        for _ in range(4):
            model(batches[0][0]).sum().backward()
            optimizer.step()
    assert int(session.masks["weight"].sum()) == 10


@pytest.mark.filterwarnings("ignore")  # what torch says of its own while it compiles
def test_a_compiler_does_not_follow_the_hooks():
    model = nn.Linear(4, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    compiled = torch.compile(optimizer.step, backend="eager")
    with attach(GMP(rounds=2), model, optimizer, keep=5, steps=4):
        hooks = [*optimizer._optimizer_step_pre_hooks.values()]
        assert [hook for hook in hooks if getattr(hook, "_torchdynamo_disable", False)]
        for _ in range(4):
            optimizer.zero_grad()
            model(torch.ones(1, 4)).square().sum().backward()
            compiled()
    assert int(model.weight.count_nonzero()) == 5


@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize(
    "copied",
    [
        copy.copy,
        copy.deepcopy,
        pickle.dumps,
        lambda session: torch.save(session, io.BytesIO()),
        lambda session: copy.deepcopy({"model": nn.Linear(2, 2), "session": session}),
    ],
)
def test_a_session_is_not_copied_by_halves(
    copied: Callable[[PruningSession], object], inside: bool
):
    """A copy held the model twice, or masks that nobody trained with."""
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    session = attach(GMP(), model, optimizer, keep=20, steps=4)
    if inside:
        session.__enter__()
    with pytest.raises(TypeError, match=r"PruningSession cannot be copied.*state_dict\(\) with"):
        copied(session)
    if inside:
        session.__exit__(None, None, None)
    with session:
        train(model, optimizer, 2)
    # What the message says to do.
    model, optimizer, saved = copy.deepcopy((model, optimizer, session.state_dict()))
    session = attach(GMP(), model, optimizer, keep=20, steps=4, resume=saved)
    with session:
        train(model, optimizer, 2, first=2)
    assert count(session.masks) == 20
