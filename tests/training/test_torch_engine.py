from __future__ import annotations

import pytest
import torch

from prunelimits.training import MLPEnsemble, Recipe, TorchEngine, evaluate, fit
from prunelimits.training import torch_engine as module
from prunelimits.training.plan import make_plan
from prunelimits.training.torch_engine import correct_samples, forward, sample_losses

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize("widths", [(2, 1), (3, 4, 2), (2, 5, 4, 3, 1)])
def test_forward_equals_single_models(widths: tuple[int, ...]) -> None:
    ensemble = MLPEnsemble(widths, 6, dtype=torch.float64)
    x = torch.linspace(-1, 1, 7 * widths[0], dtype=torch.float64).reshape(7, -1)
    outputs = forward(ensemble.params, x)
    assert outputs.shape == (6, 7, widths[-1])
    for member in range(6):
        torch.testing.assert_close(outputs[member], ensemble.member(member)[0](x))


@pytest.mark.parametrize(("allowed", "said"), [(True, "TF32"), (False, "no TF32")])
def test_the_name_tells_what_a_gpu_computes_with(
    allowed: bool, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = TorchEngine().name
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "NVIDIA H200")
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = allowed
    try:
        assert TorchEngine().name == f"{alone}, NVIDIA H200 {said}"
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before


def test_sample_losses_by_hand() -> None:
    log2, log3 = float(torch.tensor(2.0).log()), float(torch.tensor(3.0).log())
    logits = torch.tensor([[[0.0], [log3]], [[-log3], [0.0]]])
    labels = torch.tensor([1.0, 0.0])
    found = sample_losses(logits, labels, "binary_cross_entropy")
    torch.testing.assert_close(found, torch.tensor([[log2, 2 * log2], [2 * log2, log2]]))
    scores = torch.tensor([[[0.0, 0.0], [0.0, log3]]])
    found = sample_losses(scores, torch.tensor([0, 0]), "cross_entropy")
    torch.testing.assert_close(found, torch.tensor([[log2, 2 * log2]]))
    found = sample_losses(scores * 0, torch.tensor([[1.0, 3.0], [0.0, 2.0]]), "mse")
    assert found.tolist() == [[5.0, 2.0]]


def test_correct_samples_by_hand() -> None:
    logits = torch.tensor([[[0.1], [0.0], [-0.1], [NAN], [INF], [-INF]]])
    for label, right in ((0.0, [0, 1, 1, 0, 0, 0]), (1.0, [1, 0, 0, 0, 0, 0])):
        found = correct_samples(logits, torch.full((6,), label), "binary_cross_entropy")
        assert found.tolist() == [[bool(r) for r in right]]
    scores = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [NAN, 0.0], [1.0, -INF]]])
    for label, right in ((0, [1, 0, 1, 0, 0]), (1, [0, 1, 0, 0, 0])):
        found = correct_samples(scores, torch.full((5,), label), "cross_entropy")
        assert found.tolist() == [[bool(r) for r in right]]
    assert correct_samples(scores, torch.zeros(5, 2), "mse").isnan().all()


@pytest.mark.parametrize("numbers", [1, 40, 1000])
def test_evaluation_in_parts_is_evaluation_at_once(
    monkeypatch: pytest.MonkeyPatch, numbers: int
) -> None:
    ensemble = MLPEnsemble((2, 4, 1), 3, dtype=torch.float64)
    x = torch.linspace(-1, 1, 2 * 101, dtype=torch.float64).reshape(101, 2).sin()
    y = (x[:, 0] * 9).sin().gt(0).double()
    whole = evaluate(ensemble, x, y, engine=TorchEngine())
    monkeypatch.setattr(module, "_EVALUATION_NUMBERS", numbers)
    parts = evaluate(ensemble, x, y, engine=TorchEngine())
    torch.testing.assert_close(parts.loss, whole.loss, rtol=1e-13, atol=0)
    assert torch.equal(parts.accuracy, whole.accuracy)


def test_the_name_tells_what_results_depend_on() -> None:
    name = TorchEngine().name
    assert name.startswith(f"torch {torch.__version__} ")
    assert name.endswith(f" {torch.get_num_threads()} threads")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_trains_as_the_cpu_does() -> None:
    masks = {"layers.0.weight": torch.arange(40).reshape(5, 4, 2) % 3 > 0}
    x = torch.linspace(-2, 2, 2 * 60, dtype=torch.float64).reshape(60, 2).sin()
    y = (x.sum(1) > 0).double()
    recipe = Recipe(epochs=3, batch_size=16)
    cpu, gpu = (
        fit(
            MLPEnsemble((2, 4, 3, 1), 5, masks=masks, dtype=torch.float64, device=device),
            x,
            y,
            recipe,
            engine=TorchEngine(),
        )
        for device in ("cpu", "cuda")
    )
    assert gpu.ensemble.device.type == gpu.loss.device.type == "cuda"
    for name, value in cpu.ensemble.params.items():
        torch.testing.assert_close(gpu.ensemble.params[name].cpu(), value, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(gpu.loss.cpu(), cpu.loss)
    assert torch.equal(gpu.ensemble.nonzeros().cpu(), cpu.ensemble.nonzeros())
    assert gpu.ensemble.member(0)[0](x.cuda()).shape == (60, 1)


@pytest.mark.parametrize("samples", [20, 33, 200])
def test_steps_taken_while_they_are_recorded_are_forgotten(samples: int) -> None:
    # A GPU takes some before the first one counts, whatever the size of the data.
    ensemble = MLPEnsemble((2, 4, 1), 3, dtype=torch.float64)
    x = torch.linspace(-1, 1, 2 * samples, dtype=torch.float64).reshape(samples, 2).sin()
    y = (x[:, 0] * 9).sin().gt(0).double()
    plan = make_plan([Recipe(epochs=2, batch_size=16)] * 3, samples, loss="binary_cross_entropy")
    expected = TorchEngine().train(ensemble, x, y, plan)
    steps = module._Steps(ensemble, x, y, plan)
    for _ in range(module._WARM_UP + 1):
        steps.take()
    steps.begin(ensemble)
    for epoch in range(2):
        steps.begin_epoch(plan.order(epoch), plan.lr[epoch], place=0)
        for _ in range(plan.steps_per_epoch):
            steps.take()
    for name, value in expected.params.items():
        assert torch.equal(steps.params[name], value)
        assert torch.equal(steps.momentum[name], expected.momentum[name])
