import copy
import io
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer

from prunelimits import pruners
from prunelimits.masks import count, flatten
from prunelimits.pruners import GMP, LTH, SET, SNIP, AbstractPruner, DeepR, Magnitude, RigL
from prunelimits.sessions import PruningSession, attach

KEEP, STEPS = 20, 30
OPTIMIZERS: dict[str, Callable[[Any], Optimizer]] = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=5e-4),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.01),
    "rmsprop": lambda p: torch.optim.RMSprop(p, lr=0.01, momentum=0.5, centered=True),
    "nadam": lambda p: torch.optim.NAdam(p, lr=0.01),
    "adagrad": lambda p: torch.optim.Adagrad(p, lr=0.1, initial_accumulator_value=0.5),
}
# Dense keeps everything, methods that rewind have a driver of their own, and OBS is too slow here.
METHODS = [
    method
    for method in pruners.all()
    if method is not LTH and method.__name__ not in ("Dense", "OBS")
]


def pruner_of(method: type[AbstractPruner]) -> AbstractPruner:
    """With the paper's defaults, but for DeepR, which moves weights after each of 19,500 steps."""
    return DeepR(rounds=STEPS) if method is DeepR else method()


def network() -> nn.Sequential:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 3))


def batch(step: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(step)
    x = torch.randn(16, 4, generator=generator)
    return x, (x[:, 0] > 0).long() + (x[:, 1] > 0).long()


def backward(model: nn.Module, step: int) -> None:
    x, y = batch(step)
    functional.cross_entropy(model(x), y).backward()


def attached(
    pruner: AbstractPruner, model: nn.Module, optimizer: Optimizer, **more: Any
) -> PruningSession:
    more = {"keep": KEEP, "steps": STEPS} | more
    return attach(
        pruner,
        model,
        optimizer,
        loss=functional.cross_entropy,
        batches=[batch(1000 + n) for n in range(4)],
        **more,
    )


def train_with_hooks(model: nn.Module, optimizer: Optimizer, start: int, stop: int) -> None:
    for step in range(start, stop):
        optimizer.zero_grad()
        backward(model, step)
        optimizer.step()


def train_without_hooks(
    session: PruningSession, model: nn.Module, optimizer: Optimizer, start: int, stop: int
) -> None:
    for step in range(start, stop):
        optimizer.zero_grad()
        backward(model, step)
        session.step()


def check_zeros(session: PruningSession, model: nn.Module, optimizer: Optimizer) -> None:
    parameters = dict(model.named_parameters())
    for name, mask in session.masks.items():
        weight = parameters[name]
        assert not weight[~mask].any()
        buffers = [v for v in optimizer.state[weight].values() if v.shape == weight.shape]
        assert buffers
        assert not any(buffer[~mask].any() for buffer in buffers)


# What is pruned before training is held in one way, whatever pruned it.
ACTING = [method for method in METHODS if pruner_of(method).until]
CASES = [(method, "sgd", True) for method in METHODS] + [
    (method, name, hooks) for method in ACTING for name in OPTIMIZERS for hooks in (True, False)
]


@pytest.mark.slow
@pytest.mark.parametrize(("method", "optimizer_name", "hooks"), CASES)
def test_the_budget_is_exact_and_what_is_pruned_is_zero(
    method: type[AbstractPruner], optimizer_name: str, hooks: bool
):
    model = network()
    optimizer = OPTIMIZERS[optimizer_name](model.parameters())
    session = attached(pruner_of(method), model, optimizer)
    if hooks:
        with session:
            for step in range(STEPS):
                train_with_hooks(model, optimizer, step, step + 1)
                check_zeros(session, model, optimizer)
    else:
        train_without_hooks(session, model, optimizer, 0, STEPS)
        check_zeros(session, model, optimizer)
    assert count(session.masks) == KEEP


@pytest.mark.slow
@pytest.mark.parametrize("hooks", [True, False])
@pytest.mark.parametrize("method", [SNIP, *ACTING], ids=lambda m: m.__name__)
def test_a_resumed_training_is_the_same_to_the_last_bit(method: type[AbstractPruner], hooks: bool):
    def run(stop_at: int | None) -> tuple[nn.Module, PruningSession]:
        model = network()
        optimizer = OPTIMIZERS["adamw"](model.parameters())
        session = attached(pruner_of(method), model, optimizer)
        parts = [(0, STEPS)] if stop_at is None else [(0, stop_at), (stop_at, STEPS)]
        for start, stop in parts:
            if start:
                file = io.BytesIO()
                torch.save([model.state_dict(), optimizer.state_dict(), session.state_dict()], file)
                file.seek(0)
                saved = torch.load(file, weights_only=True)
                model = network()
                optimizer = OPTIMIZERS["adamw"](model.parameters())
                model.load_state_dict(saved[0])
                optimizer.load_state_dict(saved[1])
                session = attached(pruner_of(method), model, optimizer, resume=saved[2])
            if hooks:
                handles = session.__enter__()
                train_with_hooks(model, optimizer, start, stop)
                handles.__exit__(ValueError, None, None)  # as if killed: no complaint
            else:
                train_without_hooks(session, model, optimizer, start, stop)
        return model, session

    whole, session = run(None)
    resumed, other = run(11)
    assert torch.equal(flatten(session.masks), flatten(other.masks))
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name])


def test_gmp_is_the_published_loop():
    """Zhu and Gupta's schedule on one network, written out."""
    rounds, until = 5, 0.9
    model, plain = network(), network()
    optimizer, other = (OPTIMIZERS["sgd"](m.parameters()) for m in (model, plain))
    with attached(GMP(rounds=rounds, until=until), model, optimizer):
        train_with_hooks(model, optimizer, 0, STEPS)
    weights = [layer.weight for layer in plain if isinstance(layer, nn.Linear)]
    total = sum(w.numel() for w in weights)
    masks = [torch.ones_like(w) for w in weights]
    for step in range(1, STEPS + 1):
        other.zero_grad()
        backward(plain, step - 1)
        for weight, mask in zip(weights, masks, strict=True):
            weight.grad *= mask
        other.step()
        if step % 5 == 0 and step // 5 <= rounds:  # int(0.9 * 30 / 5) = 5
            left = round(KEEP + (total - KEEP) * (1 - step // 5 / rounds) ** 3)
            largest = torch.cat([w.abs().flatten() for w in weights]).sort().values[-left]
            masks = [(w.abs() >= largest).float() for w in weights]
            for weight, mask in zip(weights, masks, strict=True):
                weight.data *= mask
                other.state[weight]["momentum_buffer"] *= mask
    assert sum(int(mask.sum()) for mask in masks) == KEEP
    for name, value in model.state_dict().items():
        torch.testing.assert_close(value, plain.state_dict()[name], rtol=0, atol=0)


@pytest.mark.parametrize("hooks", [True, False])
def test_rigl_is_the_published_loop(hooks: bool):
    """Drop by magnitude, grow by dense gradients, layer by layer, written out."""
    pruner = RigL(rounds=4, until=0.8)
    model, plain = network(), network()
    optimizer, other = (OPTIMIZERS["sgd"](m.parameters()) for m in (model, plain))
    session = attached(pruner, model, optimizer)
    start = [mask.clone() for mask in session.masks.values()]
    if hooks:
        with session:
            train_with_hooks(model, optimizer, 0, STEPS)
    else:
        train_without_hooks(session, model, optimizer, 0, STEPS)
    weights = [layer.weight for layer in plain if isinstance(layer, nn.Linear)]
    for weight, mask in zip(weights, start, strict=True):
        weight.data *= mask
    masks = start
    moved = 0
    for step in range(STEPS):
        other.zero_grad()
        backward(plain, step)
        update = step > 0 and step % 6 == 0 and step // 6 <= 4  # int(0.8 * 30 / 4) = 6
        if update:
            share = 0.3 / 2 * (1 + torch.tensor(torch.pi * (step // 6) / 4).cos().item())
            for index, (weight, mask) in enumerate(zip(weights, masks, strict=True)):
                number = int(share * int(mask.sum()))
                flat, gradient = weight.data.flatten(), weight.grad.flatten().abs()
                kept = [i for i in range(len(flat)) if mask.flatten()[i]]
                stay = sorted(kept, key=lambda i: (-abs(float(flat[i])), i))
                stay = stay[: len(kept) - number]
                free = [i for i in range(len(flat)) if i not in stay]
                grown = sorted(free, key=lambda i: (-float(gradient[i]), i))[:number]
                new = torch.zeros(len(flat), dtype=torch.bool)
                new[stay + grown] = True
                moved += int((new.view_as(mask) & ~mask).sum())
                masks[index] = new.view_as(mask)
                weight.data *= masks[index]
                other.state[weight]["momentum_buffer"] *= masks[index]
        for weight, mask in zip(weights, masks, strict=True):
            weight.grad *= mask
        if hooks or not update:
            other.step()
    assert moved > 0
    for name, value in model.state_dict().items():
        torch.testing.assert_close(value, plain.state_dict()[name], rtol=0, atol=0)


def test_step_says_whether_the_optimizer_stepped():
    model = network()
    optimizer = OPTIMIZERS["sgd"](model.parameters())
    session = attached(RigL(rounds=2), model, optimizer, every=3, steps=None)
    stepped = []
    for step in range(9):
        optimizer.zero_grad()
        backward(model, step)
        stepped.append(session.step())
    assert stepped == [True, True, True, False, True, True, False, True, True]


def test_masks_are_held():
    model = network()
    optimizer = OPTIMIZERS["adamw"](model.parameters())
    masks = pruners.prune(model, Magnitude(), keep=7)
    bias = {"0.bias": torch.zeros(8, dtype=torch.bool)}
    with attach(masks | bias, model, optimizer) as session:
        train_with_hooks(model, optimizer, 0, 5)
    assert all(torch.equal(session.masks[name], masks[name]) for name in masks)
    assert sum(int(p.count_nonzero()) for p in model.parameters() if p.dim() == 2) == 7
    assert not model[0].bias.any()


def test_gradients_of_pruned_weights_are_zero_before_the_step_so_that_clipping_is_right():
    model = network()
    optimizer = OPTIMIZERS["sgd"](model.parameters())
    with attached(Magnitude(), model, optimizer, keep=60) as session:
        for half in range(2):  # accumulated over two backward passes
            backward(model, half)
        for name, mask in session.masks.items():
            gradient = dict(model.named_parameters())[name].grad
            assert gradient is not None
            assert not gradient[~mask].any()
            assert gradient[mask].any()


def test_a_scaled_step_that_is_skipped_is_no_step():
    model = network()
    optimizer = OPTIMIZERS["sgd"](model.parameters())
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0)
    with attached(GMP(rounds=1), model, optimizer, every=1, steps=None) as session:
        backward(model, 0)
        model[0].weight.grad[0, 0] = torch.inf
        scaler.scale(torch.zeros(()))
        scaler.step(optimizer)
        scaler.update()
        assert count(session.masks) == 120
        optimizer.zero_grad()
        x, y = batch(1)
        scaler.scale(functional.cross_entropy(model(x), y)).backward()
        scaler.step(optimizer)
        assert count(session.masks) == KEEP


def test_schedulers_and_fused_loops_go_on_as_before():
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, foreach=True)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    with attached(GMP(), model, optimizer) as session:
        for step in range(STEPS):
            train_with_hooks(model, optimizer, step, step + 1)
            scheduler.step()
    assert count(session.masks) == KEEP
    assert optimizer.param_groups[0]["lr"] < 1e-9


def test_replicas_prune_alike():
    masks = []
    for _ in range(2):
        model = network()
        optimizer = OPTIMIZERS["sgd"](model.parameters())
        torch.manual_seed(len(masks))  # the global random state plays no part
        with attached(SET(), model, optimizer) as session:
            train_with_hooks(model, optimizer, 0, STEPS)
        masks.append(flatten(session.masks))
    assert torch.equal(*masks)


def test_a_compiled_model_can_be_pruned():
    model = torch.compile(network(), backend="eager")
    optimizer = OPTIMIZERS["sgd"](model.parameters())
    with attached(GMP(), model, optimizer) as session:
        train_with_hooks(model, optimizer, 0, STEPS)
    assert count(session.masks) == KEEP


def test_nothing_is_left_behind():
    model = network()
    optimizer = OPTIMIZERS["sgd"](model.parameters())
    before, random = copy.deepcopy(model.state_dict()), torch.get_rng_state()

    def fail() -> None:
        with attached(GMP(), model, optimizer):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert list(model.state_dict()) == list(before)
    assert torch.equal(torch.get_rng_state(), random)
    copy.deepcopy(model)
    train_with_hooks(model, optimizer, 0, 2)
    assert sum(int(p.count_nonzero()) for p in model.parameters() if p.dim() == 2) == 120


def test_an_unfinished_schedule_is_told():
    model = network()
    optimizer = OPTIMIZERS["sgd"](model.parameters())

    def run() -> None:
        with attached(GMP(rounds=5), model, optimizer, every=10, steps=None):
            train_with_hooks(model, optimizer, 0, STEPS)

    with pytest.warns(
        UserWarning, match="ended after 30 steps and 3 of 5 rounds: .* instead of 20"
    ):
        run()


def test_bad_input():
    model = network()
    optimizer = OPTIMIZERS["sgd"](model.parameters())

    def refused(error: type[Exception], match: str, pruner: Any = None, **more: Any) -> None:
        more = {"keep": KEEP, "steps": STEPS} | more
        with pytest.raises(error, match=match):
            attach(pruner or GMP(), more.pop("model", model), optimizer, **more)

    before = copy.deepcopy(model.state_dict())
    refused(ValueError, "exactly one of every and steps", every=3)
    refused(ValueError, "exactly one of every and steps", steps=None)
    refused(ValueError, "every must be at least 1, got 0", every=0, steps=None)
    refused(ValueError, "exactly one of keep and sparsity", sparsity=0.5)
    refused(ValueError, "at most the 120", keep=121)
    refused(ValueError, "lottery_ticket", LTH())
    refused(ValueError, "optimizer must train '0.weight'", model=network())
    refused(ValueError, "loss is needed by SNIP", SNIP())
    refused(ValueError, "leave no choice", {"0.weight": torch.ones(8, 4).bool()})
    refused(ValueError, "resume must have", resume={"masks": {}})
    with pytest.raises(TypeError, match="optimizer must be one of torch's"):
        attach(GMP(), model, model, keep=1, steps=1)  # pyright: ignore
    other = nn.Sequential(nn.Linear(4, 8))
    saved = attach(
        GMP(), other, OPTIMIZERS["sgd"](other.parameters()), keep=3, steps=3
    ).state_dict()
    refused(ValueError, "resume prunes", resume=saved)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize(
    ("name", "value", "error", "message"),
    [
        ("masks", None, TypeError, "must be tensors by name, got None"),
        ("memory", [1], TypeError, r"must be tensors by name, got \[1\]"),
        ("budget", None, TypeError, "must be a tensor, got None"),
        ("budget", torch.tensor([1.5]), TypeError, "must hold whole numbers, got torch.float32"),
        ("start", torch.tensor([math.nan]), TypeError, "must hold whole numbers"),
        ("start", torch.tensor([1, 2]), ValueError, r"must have shape \(1,\) as budget"),
        ("asked", torch.tensor([-5]), ValueError, r"must be at least 0, got \[-5\]"),
        ("update_steps", [1, 2], TypeError, r"must be a tensor, got \[1, 2\]"),
        ("round", torch.tensor(-5), ValueError, "must be at least 0, got -5"),
        ("round", torch.tensor([1]), ValueError, r"must be one number, got \[1\]"),
        ("round", torch.tensor(99), ValueError, "must be from 0 to 3, got 99"),
        ("generator", None, TypeError, "must be a tensor, got None"),
        ("generator", torch.zeros(3).byte(), ValueError, "must be the state of a generator on cpu"),
        ("generator", torch.zeros(5056), ValueError, "must be the state of a generator on cpu"),
    ],
)
def test_a_saved_session_that_was_changed_is_refused(
    name: str, value: object, error: type[Exception], message: str
):
    model = network()
    optimizer = OPTIMIZERS["sgd"](model.parameters())
    saved = attached(GMP(rounds=3), model, optimizer).state_dict()
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(error, match=rf"^resume\['{name}'\] {message}"):
        attached(GMP(rounds=3), model, optimizer, resume={**saved, name: value})
    assert all(torch.equal(now, before[key]) for key, now in model.state_dict().items())
    attached(GMP(rounds=3), model, optimizer, resume=saved)


def test_step_and_hooks_do_not_mix():
    model = network()
    optimizer = OPTIMIZERS["sgd"](model.parameters())
    with attached(SNIP(), model, optimizer) as session, pytest.raises(RuntimeError, match="with"):
        session.step()


def test_a_round_that_needs_gradients_says_so():
    model = network()
    optimizer = OPTIMIZERS["sgd"](model.parameters())
    session = attached(RigL(), model, optimizer, every=1, steps=None)
    session.step()
    with pytest.raises(ValueError, match=r"'0.weight' has no gradient"):
        session.step()
