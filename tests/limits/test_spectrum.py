from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.sparse.linalg import eigsh

from prunelimits.limits import (
    Estimate,
    Hessian,
    LanczosState,
    Spectrum,
    direction_spectrum,
    exact_spectrum,
    lanczos_cost,
    lanczos_spectrum,
    load_state,
    save_state,
    top_eigenvalues,
)
from prunelimits.limits.spectrum import random_signs
from tests.limits.conftest import Case


def test_the_exact_spectrum_is_that_of_the_dense_matrix(case: Case):
    values = torch.linalg.eigvalsh(case.dense())
    spectrum = exact_spectrum(case.hessian())
    torch.testing.assert_close(spectrum.nodes[0], values, rtol=1e-8, atol=1e-12)
    assert spectrum.size == len(values)
    assert spectrum.trace() == pytest.approx((float(values.sum()), 0.0), rel=1e-10)
    assert spectrum.absolute_trace() == pytest.approx((float(values.abs().sum()), 0.0), rel=1e-10)


def test_lanczos_quadrature_is_hutchinsons_estimate_of_every_low_moment(case: Case):
    """For the same probes it equals the mean of v^T A^k v / v^T v, exactly."""
    hessian, dense = case.hessian(), case.dense()
    spectrum = lanczos_spectrum(hessian, probes=5, steps=4, seed=3)
    signs = random_signs(5, hessian.size, 3).double()
    power = signs
    for degree in range(8):
        rows = (signs * power).sum(1) / hessian.size
        expected = Estimate(float(rows.mean()), float(rows.std()) / math.sqrt(5))
        assert spectrum.mean(lambda x, k=degree: x**k) == pytest.approx(expected, rel=1e-7)
        power = power @ dense


def test_estimates_lie_within_their_errors_of_the_truth(mlp: Case):
    hessian, exact = mlp.hessian(), exact_spectrum(mlp.hessian())
    far: list[float] = []
    for seed in range(20):
        spectrum = lanczos_spectrum(hessian, probes=6, steps=30, seed=seed)
        for name in ("trace", "absolute_trace"):
            estimate, truth = getattr(spectrum, name)(), getattr(exact, name)().value
            assert estimate.error > 0
            far.append(abs(estimate.value - truth) / estimate.error)
    # Student's t with five degrees of freedom, 40 draws: 2.57 is passed twice on average.
    assert max(far) < 8
    assert sum(value < 2.57 for value in far) >= 33


def test_a_probe_does_not_depend_on_the_others(mlp: Case):
    few, many = (lanczos_spectrum(mlp.hessian(), probes=n, steps=9) for n in (2, 4))
    torch.testing.assert_close(few.nodes, many.nodes[:2], rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(few.weights, many.weights[:2], rtol=1e-7, atol=1e-12)
    assert set(random_signs(3, 50, 0).unique().tolist()) == {-1, 1}
    other = lanczos_spectrum(mlp.hessian(), probes=2, steps=9, seed=1)
    assert not torch.allclose(few.nodes, other.nodes)
    again = lanczos_spectrum(mlp.hessian(), probes=2, steps=9)
    assert torch.equal(few.nodes, again.nodes)


def test_extreme_nodes_are_eigenvalues(case: Case):
    values = torch.linalg.eigvalsh(case.dense())
    spectrum = lanczos_spectrum(case.hessian(), probes=1, steps=40)
    assert float(spectrum.nodes.max()) == pytest.approx(float(values.max()), rel=1e-8)
    assert math.isnan(spectrum.trace().error)


def test_without_reorthogonalisation_sums_are_the_same(case: Case):
    full, cheap = (
        lanczos_spectrum(case.hessian(), probes=3, steps=30, reorthogonalize=r)
        for r in (True, False)
    )
    for function in (torch.square, lambda x: torch.exp(-x), lambda x: 1 / (x + 1)):
        assert tuple(full.mean(function)) == pytest.approx(tuple(cheap.mean(function)), rel=1e-8)


@pytest.mark.parametrize("count", [1, 4])
def test_top_eigenvalues(case: Case, count: int):
    values = torch.linalg.eigvalsh(case.dense())
    expected = values[values.abs().argsort(descending=True)][:count]
    found = top_eigenvalues(case.hessian(), count)
    torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-10)


def test_scipy_finds_the_same_ends(mlp: Case):
    operator = mlp.hessian().to_scipy()
    start = np.ones(operator.shape[0])
    ends = np.sort(eigsh(operator, k=6, which="BE", v0=start, return_eigenvectors=False))
    nodes = lanczos_spectrum(mlp.hessian(), probes=1, steps=57).nodes[0].numpy()
    np.testing.assert_allclose(nodes[-3:], ends[-3:], rtol=1e-8)
    np.testing.assert_allclose(nodes[:3], ends[:3], rtol=1e-6)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of its own dependencies
def test_curvlinops_has_the_same_operator_and_trace():
    curvlinops = pytest.importorskip("curvlinops")
    from torch import nn

    from tests.limits.conftest import batches_of, seeded

    generator = torch.Generator().manual_seed(2)
    x = torch.randn(37, 2, 6, 6, generator=generator, dtype=torch.float64)
    y = torch.randint(0, 3, (37,), generator=generator)
    model = seeded(
        lambda: nn.Sequential(
            *(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(12, 3))
        )
    )
    case = Case(model, nn.functional.cross_entropy, batches_of(x, y))
    loss = nn.CrossEntropyLoss()
    params = list(model.parameters())
    theirs = curvlinops.HessianLinearOperator(model, loss, params, case.batches)
    ours = case.hessian()
    v = random_signs(3, ours.size, 0).double()
    torch.testing.assert_close(ours.product(v), (theirs @ v.T).T, rtol=1e-9, atol=1e-12)
    trace = float(torch.trace(theirs @ torch.eye(ours.size, dtype=torch.float64)))
    assert exact_spectrum(ours).trace().value == pytest.approx(trace, rel=1e-9)


@pytest.mark.parametrize(("steps", "reorthogonalize"), [(5, True), (200, True), (5, False)])
def test_the_cost_is_told_beforehand(mlp: Case, steps: int, reorthogonalize: bool):
    hessian = mlp.hessian()
    cost = lanczos_cost(hessian, probes=3, steps=steps, reorthogonalize=reorthogonalize)
    kept: list[int] = []
    lanczos_spectrum(
        hessian,
        probes=3,
        steps=steps,
        reorthogonalize=reorthogonalize,
        on_step=lambda state: kept.append(state.basis.nbytes),
    )
    # Without reorthogonalisation the third vector is the product's.
    assert cost.bytes == max(kept) * (1 if reorthogonalize else 1.5)
    assert cost.seconds > 0


def test_a_cost_of_nothing_is_refused(mlp: Case):
    for options in ({"steps": 0}, {"probes": 0}):
        with pytest.raises(ValueError, match="must be at least 1, got 0"):
            lanczos_cost(mlp.hessian(), **options)


def test_the_density_is_a_density_with_the_spectrums_moments(mlp: Case):
    spectrum = lanczos_spectrum(mlp.hessian(), probes=3, steps=20)
    low, high = float(spectrum.nodes.min()) - 1, float(spectrum.nodes.max()) + 1
    points = torch.linspace(low, high, 20001, dtype=torch.float64)
    density = spectrum.density(points, width=0.02)
    assert (density >= 0).all()
    assert float(torch.trapezoid(density, points)) == pytest.approx(1, rel=1e-8)
    first = torch.trapezoid(density * points, points)
    second = torch.trapezoid(density * points**2, points)
    assert float(first) == pytest.approx(spectrum.mean(lambda x: x).value, rel=1e-6)
    # A Gaussian adds its variance.
    expected = spectrum.mean(lambda x: x**2).value + 0.02**2
    assert float(second) == pytest.approx(expected, rel=1e-6)
    # Any grid will do.
    somewhere = torch.tensor([[0.0, 0.1], [0.3, -0.2]])
    grid = spectrum.density(somewhere, width=0.02)
    assert grid.shape == (2, 2)
    one = spectrum.density(torch.tensor([0.3]), width=0.02)
    assert float(grid[1, 0]) == pytest.approx(float(one), rel=1e-12)


def test_flattened_and_zero_mass():
    spectrum = Spectrum.of_eigenvalues(torch.tensor([-3.0, 0.5, 4.0]))
    assert spectrum.flattened().trace().value == pytest.approx(4.5)
    assert spectrum.flattened().size == 3
    half = spectrum.with_zero_mass(0.5)
    assert half.trace().value == pytest.approx(0.75)
    assert half.mean(lambda x: (x == 0).double()).value == pytest.approx(0.5)
    torch.testing.assert_close(half.weights.sum(1), torch.ones(1).double())


def test_the_spectral_measure_of_a_direction(mlp: Case):
    dense = mlp.dense()
    direction = torch.linspace(-1, 1, 57, dtype=torch.float64)
    measure = direction_spectrum(mlp.hessian(), direction)
    unit = direction / direction.norm()
    inverse = torch.linalg.inv(dense @ dense + torch.eye(57).double())
    assert measure.mean(lambda x: x).value == pytest.approx(float(unit @ dense @ unit), rel=1e-9)
    found = measure.mean(lambda x: 1 / (x * x + 1)).value
    assert found == pytest.approx(float(unit @ inverse @ unit), rel=1e-9)


def test_an_interrupted_spectrum_is_resumed(mlp: Case, tmp_path):
    path = tmp_path / "state.pt"
    undisturbed = lanczos_spectrum(mlp.hessian(), probes=2, steps=12)

    class Interruption(Exception):
        pass

    def save_and_fall(state: LanczosState) -> None:
        save_state(state, path)
        if state.steps == 7:
            raise Interruption

    with pytest.raises(Interruption):
        lanczos_spectrum(mlp.hessian(), probes=2, steps=12, on_step=save_and_fall)
    state = load_state(path)
    resumed = lanczos_spectrum(mlp.hessian(), probes=2, steps=12, resume=state)
    assert torch.equal(resumed.nodes, undisturbed.nodes)
    assert torch.equal(resumed.weights, undisturbed.weights)
    for options, message in (
        ({"seed": 1}, "resume must be of the same seed, network and data"),
        ({"probes": 3}, r"resume must have a basis \(3, 8, 57\)"),
        ({"steps": 6}, "at most 6 steps"),
        ({"reorthogonalize": False}, r"resume must have a basis \(2, 2, 57\)"),
    ):
        arguments = {"probes": 2, "steps": 12, "resume": state, **options}
        with pytest.raises(ValueError, match=message):
            lanczos_spectrum(mlp.hessian(), **arguments)
    with torch.no_grad():
        mlp.model[0].weight.mul_(2)
    with pytest.raises(ValueError, match="resume must be of the same seed, network and data"):
        lanczos_spectrum(mlp.hessian(), probes=2, steps=12, resume=state)


@pytest.mark.parametrize("content", [b"", b"no file of torch's", None])
def test_damaged_states_are_told(content: bytes | None, tmp_path):
    path = tmp_path / "state.pt"
    if content is None:
        torch.save({"diagonal": torch.zeros(2, 3)}, path)
    else:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=r"state\.pt is damaged or no"):
        load_state(path)
    with pytest.raises(FileNotFoundError):
        load_state(tmp_path / "none.pt")


def test_more_steps_than_rows_are_not_taken():
    case_hessian = Case(torch.nn.Linear(1, 1), torch.nn.functional.mse_loss, [])
    x = torch.ones(2, 1)
    case = Case(case_hessian.model, case_hessian.loss, [(x, x)])
    assert lanczos_spectrum(case.hessian(), probes=1, steps=50).nodes.shape == (1, 2)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda h: lanczos_spectrum(h, probes=0), ValueError, "probes must be at least 1, got 0"),
        (lambda h: lanczos_spectrum(h, steps=0), ValueError, "steps must be at least 1, got 0"),
        (lambda h: lanczos_spectrum(h, steps=2.0), TypeError, "steps must be an integer"),
        (lambda h: top_eigenvalues(h, 57), ValueError, "count must be below the size 57, got 57"),
        (lambda h: top_eigenvalues(h, 0), ValueError, "count must be at least 1, got 0"),
        (
            lambda h: exact_spectrum(h).density(torch.zeros(1), 0.0),
            ValueError,
            r"width must be above 0, got 0\.0",
        ),
        (
            lambda h: exact_spectrum(h).with_zero_mass(1.0),
            ValueError,
            r"fraction must be at least 0 and below 1, got 1\.0",
        ),
        (
            lambda _: Spectrum.of_eigenvalues(torch.zeros(0)),
            ValueError,
            r"eigenvalues must be \(size,\), got \(0,\)",
        ),
        (
            lambda _: Spectrum.of_eigenvalues(torch.tensor([1.0, math.nan])),
            ValueError,
            "eigenvalues must be finite",
        ),
    ],
)
def test_bad_arguments(call, error: type[Exception], message: str, mlp: Case):
    hessian: Hessian = mlp.hessian()
    with pytest.raises(error, match=message):
        call(hessian)
