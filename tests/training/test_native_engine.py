"""The native engine against the torch engine in float64, and what it promises beyond it."""

from __future__ import annotations

import _thread
import ctypes
import re
import signal
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ks_2samp
from torch import Tensor

from prunelimits.datasets import cubist_spiral
from prunelimits.models.mlp import parameter_shapes
from prunelimits.training import engines, native_engine
from prunelimits.training.engine import Loss, Plan
from prunelimits.training.ensemble import MLPEnsemble
from prunelimits.training.native import library
from prunelimits.training.native_engine import NativeEngine, usable_threads
from prunelimits.training.torch_engine import TorchEngine

LOADED = library.load()
KERNELS = LOADED.kernels() if LOADED else []
needs_library = pytest.mark.skipif(
    not KERNELS, reason="prunelimits was installed without its native engine"
)
LOSSES: tuple[Loss, ...] = ("binary_cross_entropy", "cross_entropy", "mse")
# float32 against float64 after a few steps: rounding of sums over a batch, carried by momentum.
CLOSE = {"rtol": 2e-5, "atol": 2e-6}


@pytest.fixture(params=KERNELS)
def engine(request, monkeypatch):
    """The engine with each instruction set of this machine, in two threads."""
    monkeypatch.setenv("PRUNELIMITS_ISA", request.param)
    return NativeEngine(threads=2)


def random_data(inputs: int, outputs: int, loss: Loss, samples: int, seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(samples, inputs, generator=generator)
    match loss:
        case "binary_cross_entropy":
            return x, (torch.rand(samples, generator=generator) > 0.4).float()
        case "cross_entropy":
            return x, torch.randint(outputs, (samples,), generator=generator)
        case "mse":
            return x, torch.randn(samples, outputs, generator=generator)


def random_ensemble(widths, models: int, seed: int = 0, density: float = 0.8) -> MLPEnsemble:
    """Members with masks of their own and momentum that is not zero."""
    generator = torch.Generator().manual_seed(seed)
    shapes = parameter_shapes(widths)
    masks = {n: torch.rand(models, *s, generator=generator) < density for n, s in shapes.items()}
    momentum = {n: 0.1 * torch.randn(models, *s, generator=generator) for n, s in shapes.items()}
    ensemble = MLPEnsemble(widths, models, seed=seed, masks=masks)
    return ensemble.replace(masks=masks, momentum=momentum)


def make_plan(
    ensemble: MLPEnsemble,
    samples: int,
    loss: Loss,
    *,
    batch_size: int = 20,
    epochs: int = 2,
    start: int = 0,
    stop: int | None = None,
    lr: float = 0.1,
    decay: float = 1e-2,
) -> Plan:
    """A plan whose numbers differ between members and epochs."""
    models, steps = len(ensemble), samples // batch_size
    spread = torch.linspace(0.5, 1.0, models, dtype=torch.float64)
    order = [torch.randperm(samples, generator=torch.Generator().manual_seed(e)) for e in range(9)]
    return Plan(
        loss=loss,
        batch_size=batch_size,
        steps_per_epoch=steps,
        lr=torch.stack([lr * spread / (1 + epoch) for epoch in range(epochs)]),
        momentum=0.9 * spread.flip(0),
        weight_decay=decay * spread,
        start=start,
        stop=epochs * steps if stop is None else stop,
        order=lambda epoch: order[epoch],
    )


def doubled(ensemble: MLPEnsemble) -> MLPEnsemble:
    params = {name: value.double() for name, value in ensemble.params.items()}
    momentum = {name: value.double() for name, value in ensemble.momentum.items()}
    result = MLPEnsemble.from_params(ensemble.widths, params, ensemble.masks)
    return result.replace(masks=ensemble.masks, momentum=momentum)


def double_targets(y: Tensor) -> Tensor:
    return y.double() if y.is_floating_point() else y


def assert_same(a: MLPEnsemble, b: MLPEnsemble) -> None:
    for name in a.params:
        assert torch.equal(a.params[name], b.params[name]), name
        assert torch.equal(a.momentum[name], b.momentum[name]), name


def assert_agrees(engine, ensemble, x, y, plan) -> None:
    """Training agrees with the torch engine's in float64."""
    native = engine.train(ensemble, x, y, plan)
    oracle = TorchEngine().train(doubled(ensemble), x.double(), double_targets(y), plan)
    for name in native.params:
        torch.testing.assert_close(native.params[name].double(), oracle.params[name], **CLOSE)
        torch.testing.assert_close(native.momentum[name].double(), oracle.momentum[name], **CLOSE)


@pytest.fixture
def heeded_interrupts():
    """What a shell runs in the background ignores them."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@needs_library
class TestTraining:
    @pytest.mark.parametrize("loss", LOSSES)
    @pytest.mark.parametrize(
        "hidden", [(), (1,), (7,), (3, 3, 3), (7, 3, 3), (16, 16, 16), (5, 1, 9, 2), (33,)]
    )
    def test_agrees_with_float64(self, engine, hidden, loss):
        outputs = 1 if loss == "binary_cross_entropy" else 3
        ensemble = random_ensemble((2, *hidden, outputs), models=17, density=0.9)
        x, y = random_data(2, outputs, loss, samples=70)
        assert_agrees(engine, ensemble, x, y, make_plan(ensemble, 70, loss))

    @settings(derandomize=True, max_examples=60)
    @given(
        widths=st.lists(st.integers(1, 11), min_size=2, max_size=6),
        models=st.integers(1, 35),
        batch_size=st.integers(1, 30),
        loss=st.sampled_from(LOSSES),
        kernel=st.sampled_from(KERNELS or [""]),
        seed=st.integers(0, 1000),
    )
    def test_agrees_for_any_shape(self, widths, models, batch_size, loss, kernel, seed):
        if loss == "binary_cross_entropy":
            widths[-1] = 1
        if loss == "cross_entropy":
            widths[-1] += 1
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PRUNELIMITS_ISA", kernel)
            engine = NativeEngine(threads=1)
        ensemble = random_ensemble(widths, models, seed)
        x, y = random_data(widths[0], widths[-1], loss, samples=40, seed=seed)
        plan = make_plan(
            ensemble,
            40,
            loss,
            batch_size=batch_size,
            epochs=1,
            stop=2 if batch_size < 14 else 1,
            lr=0.05,
        )
        assert_agrees(engine, ensemble, x, y, plan)

    # With one in fifty kept the engine works on what three members keep, with four in five on all.
    @pytest.mark.parametrize("density", [0.8, 0.02])
    @pytest.mark.parametrize(
        ("widths", "loss"),
        [
            ((3, 256, 2), "mse"),
            ((2, 200, 150, 1), "binary_cross_entropy"),
            ((2, 256, 256, 256, 1), "binary_cross_entropy"),
            ((300, 20, 40), "cross_entropy"),
        ],
    )
    def test_agrees_where_layers_are_wide(self, engine, widths, loss, density):
        ensemble = random_ensemble(widths, models=3, density=density)
        x, y = random_data(widths[0], widths[-1], loss, samples=256)
        plan = make_plan(ensemble, 256, loss, batch_size=128, epochs=1, lr=0.05)
        assert_agrees(engine, ensemble, x, y, plan)

    @settings(derandomize=True, max_examples=150)
    @given(
        widths=st.lists(st.integers(25, 75), min_size=3, max_size=4),
        density=st.floats(0.02, 0.3),
        batch_size=st.integers(1, 60),
        kernel=st.sampled_from(KERNELS or [""]),
        seed=st.integers(0, 1000),
    )
    def test_sparse_loops_give_the_same_bits(self, widths, density, batch_size, kernel, seed):
        """A sparse member beside dense ones, where all of a layer is worked on, and without."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PRUNELIMITS_ISA", kernel)
            engine = NativeEngine(threads=1)
        ensemble = random_ensemble(widths, models=2, seed=seed, density=density)
        masks = {name: mask.clone() for name, mask in ensemble.masks.items()}
        for mask in masks.values():
            mask[1] = True
        x, y = random_data(widths[0], widths[-1], "mse", samples=60, seed=seed)
        plan = make_plan(ensemble, 60, "mse", batch_size=batch_size, epochs=1, stop=1, lr=0.01)
        beside = engine.train(ensemble.replace(masks=masks), x, y, plan)
        alone = engine.train(ensemble[:1], x, y, plan.of(slice(1)))
        assert_same(alone, beside[:1])

    @pytest.mark.parametrize("models", [1, 15, 16, 17, 33])
    def test_a_member_does_not_depend_on_its_neighbours(self, engine, models):
        ensemble = random_ensemble((2, 7, 3, 3, 1), models=40)
        x, y = random_data(2, 1, "binary_cross_entropy", samples=70)
        plan = make_plan(ensemble, 70, "binary_cross_entropy")
        whole = engine.train(ensemble, x, y, plan)
        chosen = torch.randperm(40, generator=torch.Generator().manual_seed(1))[:models]
        part = plan.of(chosen)
        assert_same(engine.train(ensemble[chosen], x, y, part), whole[chosen])
        loss = "binary_cross_entropy"
        alone = engine.evaluate(ensemble[chosen], x, y, loss)
        together = engine.evaluate(ensemble, x, y, loss)
        assert torch.equal(alone.loss, together.loss[chosen])
        assert torch.equal(alone.accuracy, together.accuracy[chosen])

    # The second one's epochs are too long for one turn.
    @pytest.mark.parametrize("widths", [(2, 7, 3, 3, 1), (2, 64, 64, 1)])
    def test_threads_change_nothing(self, engine, monkeypatch, widths):
        monkeypatch.setenv("PRUNELIMITS_ISA", engine.name.split()[1])
        ensemble = random_ensemble(widths, models=100)
        x, y = random_data(2, 1, "binary_cross_entropy", samples=300)
        plan = make_plan(ensemble, 300, "binary_cross_entropy")
        one, two, three = (NativeEngine(n).train(ensemble, x, y, plan) for n in (1, 2, 3))
        assert_same(one, two)
        assert_same(one, three)

    @pytest.mark.parametrize("cut", [1, 3, 4, 7])
    def test_segments_are_the_whole(self, engine, cut):
        ensemble = random_ensemble((2, 5, 3, 1), models=9)
        x, y = random_data(2, 1, "binary_cross_entropy", samples=90)
        loss = "binary_cross_entropy"
        first = engine.train(ensemble, x, y, make_plan(ensemble, 90, loss, stop=cut))
        second = engine.train(first, x, y, make_plan(ensemble, 90, loss, start=cut))
        assert_same(second, engine.train(ensemble, x, y, make_plan(ensemble, 90, loss)))
        reset = first.without_momentum()
        other = engine.train(reset, x, y, make_plan(ensemble, 90, loss, start=cut))
        assert not torch.equal(other.params["layers.0.weight"], second.params["layers.0.weight"])

    def test_an_empty_segment_changes_nothing(self, engine):
        ensemble = random_ensemble((2, 5, 3, 1), models=9)
        x, y = random_data(2, 1, "mse", samples=90)
        assert_same(engine.train(ensemble, x, y, make_plan(ensemble, 90, "mse", stop=0)), ensemble)

    def test_short_calls_are_the_whole(self, engine, monkeypatch):
        ensemble = random_ensemble((2, 5, 3, 1), models=50)
        x, y = random_data(2, 1, "mse", samples=90)
        plan = make_plan(ensemble, 90, "mse")
        whole = engine.train(ensemble, x, y, plan)
        measured = engine.evaluate(ensemble, x, y, "mse")
        gradients = engine.gradients(ensemble, x, y, "mse")
        monkeypatch.setattr(native_engine, "_CALL_MULTIPLY_ADDS", 1)
        assert_same(engine.train(ensemble, x, y, plan), whole)
        assert torch.equal(engine.evaluate(ensemble, x, y, "mse").loss, measured.loss)
        for name, value in engine.gradients(ensemble, x, y, "mse").items():
            assert torch.equal(value, gradients[name])

    def test_its_input_stays(self, engine):
        ensemble = random_ensemble((2, 4, 1), models=5)
        before = random_ensemble((2, 4, 1), models=5)
        x, y = random_data(2, 1, "mse", samples=40)
        engine.train(ensemble, x, y, make_plan(ensemble, 40, "mse"))
        assert_same(ensemble, before)

    def test_calls_from_several_python_threads(self, engine):
        ensembles = [random_ensemble((2, 5, 3, 1), models=40, seed=seed) for seed in range(6)]
        x, y = random_data(2, 1, "mse", samples=400)

        def train(ensemble: MLPEnsemble) -> MLPEnsemble:
            return engine.train(ensemble, x, y, make_plan(ensemble, 400, "mse"))

        with ThreadPoolExecutor(6) as pool:
            for together, ensemble in zip(pool.map(train, ensembles), ensembles, strict=True):
                assert_same(together, train(ensemble))

    def test_is_interrupted(self, heeded_interrupts):
        engine = NativeEngine(threads=2)
        ensemble = MLPEnsemble((2, 64, 64, 1), models=512)
        x, y = random_data(2, 1, "mse", samples=50_000)
        plan = make_plan(ensemble, 50_000, "mse", batch_size=128, epochs=9)  # takes minutes
        begin = time.perf_counter()
        timer = threading.Timer(0.5, _thread.interrupt_main)
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            engine.train(ensemble, x, y, plan)
        assert time.perf_counter() - begin < 60


@needs_library
class TestEvaluation:
    @pytest.mark.parametrize("loss", LOSSES)
    @pytest.mark.parametrize("samples", [1, 7, 8, 1001])
    def test_agrees_with_float64(self, engine, loss, samples):
        outputs = 1 if loss == "binary_cross_entropy" else 4
        ensemble = random_ensemble((3, 6, 5, outputs), models=19)
        # Large weights, so that the exponentials meet large and small arguments.
        params = {name: 5 * value for name, value in ensemble.params.items()}
        ensemble = ensemble.replace(params=params, masks=ensemble.masks)
        x, y = random_data(3, outputs, loss, samples)
        native = engine.evaluate(ensemble, x, y, loss)
        oracle = TorchEngine().evaluate(doubled(ensemble), x.double(), double_targets(y), loss)
        torch.testing.assert_close(native.loss, oracle.loss, rtol=2e-6, atol=1e-6)
        assert native.loss.dtype == native.accuracy.dtype == torch.float64
        assert torch.equal(native.accuracy.isnan(), oracle.accuracy.isnan())
        assert torch.equal(native.accuracy.nan_to_num(), oracle.accuracy.nan_to_num())

    @pytest.mark.parametrize("label", [0.0, 1.0])
    def test_one_logit_to_float_precision(self, engine, label):
        # The logit is the bias, so the loss is log(1 + e^-z) or log(1 + e^z) itself.
        z = torch.cat([torch.linspace(-110, 110, 4001), torch.tensor([1e-8, -1e-8, 1e-3])])
        params = {"layers.0.weight": torch.zeros(len(z), 1, 1), "layers.0.bias": z.unsqueeze(1)}
        ensemble = MLPEnsemble.from_params((1, 1), params)
        x, y = torch.zeros(1, 1), torch.tensor([label])
        got = engine.evaluate(ensemble, x, y, "binary_cross_entropy")
        exact = np.logaddexp(0, (1 - 2 * label) * z.double().numpy())
        # Exponentials end at 2^-125, about 2e-38.
        np.testing.assert_allclose(got.loss.numpy(), exact, rtol=1e-5, atol=1e-37)
        near = z.abs().numpy() < 10
        np.testing.assert_allclose(got.loss.numpy()[near], exact[near], rtol=1.5e-6)
        gradient = engine.gradients(ensemble, x, y, "binary_cross_entropy")["layers.0.bias"]
        exact = (torch.sigmoid(z.double()) - label).numpy()
        np.testing.assert_allclose(gradient[:, 0].numpy(), exact, rtol=0, atol=2e-7)

    def test_labels_at_equal_outputs(self, engine):
        zero = {n: torch.zeros(1, *s) for n, s in parameter_shapes((2, 3)).items()}
        ensemble = MLPEnsemble.from_params((2, 3), zero)
        x, y = torch.zeros(4, 2), torch.tensor([0, 1, 2, 0])
        got = engine.evaluate(ensemble, x, y, "cross_entropy")
        assert float(got.accuracy) == 0.5  # the first of equal outputs is the answer
        assert float(got.loss) == pytest.approx(np.log(3), rel=1e-6)


@needs_library
class TestGradients:
    @pytest.mark.parametrize("loss", LOSSES)
    def test_pruned_weights_have_them_too(self, engine, loss):
        outputs = 1 if loss == "binary_cross_entropy" else 3
        ensemble = random_ensemble((2, 6, 7, outputs), models=21, density=0.6)
        x, y = random_data(2, outputs, loss, samples=203)
        native = engine.gradients(ensemble, x, y, loss)
        oracle = TorchEngine().gradients(doubled(ensemble), x.double(), double_targets(y), loss)
        assert list(native) == list(oracle)
        for name, value in native.items():
            torch.testing.assert_close(value.double(), oracle[name], **CLOSE)
        pruned = ~ensemble.masks["layers.1.weight"]
        assert native["layers.1.weight"][pruned].abs().max() > 1e-3


@needs_library
class TestNumbers:
    def test_denormals_are_zero_in_every_thread(self, engine, monkeypatch):
        monkeypatch.setenv("PRUNELIMITS_ISA", engine.name.split()[1])
        widths = (2, 3, 3, 1)
        tiny = {n: torch.full((1600, *s), 1e-39) for n, s in parameter_shapes(widths).items()}
        ensemble = MLPEnsemble.from_params(widths, tiny)
        assert ensemble.params["layers.0.weight"].min() > 0
        x, y = torch.zeros(2000, 2), torch.zeros(2000, 1)
        plan = make_plan(ensemble, 2000, "mse", epochs=1)
        trained = NativeEngine(threads=4).train(ensemble, x, y, plan)
        for name, value in trained.params.items():
            assert value.count_nonzero() == 0, name

    def test_the_callers_denormals_stay(self, engine):
        ensemble = random_ensemble((2, 3, 1), models=3)
        x, y = random_data(2, 1, "mse", samples=40)
        engine.train(ensemble, x, y, make_plan(ensemble, 40, "mse"))
        engine.evaluate(ensemble, x, y, "mse")
        assert np.float32(1e-39) * np.float32(0.5) > 0
        assert (torch.full((4,), 1e-39) * 0.5).min() > 0

    @pytest.mark.parametrize("loss", LOSSES)
    def test_divergence_is_neither_hidden_nor_right(self, engine, loss):
        outputs = 1 if loss == "binary_cross_entropy" else 3
        ensemble = random_ensemble((2, 5, 5, outputs), models=18, density=1.0)
        x, y = random_data(2, outputs, loss, samples=80)
        plan = make_plan(ensemble, 80, loss, epochs=9, lr=1.0)
        plan.lr[:, ::2] = 1e30
        trained = engine.train(ensemble, x, y, plan)
        finite = torch.stack([v.flatten(1).isfinite().all(1) for v in trained.params.values()])
        assert not finite.all(0)[::2].any()
        # Neighbours in the same vector train on as if alone.
        alone = plan.of(slice(1, None, 2))
        assert_same(engine.train(ensemble[1::2], x, y, alone), trained[1::2])

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
    def test_outputs_that_are_not_finite_are_wrong(self, engine, value):
        for outputs, loss in ((1, "binary_cross_entropy"), (3, "cross_entropy")):
            params = {n: torch.zeros(2, *s) for n, s in parameter_shapes((2, 3, outputs)).items()}
            params[f"layers.{1}.bias"][0, 0] = value
            ensemble = MLPEnsemble.from_params((2, 3, outputs), params)
            x = torch.zeros(outputs + 1, 2)
            y = torch.arange(outputs + 1) % max(outputs, 2)
            y = y.float() if outputs == 1 else y
            got = engine.evaluate(ensemble, x, y, loss)
            assert got.accuracy[0] == 0
            assert got.accuracy[1] > 0
            oracle = TorchEngine().evaluate(ensemble, x, y, loss)
            assert torch.equal(got.accuracy, oracle.accuracy)

    def test_nan_reaches_the_parameters(self, engine):
        ensemble = random_ensemble((2, 3, 3, 1), models=2, density=1.0)
        params = {name: value.clone() for name, value in ensemble.params.items()}
        params["layers.0.weight"][0, 1, 0] = float("nan")
        ensemble = ensemble.replace(params=params)
        x, y = random_data(2, 1, "binary_cross_entropy", samples=40)
        plan = make_plan(ensemble, 40, "binary_cross_entropy")
        trained = engine.train(ensemble, x, y, plan)
        assert trained.params["layers.2.bias"][0].isnan().all()
        assert trained.params["layers.2.bias"][1].isfinite().all()

    def test_pruned_parameters_stay_zero(self, engine):
        ensemble = random_ensemble((2, 6, 6, 1), models=20, density=0.5)
        x, y = random_data(2, 1, "binary_cross_entropy", samples=80)
        trained = engine.train(ensemble, x, y, make_plan(ensemble, 80, "binary_cross_entropy"))
        for name, mask in ensemble.masks.items():
            assert trained.params[name][~mask].count_nonzero() == 0
            assert trained.momentum[name][~mask].count_nonzero() == 0
            assert trained.params[name][mask].count_nonzero() > 0


@needs_library
class TestSettings:
    def test_instruction_set_from_the_environment(self, monkeypatch):
        for kernel in KERNELS:
            monkeypatch.setenv("PRUNELIMITS_ISA", kernel)
            assert NativeEngine().name == f"native {kernel}"
        monkeypatch.setenv("PRUNELIMITS_ISA", "abacus")
        with pytest.raises(ValueError, match=r"PRUNELIMITS_ISA must be one of .* got 'abacus'"):
            NativeEngine()

    def test_threads(self, monkeypatch):
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
        monkeypatch.delenv("PRUNELIMITS_THREADS", raising=False)
        cores = usable_threads()
        assert cores >= 1
        monkeypatch.setenv("OMP_NUM_THREADS", "1")
        assert usable_threads() == 1
        monkeypatch.setenv("PRUNELIMITS_THREADS", str(10**6))
        assert usable_threads() == cores
        assert NativeEngine().threads == cores
        assert NativeEngine(threads=3).threads == 3
        assert NativeEngine(threads=np.int64(3)).threads == 3
        with pytest.raises(ValueError, match="threads must be at least 1, got 0"):
            NativeEngine(threads=0)
        for wrong in (1.5, True, "2"):
            with pytest.raises(TypeError, match=f"threads must be an integer, got {wrong!r}"):
                NativeEngine(threads=wrong)
        monkeypatch.setenv("PRUNELIMITS_THREADS", "many")
        with pytest.raises(ValueError, match=r"PRUNELIMITS_THREADS must be .* got 'many'"):
            NativeEngine()

    @pytest.mark.parametrize("text", ["1,2", "1", " 1 ", "1,", "1, 4,2"])
    def test_the_first_number_of_openmps_list_counts(self, text, monkeypatch):
        monkeypatch.delenv("PRUNELIMITS_THREADS", raising=False)
        monkeypatch.setenv("OMP_NUM_THREADS", text)
        assert usable_threads() == 1

    @pytest.mark.parametrize("text", ["", "  "])
    def test_an_empty_variable_says_nothing(self, text, monkeypatch):
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
        monkeypatch.delenv("PRUNELIMITS_THREADS", raising=False)
        cores = usable_threads()
        for name in ("PRUNELIMITS_THREADS", "OMP_NUM_THREADS"):
            monkeypatch.setenv(name, text)
        assert usable_threads() == cores

    @pytest.mark.parametrize("name", ["PRUNELIMITS_THREADS", "OMP_NUM_THREADS"])
    @pytest.mark.parametrize("text", ["0", "-1", "1.5", "abc", ",2", "²", "0,4"])
    def test_a_variable_that_makes_no_sense_is_named(self, name, text, monkeypatch):
        monkeypatch.delenv("PRUNELIMITS_THREADS", raising=False)
        monkeypatch.setenv(name, text)
        with pytest.raises(ValueError, match=f"{name} must be a positive integer, got '{text}'"):
            usable_threads()

    def test_supports(self):
        engine = NativeEngine()
        assert engine.supports(MLPEnsemble((900, 256, 300), models=1))
        assert not engine.supports(MLPEnsemble((2, 257, 1), models=1))
        assert not engine.supports(MLPEnsemble((2, 3, 1), models=1, dtype=torch.float64))

    def test_is_the_default(self):
        assert isinstance(engines.default_engine(MLPEnsemble((2, 3, 1), models=2)), NativeEngine)
        wide = MLPEnsemble((2, 300, 1), models=2)
        assert isinstance(engines.default_engine(wide), TorchEngine)

    @pytest.mark.parametrize("kernel", KERNELS)
    def test_peak_counts_multiply_adds(self, kernel):
        assert LOADED is not None
        begin = time.perf_counter()
        rate = LOADED.peak(kernel, threads=1, rounds=100_000)
        seconds = time.perf_counter() - begin
        # Twelve vectors a round, and calling it takes a moment too.
        assert rate * seconds >= 12 * LOADED.lanes(kernel) * 100_000
        # Not more than 64 numbers a cycle at 10 GHz.
        assert rate < 64e10


def test_a_library_that_was_built_of_these_sources_is_used():
    if not list(Path(library.__file__).parent.glob("_engine.*")):
        pytest.skip("installed without the native engine")
    assert library.why_absent() == ""
    assert isinstance(library.load(), library.Library)


@needs_library
class TestALibraryOfOtherSources:
    """Such as one that an older version left behind."""

    @pytest.fixture
    def path(self):
        return next(Path(library.__file__).parent.glob("_engine.*"))

    def test_another_interface_is_refused(self, path, monkeypatch):
        monkeypatch.setattr(library, "_INTERFACE", library._INTERFACE + 1)
        with pytest.raises(OSError, match="was built from other sources: install the package"):
            library.Library(path)

    @pytest.mark.parametrize("structure", [library._Problem, library._Training])
    @pytest.mark.parametrize("change", ["wider", "missing", "more"])
    def test_another_layout_is_refused(self, path, structure, change, monkeypatch):
        fields = list(structure._fields_)
        if change == "wider":
            fields[1] = (fields[1][0], ctypes.c_char * 16)
        elif change == "missing":
            fields.pop()
        else:
            fields.append(("another", ctypes.c_int64))
        other = type("Other", (ctypes.Structure,), {"_fields_": fields})
        monkeypatch.setattr(library, structure.__name__, other)
        with pytest.raises(OSError, match="was built from other sources"):
            library.Library(path)

    @pytest.mark.parametrize("structure", [library._Problem, library._Training])
    def test_the_header_has_the_same_fields(self, structure):
        """By name too: two of one size that change places have the same layout."""
        header = Path(library.__file__).with_name("interface.hpp").read_text()
        body = re.search(rf"struct {structure.__name__[1:]} {{(.*?)}};", header, re.DOTALL)
        assert body
        kinds = {
            "Problem": library._Problem,
            "const char*": ctypes.c_char_p,
            "int64_t": ctypes.c_int64,
            "int32_t": ctypes.c_int32,
        }
        fields = re.findall(r"^  ([\w *]+?[* ])(\w+);", body[1], re.MULTILINE)
        found = [(name, kinds.get(kind.strip(), ctypes.c_void_p)) for kind, name in fields]
        assert found == list(structure._fields_)

    def test_it_is_left_alone_with_a_word(self, monkeypatch):
        monkeypatch.setattr(library, "_INTERFACE", library._INTERFACE + 1)
        library._found.cache_clear()
        engines._notice.cache_clear()
        try:
            with pytest.warns(UserWarning, match=r"native engine \(.*built from other sources"):
                engine = engines.default_engine(MLPEnsemble((2, 3, 1), models=2))
            assert isinstance(engine, TorchEngine)
            with pytest.raises(RuntimeError, match="built from other sources"):
                NativeEngine()
        finally:
            library._found.cache_clear()
            engines._notice.cache_clear()

    def test_a_file_that_is_no_library_is_refused(self, tmp_path):
        (tmp_path / "_engine.so").write_bytes(b"not a library")
        with pytest.raises(OSError, match=r"_engine\.so"):
            library.Library(tmp_path / "_engine.so")


def test_without_the_library(monkeypatch):
    monkeypatch.setattr(library, "load", lambda: None)
    engines._notice.cache_clear()
    ensemble = MLPEnsemble((2, 3, 1), models=2)
    with pytest.warns(UserWarning, match="without its native engine.* install a C\\+\\+ compiler"):
        assert isinstance(engines.default_engine(ensemble), TorchEngine)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert isinstance(engines.default_engine(ensemble), TorchEngine)  # said once
    engines._notice.cache_clear()
    with pytest.raises(RuntimeError, match="native engine is not installed"):
        NativeEngine()


@pytest.fixture(scope="module")
def trained_by_torch():
    """512 networks, their data and plan, and their accuracies after training in torch."""
    x, y = cubist_spiral(6400)
    ensemble = MLPEnsemble((2, 7, 3, 3, 1), models=512, seed=0)
    order = [torch.randperm(6400, generator=torch.Generator().manual_seed(e)) for e in range(40)]
    cosine = (1 + torch.cos(torch.pi * torch.arange(40, dtype=torch.float64) / 40)) / 2
    plan = Plan(
        loss="binary_cross_entropy",
        batch_size=128,
        steps_per_epoch=50,
        lr=(0.1 * cosine).unsqueeze(1).expand(40, 512),
        momentum=torch.full((512,), 0.9, dtype=torch.float64),
        weight_decay=torch.full((512,), 5e-4, dtype=torch.float64),
        start=0,
        stop=40 * 50,
        order=lambda epoch: order[epoch],
    )
    engine = TorchEngine()
    trained = engine.train(ensemble, x, y, plan)
    accuracy = engine.evaluate(trained, x, y, plan.loss).accuracy.numpy()
    return ensemble, x, y, plan, accuracy


@pytest.mark.long
def test_accuracies_are_distributed_as_the_torch_engines(engine, trained_by_torch):
    """Equal seeds, trained until rounding has made many of them other networks."""
    ensemble, x, y, plan, reference = trained_by_torch
    trained = engine.train(ensemble, x, y, plan)
    accuracy = engine.evaluate(trained, x, y, plan.loss).accuracy.numpy()
    assert accuracy.std() > 0.02  # there is a distribution to compare
    assert (accuracy != reference).mean() > 0.2  # and its members are not simply the same
    assert ks_2samp(accuracy, reference).pvalue > 0.01
    # The pairs, which share initialisation and batches, must not drift to one side either.
    difference = accuracy - reference
    assert abs(difference.mean()) < 4 * difference.std() / np.sqrt(512) + 1e-4
