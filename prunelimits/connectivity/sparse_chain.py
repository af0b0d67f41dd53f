"""One MLP given by sparse matrices: reachability and path counts, linear in the nonzeros."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeGuard

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from prunelimits.connectivity.big_counts import carried
from prunelimits.connectivity.chain import ChainLayer, chain_layers
from prunelimits.masks import check_bool

Bools: TypeAlias = NDArray[np.bool_]

# scipy's matrices have no types; `is_sparse` tells them apart.
Matrix: TypeAlias = Any
"""A `scipy.sparse` matrix, or a torch tensor: sparse in any layout, or dense."""


@dataclass(frozen=True)
class SparseChain:
    """The layers of an MLP as bool matrices in compressed rows.

    Attributes:
        layers: The names.
        weights: For each layer `(d_out, d_in)`.
        biases: For each layer `(d_out,)`. None: unknown, so it may be there.
    """

    layers: list[ChainLayer]
    weights: list[Matrix]
    biases: list[Bools | None]


@dataclass(frozen=True)
class ChainReach:
    """What is reached, for every layer of units, the inputs first.

    Attributes:
        live: There is a path from an input.
        carries: There is one from an input or a kept bias.
        reaches: There is a path to an output.
    """

    live: list[Bools]
    carries: list[Bools]
    reaches: list[Bools]


def is_sparse(value: object) -> TypeGuard[Matrix]:
    """Whether it is a matrix of `scipy.sparse` or a torch tensor that is not strided."""
    if isinstance(value, Tensor):
        return value.layout is not torch.strided
    return _scipy_sparse().issparse(value)


def sparse_chain(matrices: Mapping[str, Matrix], *, unknown_biases: bool) -> SparseChain:
    """The chain that the nonzeros of the matrices make.

    Args:
        matrices: Name -> matrix `(d_out, d_in)`, first layer first, and bias vectors.
        unknown_biases: Whether a bias that is not named may be there.

    Raises:
        ValueError: If the shapes do not chain, there is a leading axis, or a value is NaN.
        TypeError: If a dense tensor is not bool.
    """
    layers = chain_layers(matrices)
    weights: list[Matrix] = []
    biases: list[Bools | None] = []
    for layer in layers:
        weights.append(_compressed_rows(layer.weight, matrices[layer.weight]))
        if layer.bias is None:
            d_out = weights[-1].shape[0]
            biases.append(None if unknown_biases else np.zeros(d_out, dtype=np.bool_))
        else:
            bias: object = matrices[layer.bias]
            check_bool(layer.bias, bias)
            biases.append(np.asarray(matrices[layer.bias].cpu()))
    return SparseChain(layers, weights, biases)


def sparse_reach(chain: SparseChain) -> ChainReach:
    """One pass forward and one backward over the nonzeros."""
    live = [np.ones(chain.weights[0].shape[1], dtype=np.bool_)]
    carries = list(live)
    for weight, bias in zip(chain.weights, chain.biases, strict=True):
        # A product of bool arrays is a bool: a logical "or", never a sum.
        live.append(weight @ live[-1])
        carries.append(np.ones_like(live[-1]) if bias is None else weight @ carries[-1] | bias)
    reaches = [np.ones_like(live[-1])]
    for weight in reversed(chain.weights):
        reaches.append(weight.T @ reaches[-1])
    return ChainReach(live, carries, reaches[::-1])


def effective_sparse(matrices: Mapping[str, Matrix], *, keep_constants: bool) -> dict[str, Matrix]:
    """`effective_masks` of sparse matrices: bool, in the layouts that were given."""
    chain = sparse_chain(matrices, unknown_biases=True)
    reach = sparse_reach(chain)
    result: dict[str, Matrix] = dict(matrices)
    for depth, (layer, weight) in enumerate(zip(chain.layers, chain.weights, strict=True)):
        left = effective_matrix(weight, reach, depth, keep_constants=keep_constants)
        result[layer.weight] = _in_layout_of(matrices[layer.weight], left)
        bias = chain.biases[depth]
        if layer.bias is not None and bias is not None:
            counted = effective_bias(reach, depth, keep_constants=keep_constants)
            result[layer.bias] = torch.from_numpy(bias & counted)
    return result


def effective_matrix(
    weight: Matrix, reach: ChainReach, depth: int, *, keep_constants: bool = False
) -> Matrix:
    """The nonzeros of one layer that lie on a path, in compressed rows."""
    source = (reach.carries if keep_constants else reach.live)[depth]
    per_row = np.diff(weight.indptr)
    kept = source[weight.indices] & np.repeat(reach.reaches[depth + 1], per_row)
    # The number kept in each row, by differences of a running sum: rows may be empty.
    running = np.zeros(len(kept) + 1, dtype=weight.indptr.dtype)
    np.cumsum(kept, out=running[1:])
    return _scipy_sparse().csr_array(
        (np.ones(int(running[-1]), dtype=np.bool_), weight.indices[kept], running[weight.indptr]),
        shape=weight.shape,
    )


def effective_bias(reach: ChainReach, depth: int, *, keep_constants: bool = False) -> Bools:
    """The units of one layer whose bias counts: the last layer's always do."""
    counted = reach.reaches[depth + 1]
    if keep_constants or depth == len(reach.reaches) - 2:
        return counted
    return counted & reach.live[depth + 1]


def chain_paths(chain: SparseChain) -> tuple[list[Tensor], list[Tensor]]:
    """Paths from the inputs to each unit and from each unit to the outputs, inputs first.

    In digits of `big_counts`, `(digits, units)`.
    """
    numbers = [weight.astype(np.float64) for weight in chain.weights]
    forward = [torch.ones(1, numbers[0].shape[1], dtype=torch.float64, device="cpu")]
    for weight in numbers:
        forward.append(carried(torch.from_numpy((weight @ forward[-1].numpy().T).T)))
    backward = [torch.ones(1, numbers[-1].shape[0], dtype=torch.float64, device="cpu")]
    for weight in reversed(numbers):
        backward.append(carried(torch.from_numpy((weight.T @ backward[-1].numpy().T).T)))
    return forward, backward[::-1]


def _compressed_rows(name: str, matrix: Matrix) -> Matrix:
    if _scipy_sparse().issparse(matrix):
        values = matrix.tocsr()
    elif not is_sparse(matrix):
        check_bool(name, matrix)
        values = _scipy_sparse().csr_array(matrix.cpu().numpy())
    elif matrix.layout is torch.sparse_csr:
        parts = (matrix.values(), matrix.col_indices(), matrix.crow_indices())
        values = _scipy_sparse().csr_array(
            tuple(part.detach().cpu().numpy() for part in parts), shape=tuple(matrix.shape)
        )
    else:
        coordinates = matrix.detach().cpu().to_sparse_coo().coalesce()
        rows, columns = coordinates.indices().numpy()
        values = (
            _scipy_sparse()
            .coo_array((coordinates.values().numpy(), (rows, columns)), shape=tuple(matrix.shape))
            .tocsr()
        )
    if not np.isfinite(values.data).all():
        raise ValueError(f"{name!r} must be finite, got NaN or infinite entries")
    kept = _scipy_sparse().csr_array(values, dtype=np.bool_, copy=False)
    if not kept.data.all():
        kept = kept.copy()
        kept.eliminate_zeros()
    return kept


def _in_layout_of(given: Matrix, rows: Matrix) -> Matrix:
    if not isinstance(given, Tensor):
        return type(given)(rows.asformat(given.format))
    if given.layout is torch.sparse_csr:
        parts = (torch.from_numpy(part) for part in (rows.indptr, rows.indices, rows.data))
        # Said aloud, or torch warns that it does not check.
        return torch.sparse_csr_tensor(*parts, size=given.shape, check_invariants=False)
    if given.layout is torch.strided:
        return torch.from_numpy(rows.toarray())
    coordinates = rows.tocoo()
    indices = torch.from_numpy(np.stack([coordinates.row, coordinates.col]).astype(np.int64))
    values = torch.from_numpy(coordinates.data)
    coo = torch.sparse_coo_tensor(
        indices, values, given.shape, is_coalesced=True, check_invariants=False
    )
    return coo if given.layout is torch.sparse_coo else coo.to_sparse(layout=given.layout)


def _scipy_sparse() -> Matrix:
    """`scipy.sparse`, imported late: it takes longer than the rest of the library together."""
    from scipy import sparse

    return sparse
