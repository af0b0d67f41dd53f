from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from prunelimits import pruners
from prunelimits.problem import problem_of
from prunelimits.scores import wanda
from prunelimits.scores.layer_inputs import gram, layer_inputs, squares
from prunelimits.scores.uses import Watch
from prunelimits.types import Masks, Params, Problem

from .cases import Tied, conv_net


def whole(model: nn.Module, x: Tensor) -> tuple[Problem, Params, Masks]:
    """A task in float64, and masks that keep every matrix and kernel."""
    problem, params = problem_of(model.double(), batches=[(x, torch.zeros(len(x)))])
    return problem, params, {n: torch.ones_like(v).bool() for n, v in params.items() if v.dim() > 1}


def drawn(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def seen_by_hooks(model: nn.Module, x: Tensor) -> dict[str, list[Tensor]]:
    """What each linear layer is called with."""
    seen: dict[str, list[Tensor]] = {}
    hooks = [
        module.register_forward_pre_hook(
            lambda _, args, name=name: seen.setdefault(f"{name}.weight", []).append(args[0])
        )
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear)
    ]
    model.eval()(x)
    for hook in hooks:
        hook.remove()
    return seen


def test_linear_layers_see_what_hooks_see() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Unflatten(0, (2, 5)), nn.Linear(4, 2))
    x = drawn(10, 3)
    found = layer_inputs(*whole(model, x), gram)
    for name, calls in seen_by_hooks(model, x).items():
        rows = torch.cat([call.flatten(0, -2) for call in calls])
        torch.testing.assert_close(found[name].sums, (rows.mT @ rows)[None])
        assert not found[name].flipped
    assert list(found) == ["0.weight", "3.weight"]


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(4, 6, 3),
        nn.Conv2d(4, 6, (2, 3), stride=(1, 2), padding=(1, 0), dilation=(2, 1), groups=2),
        nn.Conv2d(4, 4, 3, padding="same", groups=4),
        nn.Conv2d(4, 3, 3, padding="valid", bias=False),
        nn.Conv2d(4, 3, 3, padding=1, padding_mode="circular"),
        nn.Conv1d(4, 6, 3, padding=2, groups=2),
        nn.Conv3d(4, 3, 2, stride=2),
    ],
    ids=str,
)
def test_the_patches_of_a_convolution_times_its_weight_are_its_outputs(layer: nn.Module) -> None:
    x = drawn(3, 4, *(7,) * (layer.weight.dim() - 2))
    problem, params, masks = whole(layer, x)
    outputs: list[Tensor] = []
    inputs: list[tuple[Tensor, ...]] = []
    with Watch({"weight": params["weight"]}, lambda use: inputs.extend(use.inputs)):
        outputs.append(problem.apply(params, x))
    found = layer_inputs(problem, params, masks, gram)["weight"]
    rows = found.rows(params["weight"])  # groups, outputs, inputs
    [parts] = inputs
    expected = torch.stack([part @ row.mT for part, row in zip(parts, rows, strict=True)])
    if "bias" in params:
        expected = expected + params["bias"].unflatten(0, (len(rows), 1, -1))
    channels_last = outputs[0].movedim(1, -1).flatten(0, -2)
    torch.testing.assert_close(expected.movedim(0, 1).flatten(1), channels_last)
    assert torch.equal(found.like(rows, params["weight"]), params["weight"])
    torch.testing.assert_close(found.sums, torch.stack([part.mT @ part for part in parts]))


def test_an_image_in_parts_is_the_whole_image(monkeypatch: pytest.MonkeyPatch) -> None:
    problem, params, masks = whole(conv_net(), drawn(6, 1, 4, 4))
    expected = layer_inputs(problem, params, masks, gram)
    monkeypatch.setattr("prunelimits.scores.products._ENTRIES", 1)
    for name, found in layer_inputs(problem, params, masks, gram).items():
        torch.testing.assert_close(found.sums, expected[name].sums)


class Multiplies(nn.Module):
    """A parameter and one way to multiply by it."""

    def __init__(self, how: Callable[[Tensor, Tensor], Tensor], *shape: int) -> None:
        super().__init__()
        self.matrix, self.how = nn.Parameter(drawn(*shape)), how

    def forward(self, x: Tensor) -> Tensor:
        return self.how(x, self.matrix)


@pytest.mark.parametrize(
    ("how", "flipped"),
    [
        (lambda x, w: x @ w, True),
        (lambda x, w: torch.addmm(torch.zeros(4, dtype=x.dtype), x, w), True),
        (torch.mm, True),
        (lambda x, w: torch.matmul(x[None], w), True),
        (lambda x, w: functional.linear(x, w.t()), True),
        (lambda x, w: functional.linear(x, w.mT), True),
        (lambda x, w: x @ w.transpose(0, 1).T, True),
        (lambda x, w: x @ w.T.reshape(w.shape[1], -1).T, None),
        (lambda x, w: x[:, :4] @ w.T, False),
    ],
)
def test_whoever_multiplies_by_a_matrix_is_followed(
    how: Callable[[Tensor, Tensor], Tensor], flipped: bool | None
) -> None:
    x = drawn(5, 3)
    problem, params, masks = whole(
        Multiplies(how, 3, 4), x if flipped is not False else drawn(5, 4)
    )
    if flipped is None:
        with pytest.raises(ValueError, match="masks names 'matrix', which goes through reshape"):
            layer_inputs(problem, params, masks, gram)
        return
    x = problem.batches[0][0]
    found = layer_inputs(problem, params, masks, gram)["matrix"]
    assert found.flipped == flipped
    torch.testing.assert_close(found.sums, (x.mT @ x)[None])
    rows = found.rows(params["matrix"])
    assert rows.shape == (1, 4, 3) if flipped else (1, 3, 4)
    assert torch.equal(found.like(rows, params["matrix"]), params["matrix"])


def test_a_layer_that_is_called_again_adds_up() -> None:
    model, x = Tied(), drawn(5, 2)
    problem, params, masks = whole(model, x)
    calls = [call for many in seen_by_hooks(model, x).values() for call in many]
    assert len(calls) == 2
    found = layer_inputs(problem, params, masks, squares)["inner.weight"]
    torch.testing.assert_close(found.sums[0], sum(call.square().sum(0) for call in calls))
    twice = problem._replace(batches=[*problem.batches] * 2)
    again = layer_inputs(twice, params, masks, squares)["inner.weight"]
    torch.testing.assert_close(again.sums, 2 * found.sums)


@pytest.mark.parametrize("options", [{}, {"kdim": 3, "vdim": 5}], ids=["one matrix", "three"])
def test_attention_is_followed_to_its_layers(options: dict[str, int]) -> None:
    attention = nn.MultiheadAttention(4, 2, batch_first=True, **options).double().eval()
    query, key, value = drawn(2, 6, 4), drawn(2, 3, 3 if options else 4), drawn(2, 3, 5)
    value = value if options else value[..., :4]
    problem, params = problem_of(attention, batches=[((query, key, value), torch.zeros(2))])
    masks = {n: torch.ones_like(v).bool() for n, v in params.items() if v.dim() > 1}
    found = layer_inputs(problem, params, masks, gram)
    sums = [part.flatten(0, 1).mT @ part.flatten(0, 1) for part in (query, key, value)]
    if options:
        for letter, expected in zip("qkv", sums, strict=True):
            torch.testing.assert_close(found[f"{letter}_proj_weight"].sums[0], expected)
    else:
        torch.testing.assert_close(found["in_proj_weight"].sums, torch.stack(sums))
    # What its last layer sees: its outputs tell, if they are not many and nothing is lost.
    plain, weights = attention(query, key, value)
    heads = torch.linalg.solve(params["out_proj.weight"], plain.detach().flatten(0, 1).mT).mT
    torch.testing.assert_close(found["out_proj.weight"].sums[0], heads.mT @ heads)
    with Watch(params, lambda _: None):
        outputs = problem.apply(params, (query, key, value))
    torch.testing.assert_close(outputs[0], plain)
    torch.testing.assert_close(outputs[1], weights)


class BothSides(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.matrix = nn.Parameter(drawn(3, 3))

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x @ self.matrix) @ self.matrix.T


class Lazy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.used, self.other = nn.Linear(3, 3), nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.used(x)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (BothSides(), "masks names 'matrix', which goes through products from both sides"),
        (Lazy(), r"masks names 'other.weight', which no batch reaches: leave it out by ignore="),
        (
            nn.GRU(3, 2),
            "masks names 'weight_ih_l0', which goes through gru: what comes in is known",
        ),
        (Multiplies(lambda x, w: x + w, 1, 3), "masks names 'matrix', which goes through add"),
        (Multiplies(lambda x, w: w @ w, 3, 3), "masks names 'matrix', which goes through matmul"),
        (nn.ConvTranspose1d(1, 1, 1), "masks names 'weight', which goes through conv_transpose1d"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_not_followed_is_named(model: nn.Module, message: str) -> None:
    x = drawn(5, 1, 3) if isinstance(model, nn.ConvTranspose1d) else drawn(5, 3)
    problem, params, masks = whole(model, x)
    with pytest.raises(ValueError, match=message):
        wanda(problem, params, masks)


def test_a_model_may_ask_its_weights_what_they_are() -> None:
    def asks(x: Tensor, w: Tensor) -> Tensor:
        assert w.shape == (3, 3)
        assert w.device == x.device
        return x.to(w.dtype) @ w.float().to(x.dtype)

    problem, params, masks = whole(Multiplies(asks, 3, 3), drawn(5, 3))
    assert layer_inputs(problem, params, masks, squares)["matrix"].flipped


@pytest.mark.parametrize("value", [torch.nan, torch.inf, 1e200])
@pytest.mark.parametrize(
    "pruner", [pruners.Wanda(), pruners.OBC(), pruners.SparseGPT()], ids=lambda p: p.name
)
def test_inputs_that_are_no_finite_numbers_are_told(pruner: Any, value: float):
    x = torch.ones(4, 3, dtype=torch.float64)
    x[1, 2] = value
    with pytest.raises(ValueError, match=r"batches must give finite .* at 'weight' is NaN"):
        pruners.prune(torch.nn.Linear(3, 2).double(), pruner, keep=2, batches=[(x, None)])


def test_a_score_without_a_loss_that_is_none_is_told():
    def score(problem: Any, params: Any, masks: Any, noise: Any) -> Any:
        return {name: params[name] * torch.nan for name in masks}

    x = torch.ones(4, 3)
    with pytest.raises(ValueError, match=r"scores of Pruner\(score\) must be numbers: the"):
        pruners.prune(
            torch.nn.Linear(3, 2), pruners.Pruner(score=score), keep=2, batches=[(x, None)]
        )
