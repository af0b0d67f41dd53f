"""Graphs that write over what they read, read as they are, against graphs that torch rewrote."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from prunelimits.connectivity.flow import find_flow, flow_masks
from prunelimits.connectivity.following.exporting import decomposed, export, is_plain
from prunelimits.connectivity.following.network import read_program
from prunelimits.connectivity.following.rules import RULES
from prunelimits.connectivity.parameters import model_parameters


class Written(nn.Module):
    def __init__(self, how: Callable[[nn.Module, Tensor], Tensor]) -> None:
        super().__init__()
        self.how = how
        self.a, self.b = nn.Conv2d(2, 3, 1), nn.Conv2d(3, 3, 1)
        self.bn, self.last = nn.BatchNorm2d(3), nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.how(self, x).mean((2, 3)))


def after_a_layer(m: nn.Module, x: Tensor) -> Tensor:
    return m.b(functional.relu_(m.bn(m.a(x))))


def residual(m: nn.Module, x: Tensor) -> Tensor:
    h = torch.relu_(m.a(x))
    out = m.bn(m.b(h))
    out += h
    return torch.relu_(out)


def read_again(m: nn.Module, x: Tensor) -> Tensor:
    h = m.a(x)
    g = functional.relu_(m.bn(h))
    h.add_(g)
    return m.b(g) + h


def written_while_kept(m: nn.Module, x: Tensor) -> Tensor:
    h = m.a(x)
    keep = h
    h += m.b(torch.relu(h))
    return keep + h


def through_a_view(m: nn.Module, x: Tensor) -> Tensor:
    h = m.a(x)
    view = h.flatten(2)
    h.mul_(m.b(torch.relu(h)))
    return h + view.reshape(h.shape)


def through_a_dropout(m: nn.Module, x: Tensor) -> Tensor:
    h = m.a(x)
    same = functional.dropout(h, 0.5, False)
    h.add_(m.b(torch.relu(h)))
    return same


def an_input(m: nn.Module, x: Tensor) -> Tensor:
    y = x.clone()
    y.relu_()
    return m.a(y) + m.a(x)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "whole"),
    [
        (after_a_layer, True),
        (residual, True),
        (read_again, True),
        (written_while_kept, True),
        (through_a_view, False),
        (through_a_dropout, False),
        (an_input, False),
    ],
)
@pytest.mark.parametrize("seed", range(2))
def test_what_is_written_over_is_followed_as_torch_rewrites_it(
    how: Callable[[nn.Module, Tensor], Tensor], whole: bool, seed: int
):
    torch.manual_seed(seed)
    model = Written(how).eval()
    with torch.no_grad():
        for p in model.parameters():
            p.mul_(torch.rand(p.shape) < 0.5)
    parameters = model_parameters(model, None)
    program = export(model, (torch.randn(1, 2, 3, 3),), {})
    assert is_plain(program, RULES) == whole
    found = read_program(program, parameters.aliases)
    rewritten = read_program(decomposed(program, {}), parameters.aliases)
    for keep_constants in (False, True):
        one, other = (
            flow_masks(n, find_flow(n, parameters.masks), keep_constants=keep_constants)
            for n in (found, rewritten)
        )
        assert all(torch.equal(one[name], other[name]) for name in one)
