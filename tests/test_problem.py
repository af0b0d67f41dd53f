import copy
from collections.abc import Callable
from typing import ClassVar

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import prune as torch_prune

from prunelimits import MLP, pruners
from prunelimits.problem import problem_of


def conv_net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Dropout(0.5), nn.Flatten(),
        nn.Linear(12, 2),
    )  # fmt: skip


def test_outputs_are_those_of_the_module_in_evaluation_mode():
    model, x = conv_net(), torch.randn(5, 1, 4, 4)
    model(x)  # running statistics that are not the initial ones
    problem, params = problem_of(model)
    assert model.training
    torch.testing.assert_close(problem.apply(params, x), copy.deepcopy(model).eval()(x))


def test_the_module_and_the_random_state_stay_as_they_were():
    model, x = conv_net(), torch.randn(5, 1, 4, 4)
    before, random = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    problem, params = problem_of(model, functional.cross_entropy, [(x, torch.zeros(5).long())])
    batch = problem.batches[0]
    weights = {name: p for name, p in params.items() if name.endswith("weight")}
    grads = torch.func.grad(
        lambda w: problem.loss(problem.apply({**params, **w}, batch[0]), batch[1])
    )(weights)
    assert grads["0.weight"].abs().sum() > 0
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(p.grad is None and p.requires_grad for p in model.parameters())
    assert all(module.training for module in model.modules())
    assert torch.equal(random, torch.get_rng_state())


def test_tensors_are_shared_not_copied_and_names_are_the_state_dict_s():
    model = conv_net()
    _, params = problem_of(model)
    assert list(params) == [n for n, _ in (*model.named_parameters(), *model.named_buffers())]
    assert all(v.data_ptr() == model.state_dict()[n].data_ptr() for n, v in params.items())


def test_tied_parameters_have_one_name_and_act_everywhere():
    model = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False))
    model[1].weight = model[0].weight
    problem, params = problem_of(model)
    assert list(params) == ["0.weight"]
    doubled = {"0.weight": 2 * torch.eye(2)}
    assert torch.equal(problem.apply(doubled, torch.eye(2)), 4 * torch.eye(2))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype: torch.dtype):
    model = nn.Linear(3, 2).to(dtype)
    problem, params = problem_of(model, None, [(torch.ones(1, 3, dtype=dtype), torch.ones(1))])
    assert problem.apply(params, problem.batches[0][0]).dtype == torch.float32
    assert model.weight.dtype == dtype


def test_a_module_in_torch_prune_form_can_be_used():
    model = nn.Sequential(nn.Linear(2, 2))
    torch_prune.custom_from_mask(model[0], "weight", torch.eye(2))
    x = torch.randn(3, 2)
    problem, params = problem_of(model)
    torch.testing.assert_close(problem.apply(params, x), model(x))


def test_many_models_map():
    model = MLP((2, 3, 1))
    problem, params = problem_of(model)
    x = torch.randn(4, 2)
    stacked = {name: torch.stack([value, 2 * value]) for name, value in params.items()}
    outputs = torch.func.vmap(problem.apply, in_dims=(0, None))(stacked, x)
    doubled = {name: 2 * value for name, value in params.items()}
    torch.testing.assert_close(outputs[1], problem.apply(doubled, x))


def test_bad_input():
    with pytest.raises(ValueError, match="model must have parameters, got ReLU"):
        problem_of(nn.ReLU())
    with pytest.raises(TypeError, match=r"batches must hold pairs \(x, y\), got Tensor"):
        problem_of(nn.Linear(2, 1), None, [torch.zeros(1, 2)])
    problem, _ = problem_of(nn.Linear(2, 1))
    with pytest.raises(ValueError, match="loss is needed"):
        problem.loss(torch.zeros(1), torch.zeros(1))


class Writing(nn.Module):
    """Writes to its own weights in the forward pass, as masked convolutions of PixelCNN do."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(6, 4, max_norm=0.5)
        self.conv = nn.Linear(8, 5)
        self.last = nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        self.conv.weight.data *= torch.arange(8) % 2
        with torch.no_grad():
            self.last.weight.clamp_(-0.1, 0.1)
        return self.last(self.conv(self.table(x).flatten(1)).tanh())


def in_numpys_memory(model: nn.Module) -> nn.Module:
    for module in model.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            setattr(module, name, nn.Parameter(torch.from_numpy(parameter.detach().numpy().copy())))
    return model


@pytest.mark.parametrize("memory", [lambda model: model, nn.Module.share_memory, in_numpys_memory])
def test_a_forward_pass_that_writes_to_parameters_writes_to_a_copy(
    memory: Callable[[nn.Module], nn.Module],
):
    torch.manual_seed(0)
    model = memory(Writing())
    batches = [(torch.randint(6, (7, 2)), torch.arange(7) % 3) for _ in range(2)]
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    places = [p.data_ptr() for p in model.parameters()]
    views = {name: p.detach().numpy() for name, p in model.named_parameters()}
    pruner, cross_entropy = pruners.SNIP(), functional.cross_entropy
    pruners.score(model, pruner, loss=cross_entropy, batches=batches, ignore=["table"])
    assert all(torch.equal(p, before[name]) for name, p in model.named_parameters())
    assert [p.data_ptr() for p in model.parameters()] == places
    plain = copy.deepcopy(model)
    losses = [cross_entropy(plain(x), y) for x, y in batches[:1]]
    grads = torch.autograd.grad(losses[0], [plain.conv.weight, plain.last.weight])
    one = pruners.score(model, pruner, loss=cross_entropy, batches=batches[:1], ignore=["table"])
    for name, grad in zip(("conv.weight", "last.weight"), grads, strict=True):
        torch.testing.assert_close(one[name], (before[name] * grad).abs())
    with torch.no_grad():
        model.conv.weight.add_(1)
    assert (views["conv.weight"] == before["conv.weight"].numpy() + 1).all()  # the same memory


class Looking(nn.Linear):
    seen: ClassVar[list[int]] = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(torch._C._data_address(self.weight))
        return super().forward(x)


def test_the_weights_of_a_model_that_only_reads_them_are_not_copied():
    """So that a score takes no more memory than a forward and backward pass."""
    model = Looking(6, 3)
    batches = [(torch.randn(4, 6), torch.arange(4) % 3)] * 2
    pruners.score(model, pruners.SNIP(), loss=functional.cross_entropy, batches=batches)
    assert Looking.seen == [torch._C._data_address(model.weight)] * 2


@pytest.mark.parametrize("pruner", [pruners.SNIP(), pruners.SynFlow(), pruners.GraSP()], ids=str)
def test_parameters_have_their_memory_to_themselves_once_all_is_scored(
    pruner: pruners.AbstractPruner,
):
    """A first write after it finds plain memory, where it was: no copy is made for it."""
    model = nn.Sequential(nn.Linear(40, 30), nn.ReLU(), nn.Linear(30, 2))
    places = [p.data_ptr() for p in model.parameters()]
    x, y = torch.randn(8, 40), torch.randint(2, (8,))
    pruners.prune(model, pruner, keep=100, loss=nn.functional.cross_entropy, batches=[(x, y)])
    assert not any(torch._C._is_cow_tensor(p) for p in model.parameters())  # pyright: ignore
    assert [p.data_ptr() for p in model.parameters()] == places
