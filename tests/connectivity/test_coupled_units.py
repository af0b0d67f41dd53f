"""What goes together, by hand and by differentiation; what cannot be cut, and why."""

from __future__ import annotations

import copy
from functools import lru_cache
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import prunelimits as pl
from prunelimits.connectivity import compact, coupled_units, effective_masks
from prunelimits.masks import CoupledUnits, UnitGroup, UnitSlices, apply
from tests.structured import NETWORKS, coupled, network


@pytest.mark.parametrize("name", NETWORKS)
def test_what_goes_together_by_hand(name: str):
    found = coupled(name)
    groups = {
        group.name: (
            group.size,
            {f"{part.parameter}[{part.axis}]" for part in group.slices},
        )
        for group in found.groups
    }
    wanted = {group: (size, set(told.split())) for group, (size, told) in NETWORKS[name][2].items()}
    assert groups == wanted


@pytest.mark.parametrize("name", NETWORKS)
def test_a_unit_is_all_that_counts_no_more_once_it_is_read_no_more(name: str):
    """By plain differentiation: what is behind a unit's columns feels nothing before them."""
    model, x = network(name)
    model = model.double()
    units = coupled(name)
    parameters = {n: p.detach() for n, p in model.named_parameters()}
    for group in units.groups:
        felt = False
        for unit in range(group.size):
            kept = torch.ones(group.size, dtype=torch.bool)
            kept[unit] = False
            masks = units.masks({group.name: kept})
            # Only what reads the unit: the second axis of a weight, or the first of a transposed.
            readers = {
                part.parameter
                for part in group.slices
                if part.axis == (0 if part.parameter == "up.weight" and name == "decoder" else 1)
                or (part.parameter, name) == ("up.weight", "decoder")
            }
            read = {n: m for n, m in masks.items() if n in readers}
            values = {n: p.clone().requires_grad_() for n, p in apply(parameters, read).items()}
            outputs = torch.func.functional_call(model, values, (x.double(),))
            weights = torch.randn(outputs.shape, dtype=torch.float64)
            grads = torch.autograd.grad((outputs * weights).sum(), list(values.values()))
            for (parameter, mask), grad in zip(
                ((n, masks.get(n)) for n in values), grads, strict=True
            ):
                if mask is not None and parameter not in readers:
                    assert not grad[~mask].any(), (group.name, unit, parameter)
                    felt |= bool(grad[mask].any())
        assert felt


one_network = lru_cache(maxsize=1)(network)


@pytest.mark.slow
@pytest.mark.usefixtures("followed_once")
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", NETWORKS)
def test_any_choice_of_units_is_connected_and_compact_computes_the_same(name: str, seed: int):
    model, x = one_network(name)
    units = coupled(name)
    generator = torch.Generator().manual_seed(seed)
    kept: dict[str, Tensor] = {}
    for group in units.groups:
        kept[group.name] = torch.rand(group.size, generator=generator) < 0.5
        kept[group.name][seed % group.size] = True
    masks = units.masks(kept)
    assert all(torch.equal(units.kept(masks)[n], k) for n, k in kept.items())
    weights = {n: m for n, m in masks.items() if m.dim() > 1}
    effective = effective_masks(model, weights, inputs=x)
    assert all(torch.equal(effective[n], m) for n, m in weights.items())
    assert all(torch.equal(units.complete(weights)[n], m) for n, m in masks.items())
    small = compact(model, weights, inputs=x).double()
    double = copy.deepcopy(model).double()
    with torch.no_grad():
        expected = torch.func.functional_call(
            double, apply(dict(double.named_parameters()), weights), (x.double(),)
        )
        assert torch.allclose(small(x.double()), expected, atol=1e-10)
    if name in SHRINKS:
        assert sum(p.numel() for p in small.parameters()) == sum(
            int(m.sum()) if (m := masks.get(n)) is not None else p.numel()
            for n, p in model.named_parameters()
        )
    else:
        assert vars(small)["kept_whole"]


# `compact` cuts all of a unit in these; in the others it says what stays whole.
SHRINKS = (
    "mlp", "residual", "dense", "mobile", "gated", "decoder", "grouped", "fused", "separate",
    "encoder", "written out",
)  # fmt: skip


class Sum(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer, self.inner, self.head = nn.Linear(4, 4), nn.Linear(4, 3), nn.Linear(4, 2)
        self.out = nn.Linear(3, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.layer(x)
        return self.head(x + self.out(functional.relu(self.inner(x))))


def test_a_sum_with_an_input_ties_units_to_it_and_the_reason_is_told():
    units = coupled_units(Sum(), inputs=torch.randn(2, 4))
    assert [group.name for group in units.groups] == ["inner"]
    assert units.whole["layer"] == "add ties it to an input of the model"
    assert units.whole["out"].startswith("add")
    assert units.whole["head"] == "what it gives is an output"
    assert "inner" in str(units)
    assert "ties it to an input" in str(units)


class Positions(nn.Module):
    """A mask of positions is multiplied with every channel, and a map of one channel too."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.map, self.last = nn.Linear(4, 6), nn.Linear(4, 1), nn.Linear(6, 2)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        return self.last(self.first(x) * mask[..., None] * torch.sigmoid(self.map(x)))


def test_what_all_units_share_ties_none_of_them():
    units = coupled_units(Positions(), inputs=(torch.randn(2, 3, 4), torch.ones(2, 3)))
    assert [(group.name, group.size) for group in units.groups] == [("first", 6)]


class Tied(nn.Module):
    """A weight that is used twice, and an embedding that is the last layer too."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(7, 4)
        self.twice, self.up, self.down = nn.Linear(4, 4), nn.Linear(4, 5), nn.Linear(5, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(
            self.twice(functional.relu(self.up(self.table(x)) @ self.down.weight.T))
        )
        return functional.relu(self.twice(x)) @ self.table.weight.T


def test_weights_that_are_used_twice_keep_what_their_uses_disagree_in():
    units = coupled_units(Tied(), inputs=torch.zeros(2, 3, dtype=torch.int64))
    found = {part.parameter for group in units.groups for part in group.slices}
    assert "table.weight" not in found
    assert {group.name for group in units.groups} == {"up"}


def test_shared_and_bare_parameters_go_along():
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = nn.Linear(3, 6), nn.Linear(6, 2)
            self.scale = nn.Parameter(torch.ones(6))
            self.slope = nn.PReLU()

        def forward(self, x: Tensor) -> Tensor:
            return self.last(self.slope(self.first(x)) * self.scale)

    (group,) = coupled_units(Scaled(), inputs=torch.randn(2, 3)).groups
    assert {part.parameter for part in group.slices} == {
        "first.weight", "first.bias", "scale", "last.weight",
    }  # fmt: skip


def test_the_model_stays_as_it_is_and_bad_arguments_are_refused_by_name():
    model, x = network("residual")
    before = {n: v.clone() for n, v in model.state_dict().items()}
    model.train()
    state = torch.random.get_rng_state()
    coupled_units(model, inputs=x)
    assert model.training
    assert torch.equal(state, torch.random.get_rng_state())
    assert all(torch.equal(v, before[n]) for n, v in model.state_dict().items())
    with pytest.raises(ValueError, match="inputs is needed"):
        coupled_units(model)
    with pytest.raises(TypeError, match="model must be"):
        coupled_units("model", inputs=x)  # type: ignore[arg-type]


PART = UnitSlices("w", 0, (0, 1))


@pytest.mark.parametrize(
    ("groups", "shapes", "message"),
    [
        ((UnitGroup("g", 2, (PART,)),), {}, "shapes must have 'w'"),
        ((UnitGroup("g", 2, (PART,)),), {"w": (3, 1)}, "must have 3 units along axis 0"),
        ((UnitGroup("g", 1, (PART,)),), {"w": (2, 1)}, "units from -1 to 0"),
        ((UnitGroup("g", 2, (UnitSlices("w", 2, (0, 1)),)),), {"w": (2, 1)}, "axis of 'w'"),
        ((UnitGroup("g", 2, (PART,)), UnitGroup("g", 2, (PART,))), {"w": (2, 1)}, "different"),
    ],
)
def test_groups_by_hand_are_checked(groups: Any, shapes: Any, message: str):
    with pytest.raises(ValueError, match=message):
        CoupledUnits(groups, shapes)


def test_units_kept_are_checked():
    units = coupled_units(pl.MLP((2, 3, 1)))
    with pytest.raises(ValueError, match=r"kept names 'x', which is no group: layers\.0"):
        units.masks({"x": torch.ones(3).bool()})
    with pytest.raises(ValueError, match=r"kept\['layers.0'\] must have shape \(3,\)"):
        units.masks({"layers.0": torch.ones(2).bool()})
    with pytest.raises(ValueError, match="must have shape"):
        units.kept({"layers.0.weight": torch.ones(2, 2).bool()})
    assert units == coupled_units(pl.MLP((2, 3, 1)))
    assert units != coupled_units(pl.MLP((2, 4, 1)))


class Nano(nn.Module):
    """Queries, keys and values at once, split and joined by the width of all: as small GPTs do."""

    def __init__(self) -> None:
        super().__init__()
        self.n_head, self.head_dim, self.n_embd = 4, 4, 16
        self.c_attn, self.c_proj = nn.Linear(16, 48), nn.Linear(16, 16)

    def forward(self, x: Tensor) -> Tensor:
        b, t, c = x.size()
        q, k, v = self.c_attn(x).split(self.n_embd, dim=2)
        q = q.view(b, t, self.n_head, self.head_dim).transpose(1, 2)
        k = k.view(b, t, self.n_head, self.head_dim).transpose(1, 2)
        v = v.view(b, t, self.n_head, self.head_dim).transpose(1, 2)
        y = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.c_proj(y.transpose(1, 2).contiguous().view(b, t, c))


class Joined(Nano):
    """The same in one reshape, by numbers of the module's own."""

    def forward(self, x: Tensor) -> Tensor:
        b, t, _ = x.shape
        parts = self.c_attn(x).reshape(b, t, 3, self.n_head, self.head_dim)
        q, k, v = parts.permute(2, 0, 3, 1, 4).unbind(0)
        y = functional.scaled_dot_product_attention(q, k, v)
        return self.c_proj(y.transpose(1, 2).flatten(2))


@pytest.mark.parametrize("length", [1, 5])
@pytest.mark.parametrize("make", [Nano, Joined])
def test_heads_of_one_layer_go_whatever_the_length_of_the_example(
    make: type[nn.Module], length: int
):
    torch.manual_seed(0)
    model = make().double()
    mask = torch.ones(16, 16, dtype=torch.bool)
    mask[:, 4:12] = False
    core = compact(model, {"c_proj.weight": mask}, inputs=torch.randn(2, length, 16))
    assert core.get_parameter("c_attn.weight").shape == (24, 16)
    assert vars(core)["kept_whole"] == {}
    with torch.no_grad():
        model.get_parameter("c_proj.weight").mul_(mask)
        for other in (1, 5, 9):
            x = torch.randn(2, other, 16, dtype=torch.float64)
            assert torch.allclose(core(x), model(x), atol=1e-12)
