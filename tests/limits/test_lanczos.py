from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from prunelimits.limits import LanczosState, Spectrum, lanczos, lanczos_start
from prunelimits.limits.lanczos import make_orthogonal


def matrix_of(eigenvalues: Tensor, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(len(eigenvalues), len(eigenvalues), generator=generator).double()
    axes, _ = torch.linalg.qr(noise)
    matrix = axes @ torch.diag(eigenvalues.double()) @ axes.T
    return (matrix + matrix.T) / 2


def starts(probes: int, size: int) -> Tensor:
    generator = torch.Generator().manual_seed(7)
    return torch.randn(probes, size, generator=generator, dtype=torch.float64)


@settings(max_examples=30)
@given(size=st.integers(1, 12), probes=st.integers(1, 3), seed=st.integers(0, 2**20))
def test_all_steps_give_all_eigenvalues_and_the_start_s_measure(size: int, probes: int, seed: int):
    generator = torch.Generator().manual_seed(seed)
    # Apart from each other, so that each has a node of its own.
    eigenvalues = torch.arange(size).double() - size / 2 + torch.rand(size, generator=generator) / 2
    matrix = matrix_of(eigenvalues, seed)
    v = starts(probes, size)
    nodes, weights = lanczos(lambda v: v @ matrix, lanczos_start(v), size).quadrature()
    values, axes = torch.linalg.eigh(matrix)
    measure = (v @ axes).square() / v.square().sum(1, keepdim=True)
    torch.testing.assert_close(nodes, values.expand(probes, size), rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(weights, measure, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("reorthogonalize", [True, False])
def test_k_steps_integrate_polynomials_below_degree_2k_exactly(reorthogonalize: bool):
    matrix = matrix_of(torch.linspace(-1, 2, 40))
    v = starts(2, 40)
    start = lanczos_start(v, reorthogonalize=reorthogonalize)
    nodes, weights = lanczos(lambda v: v @ matrix, start, 4).quadrature()
    unit = v / v.norm(dim=1, keepdim=True)
    power = unit
    for degree in range(8):
        expected = (unit * power).sum(1)
        moment = (weights * nodes**degree).sum(1)
        torch.testing.assert_close(moment, expected, rtol=1e-10, atol=1e-10)
        power = power @ matrix
    exact = (unit * power).sum(1)
    assert not torch.allclose((weights * nodes**8).sum(1), exact, rtol=1e-6)


def test_the_basis_is_orthonormal_and_tridiagonalises():
    matrix = matrix_of(10.0 ** torch.linspace(-6, 2, 60))
    state = lanczos(lambda v: v @ matrix, lanczos_start(starts(2, 60)), 50)
    for probe in range(2):
        basis = state.basis[probe, :50]
        torch.testing.assert_close(basis @ basis.T, torch.eye(50).double(), rtol=0, atol=1e-12)
        small = torch.diag(state.diagonal[probe])
        small += torch.diag(state.off_diagonal[probe, :-1], 1)
        small += torch.diag(state.off_diagonal[probe, :-1], -1)
        torch.testing.assert_close(basis @ matrix @ basis.T, small, rtol=0, atol=1e-10)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_basis_is_orthonormal_to_the_last_digits_in_hard_cases(dtype: torch.dtype):
    # One far eigenvalue that converges at once, and a Krylov space that ends after twenty steps.
    for eigenvalues in (
        torch.cat([torch.linspace(0, 1, 99), torch.tensor([1e4])]),
        torch.cat([torch.zeros(80), 10.0 ** torch.linspace(-3, 1, 20)]),
    ):
        matrix = matrix_of(eigenvalues).to(dtype)
        state = lanczos(lambda v: v @ matrix, lanczos_start(starts(2, 100).to(dtype)), 60)  # noqa: B023
        for basis in state.basis[:, :60].double():
            live = basis[basis.norm(dim=1) > 0]
            errors = live @ live.T - torch.eye(len(live)).double()
            assert float(errors.abs().max()) < 10 * torch.finfo(dtype).eps


def test_what_is_nearly_spanned_is_made_orthogonal_twice():
    basis, _ = torch.linalg.qr(starts(50, 20).clone())
    basis = basis.T.expand(2, 20, 50)
    noise = 1e-8 * starts(2, 50)
    vectors = torch.einsum("pk,pkn->pn", starts(2, 20), basis) + noise
    make_orthogonal(vectors, basis)
    parts = torch.einsum("pkn,pn->pk", basis, vectors).abs().amax(1)
    assert (parts < 1e-13 * vectors.norm(dim=1)).all()
    expected = noise - torch.einsum("pk,pkn->pn", torch.einsum("pkn,pn->pk", basis, noise), basis)
    torch.testing.assert_close(vectors, expected, rtol=1e-6, atol=1e-14)


def test_a_product_may_return_what_is_not_its_own():
    ones = torch.ones(1, 4, dtype=torch.float64)
    start = lanczos_start(starts(1, 4))
    for product in (lambda v: v, lambda _: ones):
        state = lanczos(product, start, 2)
        assert torch.equal(state.basis[:, 0], start.basis[:, 0])
    assert torch.equal(ones, torch.ones(1, 4, dtype=torch.float64))


def test_functions_that_write_to_what_they_are_given_change_nothing():
    start = lanczos_start(starts(1, 4))
    with pytest.raises(ValueError, match="product must not write to the vectors"):
        lanczos(lambda v: v.mul_(2), start, 2)
    spectrum = Spectrum.of_eigenvalues(torch.tensor([-1.0, 2.0, 5.0]))
    before = spectrum.nodes.clone()
    assert spectrum.mean(lambda v: v.abs_()).value == pytest.approx(8 / 3)
    assert torch.equal(spectrum.nodes, before)
    with pytest.raises(TypeError, match="function must be a dense tensor of real numbers"):
        spectrum.mean(lambda v: v * 1j)


def test_without_reorthogonalisation_copies_appear_but_sums_stay_right():
    # One far eigenvalue: it converges at once, and rounding brings it back again and again.
    matrix = matrix_of(torch.cat([torch.linspace(0, 1, 199), torch.tensor([1e4])]))
    v = starts(1, 200)
    found = {}
    for full in (True, False):
        state = lanczos(lambda v: v @ matrix, lanczos_start(v, reorthogonalize=full), 60)
        assert state.basis.shape == (1, 61 if full else 2, 200)
        found[full] = state.quadrature()
    assert int((found[True][0] > 1e3).sum()) == 1
    assert int((found[False][0] > 1e3).sum()) > 1
    values, axes = torch.linalg.eigh(matrix)
    exact = ((v @ axes).square() / v.square().sum() * (1 / (values + 0.1))).sum()
    for nodes, weights in found.values():
        assert float((weights / (nodes + 0.1)).sum()) == pytest.approx(float(exact), rel=1e-8)


def test_a_recurrence_goes_on_where_it_was():
    matrix = matrix_of(torch.linspace(-3, 5, 30))
    for full in (True, False):
        start = lanczos_start(starts(3, 30), reorthogonalize=full)
        whole = lanczos(lambda v: v @ matrix, start, 12)
        seen: list[int] = []

        def note(state: LanczosState, seen: list[int] = seen) -> None:
            seen.append(state.steps)
            assert state.basis.shape[1] == (state.steps + 1 if full else 2)  # noqa: B023

        part = lanczos(lambda v: v @ matrix, start, 5, on_step=note)
        part = lanczos(lambda v: v @ matrix, part, 7, on_step=note)
        assert seen == list(range(1, 13))
        for one, other in zip(whole, part, strict=True):
            assert torch.equal(one, other)


def test_a_krylov_space_that_ends_early_leaves_weight_zero():
    # Three distinct eigenvalues: three steps see everything.
    eigenvalues = torch.tensor([2.0] * 5 + [-1.0] * 5 + [0.5] * 5)
    matrix = matrix_of(eigenvalues)
    v = starts(2, 15)
    v[1] = torch.linalg.eigh(matrix).eigenvectors[:, 0]
    for full in (True, False):
        start = lanczos_start(v, reorthogonalize=full)
        nodes, weights = lanczos(lambda v: v @ matrix, start, 8).quadrature()
        torch.testing.assert_close(weights.sum(1), torch.ones(2).double())
        for row, weight, expected in zip(nodes, weights, ((-1, 0.5, 2), (-1,)), strict=True):
            live = row[weight > 1e-12]
            assert live.tolist() == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        (torch.zeros(2, 3), r"finite and not zero, got norms \[0\.0, 0\.0\]"),
        (torch.full((1, 3), math.inf), "finite and not zero"),
        (torch.ones(3), r"vectors must be \(probes, size\), got \(3,\)"),
        (torch.ones(0, 3), r"vectors must be \(probes, size\), got \(0, 3\)"),
    ],
)
def test_bad_starts(vectors: Tensor, message: str):
    with pytest.raises(ValueError, match=message):
        lanczos_start(vectors)


def test_a_product_that_is_not_finite_is_told():
    with pytest.raises(ValueError, match=r"product must be finite, got .* in step 0"):
        lanczos(lambda v: v * math.nan, lanczos_start(torch.ones(1, 3)), 2)
