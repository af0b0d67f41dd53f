"""The limit of models and batches of other people: attention, recurrent layers, named inputs."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from prunelimits.limits import Hessian, magnitude_sweep, pruning_limit
from prunelimits.problem import problem_of


class Attentive(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(4, 2, 4, batch_first=True)
        self.head = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layer(x)[:, 0])


class Recurrent(nn.Module):
    """Time first."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn, self.head = nn.RNN(3, 2), nn.Linear(2, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.rnn(x)[0][-1])


class Named(Recurrent):
    def forward(self, x: Tensor) -> Any:
        return {"logits": super().forward(x)}


def named_loss(outputs: Any, y: Tensor) -> Tensor:
    return functional.cross_entropy(outputs["logits"], y)


def made(kind: type[nn.Module]) -> nn.Module:
    torch.manual_seed(0)
    return kind().double()


def test_the_hessian_of_attention_is_that_of_autograd():
    model = made(Attentive).eval()
    x, y = torch.randn(6, 3, 4, dtype=torch.float64), torch.arange(6) % 2
    problem, params = problem_of(model, functional.cross_entropy, [(x, y)])
    name = "layer.self_attn.out_proj.weight"
    hessian = Hessian(problem, params, [name]).dense()

    def loss(weight: Tensor) -> Tensor:
        outputs = torch.func.functional_call(model, {**params, name: weight}, (x,))
        return functional.cross_entropy(outputs, y)

    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        expected = torch.autograd.functional.hessian(loss, params[name]).reshape(16, 16)
    torch.testing.assert_close(hessian, expected)


@pytest.mark.filterwarnings("ignore:the gradient's norm")
def test_the_limit_of_attention_can_be_computed():
    model = made(Attentive)
    batches = [(torch.randn(6, 3, 4, dtype=torch.float64), torch.arange(6) % 2) for _ in range(2)]
    limit = pruning_limit(model, functional.cross_entropy, batches, epsilon=0.1)
    assert 0 <= limit.constructive.removed_weights <= limit.weights


def test_unequal_batches_count_by_samples_whichever_axis_they_are_on():
    model = made(Recurrent)
    x, y = torch.randn(7, 10, 3, dtype=torch.float64), torch.arange(10) % 2
    whole, params = problem_of(model, functional.cross_entropy, [(x, y)])
    split = [(x[:, :8], y[:8]), (x[:, 8:], y[8:])]
    parts, _ = problem_of(model, functional.cross_entropy, split)
    one, two = Hessian(whole, params).gradient(), Hessian(parts, params).gradient()
    torch.testing.assert_close(two, one, rtol=1e-12, atol=1e-14)


def test_a_sweep_follows_models_that_cannot_be_mapped():
    model = made(Recurrent)
    x, y = torch.randn(7, 10, 3, dtype=torch.float64), torch.arange(10) % 2
    problem, params = problem_of(model, functional.cross_entropy, [(x, y)])
    sweep = magnitude_sweep(problem, params, ["rnn.weight_ih_l0"], removed=[0.5])
    weight = params["rnn.weight_ih_l0"]
    least = weight.abs().flatten().sort().values[3]
    half = {**params, "rnn.weight_ih_l0": weight.masked_fill(weight.abs() < least, 0)}
    torch.testing.assert_close(sweep.train.loss[1], problem.loss(problem.apply(half, x), y))
    problem, params = problem_of(made(Named), named_loss, [({"x": x}, y)])
    named = magnitude_sweep(problem, params, ["rnn.weight_ih_l0"], removed=[0.5])
    assert torch.equal(named.train.loss, sweep.train.loss)
    assert named.train.accuracy.isnan().all()
