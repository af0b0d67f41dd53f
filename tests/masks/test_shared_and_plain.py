"""Masks of modules whose layers share weights, and of plain modules that were pruned."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import prune as torch_prune

from prunelimits import masks as pm
from prunelimits.connectivity import effective_masks

EYE = torch.eye(3, dtype=torch.bool)


class Tied(nn.Module):
    """A decoder that reads the encoder's weights."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.decoder = nn.Linear(3, 3), nn.Linear(3, 3)
        self.decoder.weight = self.encoder.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(torch.relu(self.encoder(x)))


class SharedModule(nn.Module):
    """One layer under two names."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 3)
        self.second = self.first

    def forward(self, x: Tensor) -> Tensor:
        return self.second(torch.relu(self.first(x)))


@pytest.mark.parametrize(("build", "name"), [(Tied, "encoder"), (SharedModule, "first")])
def test_shared_weights_are_pruned_in_every_layer_that_uses_them(
    build: Callable[[], nn.Module], name: str
) -> None:
    model, x = build(), torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    masks = {f"{name}.weight": EYE}
    permanent = deepcopy(model)
    pm.make_permanent(permanent, masks)
    expected = permanent(x)
    assert not torch.equal(expected, model(x))

    pm.to_torch_prune(model, masks)
    assert torch.equal(model(x), expected)
    found = pm.from_torch_prune(model)
    assert list(found) == list(masks)
    assert torch.equal(found[f"{name}.weight"], EYE)
    kept = pm.nonzero_masks(model)
    assert kept.keys() == dict(build().named_parameters()).keys()
    assert pm.count({n: m for n, m in kept.items() if n.endswith("weight")}) == 3

    pm.make_permanent(model)
    assert torch.equal(model(x), expected)
    assert dict(model.named_parameters()).keys() == dict(build().named_parameters()).keys()


def test_shared_weights_stay_shared_and_train_inside_the_mask() -> None:
    model = Tied()
    pm.to_torch_prune(model, {"encoder.weight": EYE})
    assert model.encoder.weight_orig is model.decoder.weight_orig
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        model(torch.ones(2, 3)).square().sum().backward()
        optimizer.step()
    pm.make_permanent(model)
    assert model.encoder.weight is model.decoder.weight
    assert not model.encoder.weight[~EYE].any()


def test_shared_weights_go_by_their_first_name() -> None:
    for function in (pm.to_torch_prune, pm.make_permanent):
        model = Tied()
        before = deepcopy(model.state_dict())
        with pytest.raises(
            ValueError, match=r"'decoder\.weight', which the model shares with 'enc"
        ):
            function(model, {"decoder.weight": EYE})
        assert list(before) == list(model.state_dict())


def test_shared_weights_that_torch_prunes_differently_are_refused() -> None:
    one, other = Tied(), Tied()
    torch_prune.custom_from_mask(one.decoder, "weight", EYE)
    torch_prune.custom_from_mask(other.encoder, "weight", EYE)
    torch_prune.custom_from_mask(other.decoder, "weight", ~EYE)
    for model in (one, other):
        for function in (pm.from_torch_prune, pm.nonzero_masks, pm.make_permanent):
            with pytest.raises(ValueError, match="prunes them differently"):
                function(model)
        assert hasattr(model.decoder, "weight_mask")


def test_connectivity_reads_shared_weights_in_torchs_form() -> None:
    plain, pruned = Tied(), Tied()
    pruned.load_state_dict(plain.state_dict())
    pm.make_permanent(plain, {"encoder.weight": EYE})
    pm.to_torch_prune(pruned, {"encoder.weight": EYE})
    x = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    expected, found = (effective_masks(model, inputs=x) for model in (plain, pruned))
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_masks_are_added_to_torchs_form() -> None:
    model = nn.Linear(3, 3)
    pm.to_torch_prune(model, {"weight": EYE})
    pm.to_torch_prune(model, {"weight": torch.tensor([[True] * 3, [False] * 3, [True] * 3])})
    kept = pm.from_torch_prune(model)["weight"]
    assert kept.nonzero().tolist() == [[0, 0], [2, 2]]
    assert "weight_orig_orig" not in dict(model.named_parameters())


def test_recurrent_layers_are_pruned_too() -> None:
    model, x = nn.LSTM(2, 3), torch.randn(4, 1, 2, generator=torch.Generator().manual_seed(0))
    mask = torch.arange(24).reshape(12, 2) % 3 == 0
    expected = deepcopy(model)
    pm.make_permanent(expected, {"weight_ih_l0": mask})
    pm.to_torch_prune(model, {"weight_ih_l0": mask})
    assert torch.equal(model(x)[0], expected(x)[0])


def test_a_plain_network_pruned_before_training_keeps_its_shifts_and_biases_free() -> None:
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))
    nn.init.zeros_(model[3].bias)
    weight = torch.arange(8).reshape(2, 4) % 2 == 0
    pm.make_permanent(model, {"3.weight": weight, "0.bias": torch.arange(4) > 1})
    masks = pm.nonzero_masks(model)
    # A pruned bias is told from one that starts at zero by its other entries.
    assert list(masks) == ["0.weight", "0.bias", "3.weight"]
    assert torch.equal(masks["3.weight"], weight)
    assert masks["0.bias"].tolist() == [False, False, True, True]


@pytest.mark.parametrize(
    "layer",
    [
        nn.BatchNorm1d(4),
        nn.LayerNorm((4, 2)),
        nn.GroupNorm(2, 4),
        nn.InstanceNorm1d(4, affine=True),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_normalisations_have_no_mask_unless_they_were_pruned(layer: nn.Module) -> None:
    model = nn.Sequential(nn.Linear(2, 4), layer)
    assert list(pm.nonzero_masks(model)) == ["0.weight", "0.bias"]
    # Parameters by name are taken as they are: whoever names them wants them.
    assert not pm.nonzero_masks(dict(model.named_parameters()))["1.bias"].any()
    pm.to_torch_prune(model, {"1.bias": torch.zeros_like(layer.bias, dtype=torch.bool)})
    assert not pm.nonzero_masks(model)["1.bias"].any()


SPARSE = torch.ones(2, 2).bool().to_sparse()
META = torch.ones(2, 2, dtype=torch.bool, device="meta")
WEIGHTS = {"weight": torch.ones(2, 2)}


@pytest.mark.parametrize(
    ("masks", "error", "message"),
    [
        ([EYE], TypeError, r"masks must be bool tensors by name, got a list"),
        ("weight", TypeError, "masks must be bool tensors by name, got 'weight'"),
        (3, TypeError, "masks must be bool tensors by name, got 3"),
        (META, TypeError, "masks must be bool tensors by name, got a tensor"),
        ({"weight": META}, ValueError, r"masks\['weight'\] must hold data, got .* meta"),
        (
            {"weight": SPARSE},
            TypeError,
            r"masks\['weight'\] must be a dense tensor of real",
        ),
        (
            {"weight": np.ones((2, 2), bool)},
            TypeError,
            r"\['weight'\] must be a bool tensor.*array",
        ),
        ({"weight": None}, TypeError, r"masks\['weight'\] must be a bool tensor, got NoneType"),
        ({"weight": torch.ones(2, 2)}, TypeError, r"masks\['weight'\] must be a bool tensor.*32"),
        ({"weight": torch.ones(2, 2).byte()}, TypeError, "must be a bool tensor, got torch.uint8"),
    ],
)
@pytest.mark.parametrize(
    "function",
    [
        pm.count,
        pm.with_biases,
        lambda masks: pm.check_masks(WEIGHTS, masks),
        lambda masks: pm.apply(WEIGHTS, masks),
        lambda masks: pm.to_torch_prune(nn.Linear(2, 2), masks),
        lambda masks: pm.make_permanent(nn.Linear(2, 2), masks),
    ],
    ids=["count", "with_biases", "check_masks", "apply", "to_torch_prune", "make_permanent"],
)
def test_what_is_no_mask_is_refused_by_name(
    function: Callable[[object], object], masks: object, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        function(masks)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: pm.count(None),
            TypeError,
            "masks must be bool tensors by name, got None",
        ),
        (lambda: pm.apply(None, {}), TypeError, "params must be tensors by name"),
        (lambda: pm.apply({"w": [1.0]}, {}), TypeError, r"params\['w'\] must be a tensor, got \[1"),
        (lambda: pm.apply({"w": META}, {}), ValueError, r"params\['w'\] must hold data"),
        (
            lambda: pm.nonzero_masks([]),
            TypeError,
            r"params must be a module or tensors by name, got \[\]",
        ),
        (lambda: pm.nonzero_masks({"w": SPARSE}), TypeError, r"params\['w'\] must be a dense"),
        (lambda: pm.top([1.0], 1), TypeError, "scores must be tensors by name"),
        (
            lambda: pm.top({"w": [1.0]}, 1),
            TypeError,
            r"scores\['w'\] must be a tensor, got \[1.0\]",
        ),
        (lambda: pm.top({"w": EYE}, 1), TypeError, r"scores\['w'\] must hold real numbers.*bool"),
        (
            lambda: pm.top({"w": EYE.cfloat()}, 1),
            TypeError,
            r"scores\['w'\] must be a dense tensor of real",
        ),
        (lambda: pm.top(WEIGHTS, "1"), TypeError, "keep must be an integer, got '1'"),
        (lambda: pm.with_biases({}, 3), ValueError, "rule must be one of 'incoming', 'outgoing'"),
        (lambda: pm.flatten([EYE]), TypeError, "masks must be tensors by name"),
        (lambda: pm.rows({}), ValueError, "stacked must hold at least one tensor"),
        (lambda: pm.rows({"w": torch.tensor(1)}), ValueError, "as many models as first axis"),
        (
            lambda: pm.rows({"v": torch.ones(2, 1), "w": torch.ones(3, 1)}),
            ValueError,
            r"as many models as first axis, got \{'v': \(2, 1\), 'w': \(3, 1\)\}",
        ),
        (lambda: pm.unflatten([1], {"w": (1,)}), TypeError, r"flat must be a tensor, got \[1\]"),
        (
            lambda: pm.unflatten(EYE[0], [(3,)]),
            TypeError,
            "shapes must be shapes by name",
        ),
        (lambda: pm.unflatten(EYE[0], {"w": 3}), TypeError, r"shapes\['w'\] must be a sequence"),
        (lambda: pm.unflatten(torch.tensor(1), {"w": ()}), ValueError, "1 entries, got a tensor"),
        (lambda: pm.make_permanent(None), TypeError, "model must be a torch.nn.Module, got None"),
        (
            lambda: pm.to_torch_prune({}, {}),
            TypeError,
            r"model must be a torch.nn.Module, got \{\}",
        ),
        (lambda: pm.from_torch_prune("m"), TypeError, "model must be a torch.nn.Module, got 'm'"),
    ],
)
def test_other_arguments_are_refused_by_name(
    call: Callable[[], object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        call()


def test_a_budget_may_be_a_numpy_integer() -> None:
    scores = {"w": torch.tensor([1.0, 3.0, 2.0])}
    assert pm.top(scores, np.int64(2))["w"].tolist() == [False, True, True]
