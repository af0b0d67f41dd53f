"""The networks of the papers: their sizes, their first weights, what the library does to them."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from prunelimits import masks as pm
from prunelimits import models
from prunelimits.connectivity import analyze, effective_masks
from prunelimits.limits import Hessian, default_names
from prunelimits.problem import problem_of
from prunelimits.pruners import LAMP, SmartRatio, prunable, prune

Make = Callable[..., nn.Module]

# Prunable weights, biases, and parameters of normalisation.
SIZES: dict[str, tuple[Make, int, int, int]] = {
    "FC5": (models.fc5, 3_883_000, 2_010, 0),
    "FC12": (models.fc12, 7_263_000, 6_610, 0),
    "MLPNet": (models.mlpnet, 784 * 40 + 40 * 20 + 20 * 10, 0, 0),
    "AlexNet": (models.alexnet, 46_778_400, 9_578, 0),
    "VGG16": (models.vgg16, 14_715_584, 4_234, 8_448),
    "ResNet-18": (models.resnet18, 11_210_432, 100, 9_600),
    "ResNet-18, 200 classes": (partial(models.resnet18, 200), 11_261_632, 200, 9_600),
    "ResNet-50": (models.resnet50, 23_652_032, 100, 53_120),
    "ResNet-50, 200 classes": (partial(models.resnet50, 200), 23_856_832, 200, 53_120),
    "ResNet-20": (models.resnet20, 268_336, 10, 1_376),
    "ResNet-20, projection": (partial(models.resnet20, projection=True), 270_896, 10, 1_568),
}

# Small variants and a batch's shape.
SMALL: dict[str, tuple[Make, tuple[int, ...]]] = {
    "MLPNet": (partial(models.mlpnet, 16, 3), (1, 4, 4)),
    "VGG16": (partial(models.vgg16, 3, channels=1, width=2), (1, 8, 8)),
    "ResNet-18": (partial(models.resnet18, 3, channels=1, width=2), (1, 8, 8)),
    "ResNet-50": (partial(models.resnet50, 3, channels=1, width=2), (1, 8, 8)),
    "ResNet-20": (partial(models.resnet20, 3, channels=1, width=2), (1, 8, 8)),
    "ResNet-20, odd": (partial(models.resnet20, 3, channels=2, width=3), (2, 7, 7)),
    "ResNet-20, projection": (
        partial(models.resnet20, 3, channels=1, width=2, projection=True),
        (1, 8, 8),
    ),
}


def sizes(model: nn.Module) -> tuple[int, int, int]:
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    normalisation = sum(p.numel() for norm in norms for p in norm.parameters())
    weights = pm.count(prunable(model))
    total = sum(p.numel() for p in model.parameters())
    return weights, total - weights - normalisation, normalisation


@pytest.mark.parametrize("name", SIZES)
@torch.no_grad()
def test_sizes_are_the_published_ones(name: str) -> None:
    make, *expected = SIZES[name]
    model = make()
    assert sizes(model) == tuple(expected)
    side = {"AlexNet": 224, "MLPNet": 28}.get(name, 32)
    classes = 200 if "200" in name else 100 if name in ("ResNet-18", "ResNet-50") else 10
    # Shapes alone.
    x = torch.zeros(2, 1 if name == "MLPNet" else 3, side, side, device="meta")
    assert model.to("meta")(x).shape == (2, classes)


@pytest.mark.parametrize("side", [1, 2, 7, 8, 28, 33])
@torch.no_grad()
def test_other_sizes_of_images(side: int) -> None:
    x = torch.zeros(2, 1, side, side)
    for make in (models.vgg16, models.resnet18, models.resnet20, models.resnet50):
        assert make(5, channels=1, width=2).eval()(x).shape == (2, 5)
    assert models.fc5(side**2, 5)(x).shape == (2, 5)


@pytest.mark.parametrize("name", SMALL)
def test_first_weights(name: str) -> None:
    make, _ = SMALL[name]
    state = torch.get_rng_state()
    model, same, other = make(seed=3), make(seed=3), make(seed=4)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(p.device.type == "cpu" and p.requires_grad for p in model.parameters())
    for first, second in zip(model.state_dict().values(), same.state_dict().values(), strict=True):
        assert torch.equal(first, second)
    weights = prunable(model)
    for n in weights:
        assert not torch.equal(model.get_parameter(n), other.get_parameter(n))
    for n, p in model.named_parameters():
        if n.endswith("bias"):
            assert not p.any()
        elif n not in weights:
            assert (p == 1).all()
    for n, buffer in model.named_buffers():
        assert (buffer == ("var" in n)).all()


@pytest.mark.parametrize("name", ["FC5", "VGG16", "ResNet-20"])
def test_weights_have_the_variance_two_over_fan_in(name: str) -> None:
    for weight in prunable(model := SIZES[name][0](seed=1)):
        values = model.get_parameter(weight).detach().double()
        expected = 2 / values[0].numel()
        # Four standard errors of the variance, and of the mean, of so many normal numbers.
        assert float(values.var()) == pytest.approx(expected, rel=4 * math.sqrt(2 / values.numel()))
        assert abs(float(values.mean())) < 4 * math.sqrt(expected / values.numel())


def reference_resnet(
    params: dict[str, Tensor], x: Tensor, stages: int, blocks: int, projection: bool
) -> Tensor:
    """A basic residual network by its formulas, in evaluation mode, block by block."""

    def normalised(x: Tensor, name: str) -> Tensor:
        scale, shift, mean, var = (
            params[f"{name}.{part}"].view(1, -1, 1, 1)
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        return (x - mean) / torch.sqrt(var + 1e-5) * scale + shift

    x = functional.conv2d(x, params["stem.0.weight"], padding=1)
    x = normalised(x, "stem.1").clamp(min=0)
    for stage in range(1, stages + 1):
        for block in range(blocks):
            name, stride = f"stage{stage}.{block}", 2 if stage > 1 and block == 0 else 1
            y = functional.conv2d(x, params[f"{name}.branch.0.weight"], padding=1, stride=stride)
            y = normalised(y, f"{name}.branch.1").clamp(min=0)
            y = functional.conv2d(y, params[f"{name}.branch.3.weight"], padding=1)
            y = normalised(y, f"{name}.branch.4")
            if stride == 2 and projection:
                x = functional.conv2d(x, params[f"{name}.shortcut.0.weight"], stride=2)
                x = normalised(x, f"{name}.shortcut.1")
            elif stride == 2:
                n, c, h, w = x.shape
                wide = torch.zeros(n, 2 * c, -(-h // 2), -(-w // 2))
                for channel in range(c):
                    wide[:, channel + c // 2] = x[:, channel, ::2, ::2]
                x = wide
            x = (x + y).clamp(min=0)
    return x.mean((2, 3)) @ params["linear.weight"].T + params["linear.bias"]


@pytest.mark.parametrize(
    ("make", "stages", "blocks", "projection"),
    [
        (models.resnet20, 3, 3, False),
        (partial(models.resnet20, projection=True), 3, 3, True),
        (models.resnet18, 4, 2, True),
    ],
)
@torch.no_grad()
def test_residual_networks_are_their_formulas(
    make: Make, stages: int, blocks: int, projection: bool
) -> None:
    model = make(4, channels=2, width=3).eval()
    generator = torch.Generator().manual_seed(0)
    for value in model.state_dict().values():
        if value.is_floating_point():
            value.add_(0.1 * torch.rand(value.shape, generator=generator))
    x = torch.randn(3, 2, 9, 9, generator=generator)
    expected = reference_resnet(model.state_dict(), x, stages, blocks, projection)
    torch.testing.assert_close(model(x), expected, rtol=1e-4, atol=1e-4)


def small_sparse(name: str, density: float) -> tuple[nn.Module, Tensor]:
    make, shape = SMALL[name]
    model = make(seed=0).double().eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in prunable(model):
            value = model.get_parameter(weight)
            value.mul_(torch.rand(value.shape, generator=generator) < density)
    return model, torch.randn(2, *shape, generator=generator, dtype=torch.float64)


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("density", [0.2, 0.6])
@torch.no_grad()
def test_connectivity_follows_them(name: str, density: float) -> None:
    model, x = small_sparse(name, density)
    kept = pm.nonzero_masks(dict(model.named_parameters()))
    effective = effective_masks(model, inputs=x)
    assert pm.count(effective) == analyze(model, inputs=x).effective_nonzeros
    assert all(not (effective[n] & ~kept[n]).any() for n in kept)
    # What carries nothing can go without any change.
    left = effective_masks(model, inputs=x, keep_constants=True)
    params = pm.apply(dict(model.named_parameters()), left)
    torch.testing.assert_close(torch.func.functional_call(model, params, (x,)), model(x))


@pytest.mark.long  # 23 million weights
@torch.no_grad()
def test_connectivity_follows_alexnet() -> None:
    model = models.alexnet(3, channels=1, image_size=65).eval()
    x = torch.zeros(1, 1, 65, 65)
    report = analyze(model, inputs=x)
    weights = sum(int((p != 0).sum()) for p in model.parameters() if p.dim() > 1)
    assert 0.9 * weights < report.effective_weights <= weights


@pytest.mark.parametrize("name", SMALL)
def test_their_hessian_is_symmetric_and_a_second_difference(name: str) -> None:
    model, x = small_sparse(name, 1.0)
    y = torch.tensor([0, 2])
    problem, params = problem_of(model, functional.cross_entropy, [(x, y)])
    names = default_names(model)
    assert pm.count(prunable(model)) <= sum(params[n].numel() for n in names)
    hessian = Hessian(problem, params, names)
    generator = torch.Generator().manual_seed(2)
    u, v = torch.randn(2, hessian.size, generator=generator, dtype=torch.float64)
    product = hessian @ v
    torch.testing.assert_close(u @ product, v @ (hessian @ u))

    def gradient(step: float) -> Tensor:
        moved = hessian_point(params, names, step * v)
        return Hessian(problem, moved, names).gradient()

    difference = (gradient(1e-6) - gradient(-1e-6)) / 2e-6
    torch.testing.assert_close(
        product, difference, rtol=1e-3, atol=1e-3 * float(product.abs().max())
    )


def hessian_point(params: dict[str, Tensor], names: list[str], step: Tensor) -> dict[str, Tensor]:
    parts = step.split([params[n].numel() for n in names])
    moved = {n: params[n] + s.view(params[n].shape) for n, s in zip(names, parts, strict=True)}
    return {**params, **moved}


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("pruner", [LAMP(), SmartRatio()])
def test_they_are_pruned_to_the_weight(name: str, pruner: LAMP | SmartRatio) -> None:
    model, x = small_sparse(name, 1.0)
    keep = pm.count(prunable(model)) // 4
    masks = prune(model, pruner, keep=keep, batches=[(x, torch.tensor([0, 1]))])
    assert pm.count(masks) == keep
    assert masks.keys() == prunable(model).keys()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: models.alexnet(image_size=64), "image_size must be at least 65, got 64"),
        (lambda: models.vgg16(width=0), "width must be at least 1, got 0"),
        (lambda: models.resnet20(classes=0), "classes must be at least 1, got 0"),
        (lambda: models.resnet50(channels=-1), "channels must be at least 1, got -1"),
        (lambda: models.fc12(inputs=0), "inputs must be at least 1, got 0"),
    ],
)
def test_sizes_out_of_range_are_refused(make: Make, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


@torch.no_grad()
def test_alexnet_of_other_images() -> None:
    model = models.alexnet(2, channels=1, image_size=100).to("meta")
    assert model(torch.zeros(1, 1, 100, 100, device="meta")).shape == (1, 2)
