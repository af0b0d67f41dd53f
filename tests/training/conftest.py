"""Every law of training holds for every engine: tests take `engine` and `supported`."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch

from prunelimits.training import AbstractEngine, MLPEnsemble, TorchEngine


@pytest.fixture(autouse=True, scope="package")
def one_torch_thread() -> Iterator[None]:
    """Tiny tensors gain nothing from threads, and on busy cores torch's wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(params=["torch", "native"])
def engine(request: pytest.FixtureRequest) -> AbstractEngine:
    if request.param == "torch":
        return TorchEngine()
    native = pytest.importorskip("prunelimits.training.native_engine")
    if not native.available():
        pytest.skip("installed without the native engine")
    return native.NativeEngine()


@pytest.fixture
def supported(engine: AbstractEngine) -> Callable[[MLPEnsemble], MLPEnsemble]:
    """Passes an ensemble through, or skips the test where the engine does not support it."""

    def passed(ensemble: MLPEnsemble) -> MLPEnsemble:
        if not engine.supports(ensemble):
            pytest.skip(f"{engine.name} does not support {ensemble}")
        return ensemble

    return passed
