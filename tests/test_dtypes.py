"""Data of another dtype than the model: told by name where it fails, and only there."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from prunelimits import limits, pruners
from prunelimits.problem import problem_of
from prunelimits.pruners import prune, prune_with_weights, score
from prunelimits.sessions import attach

SINGLE, DOUBLE = torch.float32, torch.float64
Y = torch.tensor([0, 1, 1, 0])


def model_of(dtype: torch.dtype) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)).to(dtype)


def batch(dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    return torch.rand(4, 3, generator=torch.Generator().manual_seed(1)).to(dtype), Y


def losses(model: nn.Module, batches: list[Any]) -> object:
    problem, params = problem_of(model, functional.cross_entropy, batches)
    return limits.mean_loss(problem, params)


def attached(model: nn.Module, batches: list[Any]) -> object:
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    loss = functional.cross_entropy
    return attach(pruners.SNIP(), model, optimizer, keep=9, loss=loss, batches=batches)


def stepping(model: nn.Module, batches: list[Any]) -> object:
    def step(model: nn.Module, batch: Any) -> Tensor:
        return functional.cross_entropy(model(batch[0]), batch[1])

    return prune(model, pruners.SNIP(), keep=9, step=step, batches=batches)


def pruning(pruner: pruners.AbstractPruner, call: Callable[..., object] = prune):
    return lambda model, batches: call(
        model, pruner, keep=9, loss=functional.cross_entropy, batches=batches
    )


CALLS: dict[str, Callable[[nn.Module, list[Any]], object]] = {
    method.name: pruning(method)
    for method in (
        pruners.SNIP(), pruners.GraSP(), pruners.ProsPr(), pruners.OBD(), pruners.OBC(),
        pruners.Wanda(), pruners.PHEW(),
    )
} | {
    "with weights": pruning(pruners.OBS(), prune_with_weights),
    "score": lambda model, batches: score(
        model, pruners.SNIP(), loss=functional.cross_entropy, batches=batches
    ),
    "attach": attached,
    "step": stepping,
    "limit": lambda model, batches: limits.pruning_limit(model, functional.cross_entropy, batches),
    "losses": losses,
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize(("own", "other"), [(SINGLE, DOUBLE), (DOUBLE, SINGLE)])
def test_inputs_of_another_dtype_are_named_with_both(
    name: str, own: torch.dtype, other: torch.dtype
):
    message = f"batches must hold inputs of {own}, as the model's parameters are, got {other}: "
    with pytest.raises(TypeError, match=re.escape(message)):
        CALLS[name](model_of(own), [batch(other)])


def layer_of(kind: str) -> tuple[nn.Module, Tensor]:
    return {
        "convolution": (nn.Conv2d(1, 2, 2), torch.ones(2, 1, 3, 3)),
        "recurrent": (nn.LSTM(3, 2), torch.ones(2, 2, 3)),
        "attention": (nn.TransformerEncoderLayer(4, 2, 8, batch_first=True), torch.ones(2, 3, 4)),
        "norm": (nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 3)), torch.ones(2, 3)),
        "layer norm": (nn.Sequential(nn.LayerNorm(3), nn.Linear(3, 3)), torch.ones(2, 3)),
    }[kind]


def first_output(outputs: Any, _: Tensor) -> Tensor:
    return (outputs[0] if isinstance(outputs, tuple) else outputs).square().sum()


@pytest.mark.parametrize("kind", ["convolution", "recurrent", "attention", "norm", "layer norm"])
@pytest.mark.parametrize(("own", "other"), [(SINGLE, DOUBLE), (DOUBLE, SINGLE)])
def test_whatever_layer_fails(kind: str, own: torch.dtype, other: torch.dtype):
    layer, x = layer_of(kind)
    with pytest.raises(TypeError, match=f"batches must hold inputs of {own}.*got {other}"):
        prune(
            layer.to(own), pruners.SNIP(), keep=3, loss=first_output,
            batches=[(x.to(other), torch.ones(1))],
        )  # fmt: skip


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (functional.binary_cross_entropy, "targets of torch.float64, as the model's outputs are"),
        (lambda found, y: (found @ y.T).sum(), "targets of torch.float64, as the model's outputs"),
        # It fails in the backward pass alone.
        (functional.huber_loss, "targets of the dtype of the model's outputs"),
    ],
)
def test_targets_that_a_loss_does_not_convert_are_named(
    loss: Callable[[Tensor, Tensor], Tensor], message: str
):
    model = nn.Sequential(nn.Linear(3, 2), nn.Sigmoid()).double()
    with pytest.raises(TypeError, match=f"batches must hold {message}.*[Ff]loat"):
        prune(
            model, pruners.SNIP(), keep=3, loss=loss, batches=[(batch(DOUBLE)[0], torch.ones(4, 2))]
        )


class Converting(nn.Module):
    """Inputs and whole numbers as it wants them."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.last = nn.Embedding(5, 3), nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        inside = self.embedding(x) if x.dtype == torch.int64 else x.to(self.last.weight.dtype)
        return self.last(inside)


@pytest.mark.parametrize("own", [SINGLE, DOUBLE])
@pytest.mark.parametrize("x", [batch(SINGLE)[0], batch(DOUBLE)[0], Y])
@pytest.mark.parametrize("targets", [SINGLE, DOUBLE])
def test_what_models_and_losses_convert_stays_as_it_was(
    own: torch.dtype, x: Tensor, targets: torch.dtype
):
    torch.manual_seed(0)
    pairs = [(x, torch.ones(4, 2, dtype=targets))]
    kept = prune(
        Converting().to(own), pruners.SNIP(), keep=5, loss=functional.mse_loss, batches=pairs,
        ignore=["embedding.weight"],
    )  # fmt: skip
    assert sum(int(mask.sum()) for mask in kept.values()) == 5


def test_other_failures_are_those_of_the_model():
    wide = (torch.ones(4, 5, dtype=SINGLE), Y)
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        prune(
            model_of(SINGLE), pruners.SNIP(), keep=9, loss=functional.cross_entropy, batches=[wide]
        )

    class Failing(Converting):
        def forward(self, x: Tensor) -> Tensor:
            raise RuntimeError("no flag of this kind")

    for own, other in ((SINGLE, DOUBLE), (SINGLE, SINGLE)):
        with pytest.raises(RuntimeError, match=r"^no flag of this kind$"):
            prune(
                Failing().to(own), pruners.SNIP(), keep=5, loss=functional.cross_entropy,
                batches=[batch(other)], ignore=["embedding.weight"],
            )  # fmt: skip


def test_half_precision_is_computed_in_single_and_takes_either():
    kept = prune(
        model_of(torch.bfloat16), pruners.SNIP(), keep=9, loss=functional.cross_entropy,
        batches=[batch(SINGLE), batch(torch.bfloat16)],
    )  # fmt: skip
    assert sum(int(mask.sum()) for mask in kept.values()) == 9
