"""What holds for the example's sizes only, as what a recurrent layer gives without a signal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils import _pytree as pytree

from prunelimits.connectivity import analyze, compact, effective_masks, fold_constants
from prunelimits.connectivity.following.model import example_of
from prunelimits.connectivity.following.other_sizes import at_other_sizes

from .kinds import Written, fc, param, rows
from .laws import Inputs, changes_nothing, computes_the_same


def without_signal(model: nn.Module, layer: str, units: list[int]) -> nn.Module:
    """A model in which some units of a layer are constants: random biases, and zero weights."""
    model = model.double().eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            drawn = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.copy_(drawn.sign() * 0.2 + drawn * 0.4)
        model.get_parameter(layer)[units] = 0
        # So that they are other than zero behind a ReLU.
        model.get_parameter(layer.replace("weight", "bias"))[units] = 0.7
    return model


def image(side: int) -> Tensor:
    return rows(1, 2, side, side + 1)


def sequence(length: int) -> Tensor:
    return rows(2, length, 4)


def last_of_cells() -> nn.Module:
    def run(m: Any, x: Tensor) -> Tensor:
        return m.last(torch.relu(m.cells(m.first(x))[1][0][-1]))

    return Written(run, first=fc(), cells=nn.LSTM(4, 4, batch_first=True), last=fc(4, 2))


def pooled_beside_padding() -> nn.Module:
    layers = (nn.Conv2d(2, 4, 1), nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1), nn.ReLU())
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), fc(4, 2))


def pooled_without_padding() -> nn.Module:
    layers = (nn.Conv2d(2, 4, 1), nn.ReLU(), nn.Conv2d(4, 4, 2), nn.ReLU())
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), fc(4, 2))


def after(change: Callable[[Any, Tensor], Tensor], **parts: nn.Module | nn.Parameter) -> nn.Module:
    def run(m: Any, x: Tensor) -> Tensor:
        return m.last(change(m, torch.relu(m.first(x))))

    return Written(run, first=fc(), last=fc(4, 2), **parts)


CHANGES: dict[str, Callable[[Any, Tensor], Tensor]] = {
    "sum": lambda m, h: h.sum(1),
    "cumulative sum": lambda m, h: h.cumsum(1)[:, -1],
    "share of the length": lambda m, h: h / h.shape[1],
    "length as a factor": lambda m, h: h * h.shape[1] ** -0.5,
    "norm over the length": lambda m, h: functional.normalize(h, dim=1).mean(1),
    "softmax over the length": lambda m, h: h.softmax(1)[:, 0],
    "product": lambda m, h: (1 + h).prod(1),
    "table of positions": lambda m, h: h + m.table[: h.shape[1]],
    "waves of positions": lambda m, h: h + torch.arange(h.shape[1]).double().sin()[:, None],
    "windows": lambda m, h: functional.avg_pool1d(h.mT, 2, 1, 1).amin(-1),
    "decay": lambda m, h: h * 0.5 ** h.shape[1],
}


@pytest.mark.slow
@pytest.mark.usefixtures("followed_once")
@pytest.mark.parametrize("length", [1, 3])
@pytest.mark.parametrize("change", CHANGES)
def test_constants_that_depend_on_the_length_stay(change: str, length: int):
    model = without_signal(after(CHANGES[change], table=param(12, 4)), "first.weight", [0, 2])
    with torch.no_grad():
        # What differs lies beyond the example.
        model.get_parameter("table")[:length, [0, 2]] = 0
    core = compact(model, inputs=sequence(length))
    for other in (length, 2, 5, 12):
        computes_the_same(model, core, sequence(other))
    folded, _ = fold_constants(model, inputs=sequence(3))
    # Rows of the table that the example does not read are on no path.
    folded["table"] = model.get_parameter("table").detach()
    params = {name: p.detach() for name, p in model.named_parameters()}
    changes_nothing(model, params, folded, sequence(8))


@pytest.mark.parametrize("change", ["mean", "largest", "first", "norm over features"])
def test_constants_that_do_not_depend_on_it_go(change: str):
    changes: dict[str, Callable[[Any, Tensor], Tensor]] = {
        "mean": lambda m, h: h.mean(1),
        "largest": lambda m, h: h.amax(1),
        "first": lambda m, h: h[:, 0],
        "norm over features": lambda m, h: torch.sigmoid(h).flip(1),
    }
    model = without_signal(after(changes[change]), "first.weight", [0, 2])
    core = compact(model, inputs=sequence(3))
    assert core.get_parameter("first.weight").shape == (2, 4)
    for other in (1, 3, 7):
        computes_the_same(model, core, sequence(other))


@pytest.mark.slow
@pytest.mark.parametrize("length", [1, 2, 6])
def test_what_a_recurrent_layer_gives_without_a_signal_stays(length: int):
    model = without_signal(last_of_cells(), "cells.weight_ih_l0", [0, 4, 8, 12])
    with torch.no_grad():
        model.get_parameter("cells.weight_hh_l0")[[0, 4, 8, 12]] = 0
    core = compact(model, inputs=sequence(length))
    assert core.get_parameter("last.weight")[:, 0].any()
    for other in (1, 3, 40):
        computes_the_same(model, core, sequence(other))


@pytest.mark.slow
def test_a_recurrent_layer_keeps_its_states_after_an_example_of_one_step():
    model = without_signal(last_of_cells(), "first.weight", [1])
    assert not effective_masks(model, inputs=sequence(1))["cells.weight_hh_l0"].any()
    core = compact(model, inputs=sequence(1))
    computes_the_same(model, core, sequence(9))
    core = compact(model, inputs=sequence(1), keep_constants=True)
    computes_the_same(model, core, sequence(9))


@pytest.mark.parametrize("side", [1, 5])
@pytest.mark.parametrize("make", [pooled_beside_padding, pooled_without_padding])
def test_constants_of_images_are_the_same_in_larger_ones(make: Callable[[], nn.Module], side: int):
    model = without_signal(make(), "0.weight", [0, 2])
    with torch.no_grad():
        # One unit that only these constants reach.
        model.get_parameter("2.weight")[1, [1, 3]] = 0
    if make is pooled_without_padding:
        side += 1
    core = compact(model, inputs=image(side))
    inside = core.get_parameter("0.weight").shape[0]
    assert inside == (4 if make is pooled_beside_padding else 2)
    for other in (side, 4, 9):
        computes_the_same(model, core, image(other))


def test_a_size_that_the_model_fixes_is_taken_as_it_is():
    layers = (nn.Conv2d(2, 4, 1), nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1), nn.ReLU())
    model = nn.Sequential(*layers, nn.Flatten(), fc(4 * 12, 2))
    model = without_signal(model, "0.weight", [0, 2])
    with torch.no_grad():
        model.get_parameter("2.weight")[1, [1, 3]] = 0
    folded, kept = fold_constants(model, inputs=image(3))
    params = {name: p.detach() for name, p in model.named_parameters()}
    changes_nothing(model, params, folded, image(3))
    # Uneven beside padding, but each position has weights of its own behind it.
    assert not kept["5.weight"][:, 12:24].any()


def other_shapes(model: nn.Module, inputs: Inputs) -> list[list[tuple[int, ...]]]:
    found = at_other_sizes(model, *example_of(model, inputs))
    return [[tuple(x.shape) for x in pytree.tree_leaves(example)] for example in found]


def test_a_model_is_called_at_other_sizes_as_far_as_it_takes_any():
    flat = nn.Sequential(nn.Conv2d(2, 3, 3), nn.Flatten(), fc(3 * 6, 2))
    assert other_shapes(flat, torch.zeros(1, 2, 4, 5)) == [[(2, 2, 4, 5)]]
    assert other_shapes(nn.Conv2d(2, 3, 3), torch.zeros(1, 2, 40, 5)) == [[(2, 2, 72, 10)]]

    def dot(m: Any, x: Tensor, y: Tensor) -> Tensor:
        return m.a(x) @ m.a(y).mT

    sequences = (torch.zeros(1, 3, 4), torch.zeros(1, 5, 4))
    assert other_shapes(Written(dot, a=fc()), sequences) == [[(2, 6, 4), (2, 10, 4)]]


def test_other_sizes_stay_within_tables():
    def run(m: Any, x: Tensor) -> Tensor:
        return m.a(x) + m.b(torch.arange(x.shape[1]))

    table = Written(run, a=nn.Embedding(9, 4), b=nn.Embedding(6, 4))
    ids = torch.tensor([[8, 1, 0, 3, 5]])
    ((args, _),) = at_other_sizes(table, (ids,), {})
    # Ten positions are too many, and six are not.
    assert args[0].tolist() == [[8, 1, 0, 3, 5, 8]] * 2


def test_an_image_that_makes_several_rows_is_no_larger_image():
    def run(m: Any, x: Tensor) -> Tensor:
        return m.last(m.conv(x).view(-1, 12))

    model = Written(run, conv=nn.Conv2d(2, 3, 1), last=fc(12, 2))
    assert other_shapes(model, torch.zeros(3, 2, 2, 2)) == [[(6, 2, 2, 2)]]


class Counting(nn.Module):
    """Counts how often it is called, in a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.last = fc(4, 2)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        self.get_buffer("calls").add_(1)
        return torch.relu(self.last(x))


@pytest.mark.slow
@pytest.mark.parametrize("function", [analyze, compact, effective_masks, fold_constants])
def test_calls_of_a_model_leave_no_trace_in_its_buffers(function: Callable[..., object]):
    model = Counting().train()
    inputs = torch.randn(8, 4)
    before = inputs.clone()
    function(model, inputs=inputs)
    assert (model.get_buffer("calls") == 0, model.training) == (True, True)
    assert torch.equal(inputs, before)


class Seen(nn.Identity):
    """Tells how large a batch of images is."""

    shapes: ClassVar[list[tuple[int, int]]] = []

    def forward(self, input: Tensor) -> Tensor:
        if type(input) is Tensor:  # and not a stand-in, while it is exported
            Seen.shapes.append((input.shape[0], input.shape[2]))
        return input


def test_of_a_large_batch_few_samples_are_called():
    model = without_signal(nn.Sequential(Seen(), *pooled_without_padding()), "1.weight", [0, 2])
    with torch.no_grad():
        model.get_parameter("3.weight")[1, [1, 3]] = 0
    Seen.shapes.clear()
    core = compact(model, inputs=image(5).expand(64, -1, -1, -1))
    # Whether samples meet is asked of the whole batch.
    assert sum(samples == 64 for samples, _ in Seen.shapes) == 2
    assert {samples for samples, side in Seen.shapes if side != 5} == {3}
    assert core.get_parameter("1.weight").shape[0] == 2
    for side in (3, 5, 9):
        computes_the_same(model, core, image(side).expand(7, -1, -1, -1))


@pytest.mark.parametrize("samples", [2, 5])
def test_a_model_that_takes_no_single_sample_is_called_at_other_sizes_with_several(samples: int):
    def summed(m: Any, h: Tensor) -> Tensor:
        return h.squeeze().sum(1)  # of one sample the features

    model = without_signal(after(summed), "first.weight", [0, 2])
    core = compact(model, inputs=rows(samples, 3, 4))
    for length in (2, 3, 7):
        computes_the_same(model, core, rows(samples, length, 4))
