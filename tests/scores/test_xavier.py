from __future__ import annotations

import pytest
import torch
from scipy import stats
from torch import nn

from prunelimits.scores import snip, xavier_normal

from .cases import CASES, flat, noise_for


@pytest.mark.parametrize("shape", [(30, 50), (8, 4, 3, 5), (6, 10, 7)])
def test_weights_are_distributed_as_torch_s(shape: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(0)
    weight = torch.empty(shape)
    noise = {"weight": torch.rand(shape, generator=generator)}
    masks = {"weight": torch.ones(shape, dtype=torch.bool)}
    found = xavier_normal({"weight": weight}, masks, noise)["weight"].flatten()
    fan_in, fan_out = nn.init._calculate_fan_in_and_fan_out(weight)
    scale = (2 / (fan_in + fan_out)) ** 0.5
    assert stats.kstest(found.numpy(), "norm", args=(0, scale)).pvalue > 0.01
    expected = stats.norm.ppf(noise["weight"].double().numpy().ravel()) * scale
    torch.testing.assert_close(found, torch.from_numpy(expected).float())


def test_ends_of_the_noise_are_finite() -> None:
    masks = {"weight": torch.ones(1, 3, dtype=torch.bool)}
    for last in (1 - 2**-24, 1 - 2**-53):
        noise = {"weight": torch.tensor([[0.0, 0.5, last]], dtype=torch.float64)}
        found = xavier_normal({"weight": torch.zeros(1, 3)}, masks, noise)["weight"]
        assert found.isfinite().all()
        assert found[0, 0] < -3 < 3 < found[0, 2]


def test_snip_scores_the_fresh_start() -> None:
    case = CASES["perceptron"]()
    noise = noise_for(case.masks)
    fresh = xavier_normal(case.params, case.masks, noise)
    assert torch.equal(fresh["layers.0.bias"], case.params["layers.0.bias"])
    assert (flat({n: fresh[n] for n in case.masks}) != flat(case.weights())).all()
    found = snip(case.problem, case.params, case.masks, noise, xavier=True)
    assert torch.equal(flat(found), flat(snip(case.problem, fresh, case.masks)))


def test_a_weight_of_one_axis() -> None:
    masks = {"bias": torch.ones(3, dtype=torch.bool)}
    with pytest.raises(ValueError, match=r"'bias' must have two or more axes, got shape \(3,\)"):
        xavier_normal({"bias": torch.zeros(3)}, masks, {"bias": torch.rand(3)})
