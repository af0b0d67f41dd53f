"""How fast connectivity is found: beside memory bandwidth, networkx and a gradient pass.

Prints, for effective masks of

- a million masks of the paper's (2, 16, 16, 16, 1), all at once: seconds;
- a four-layer MLP with a billion weights, 99.9 % sparse, as torch COO, torch CSR and scipy CSR, and
  ten times as dense: seconds, nonzeros a second, and the memory taken at most. The bytes of the
  matrix that a pass reads (an index of four bytes and a value of one a nonzero) at the copying
  bandwidth give the time that no program can beat;
- a small MLP, on which the same is done by networkx (descendants and ancestors) and by one gradient
  of an all-ones network with dense weights, as SynFlow takes its scores: seconds each.

Every time is the best of a few runs that take turns. Run it by `python benchmarks/connectivity.py`.
"""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable
from itertools import pairwise

import networkx as nx
import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from prunelimits.connectivity import analyze, effective_masks
from prunelimits.masks import count
from prunelimits.models.mlp import parameter_shapes

WIDE = (10_000, 20_000, 20_000, 20_000, 10)
SMALL = (256, 512, 512, 512, 10)
BYTES_A_NONZERO = 5


def best_of(rounds: int, work: Callable[[], object]) -> float:
    """The least seconds of a few runs."""
    times: list[float] = []
    for _ in range(rounds):
        begin = time.perf_counter()
        work()
        times.append(time.perf_counter() - begin)
    return min(times)


def bandwidth() -> float:
    """Bytes a second that are read while a large array is copied."""
    source = np.ones(1 << 28, dtype=np.uint8)
    target = np.empty_like(source)
    return len(source) / best_of(5, lambda: np.copyto(target, source))


def random_layers(widths: tuple[int, ...], density: float) -> dict[str, sparse.csr_array]:
    """Layers with about this share of nonzeros, and never the whole matrix in memory."""
    rng = np.random.default_rng(0)
    layers: dict[str, sparse.csr_array] = {}
    for layer, (d_in, d_out) in enumerate(pairwise(widths)):
        nonzeros = max(d_out, int(d_in * d_out * density))
        places = rng.integers(d_out, size=nonzeros), rng.integers(d_in, size=nonzeros)
        ones = np.ones(nonzeros, dtype=np.float32)
        coordinates = sparse.coo_array((ones, places), shape=(d_out, d_in))
        layers[f"{layer}.weight"] = coordinates.tocsr()
    return layers


def torch_csr(matrix: sparse.csr_array) -> Tensor:
    """The same matrix for torch."""
    parts = (torch.from_numpy(part) for part in (matrix.indptr, matrix.indices, matrix.data))
    return torch.sparse_csr_tensor(*parts, size=matrix.shape, check_invariants=False)


def by_networkx(layers: dict[str, sparse.csr_array]) -> int:
    """Effective weights by a graph of units."""
    graph = nx.DiGraph()
    for depth, weight in enumerate(layers.values()):
        rows, columns = weight.tocoo().coords
        edges = zip(columns.tolist(), rows.tolist(), strict=True)
        graph.add_edges_from(((depth, i), (depth + 1, o)) for i, o in edges)
    first, *_, last = layers.values()
    graph.add_edges_from(("in", (0, unit)) for unit in range(first.shape[1]))
    graph.add_edges_from(((len(layers), unit), "out") for unit in range(last.shape[0]))
    live, reaches = nx.descendants(graph, "in"), nx.ancestors(graph, "out")
    return sum(u in live and v in reaches for u, v in graph.edges if u != "in" and v != "out")


def by_gradient(weights: list[Tensor]) -> int:
    """Effective weights by the gradient of a dense network of ones, in float64."""
    x = torch.ones(1, weights[0].shape[1], dtype=torch.float64)
    for weight in weights:
        x = x @ weight.T
    gradients = torch.autograd.grad(x.sum(), weights)
    pairs = zip(weights, gradients, strict=True)
    return sum(int(((weight != 0) & (gradient != 0)).sum()) for weight, gradient in pairs)


def most_memory(work: Callable[[], object]) -> int:
    """Bytes that numpy holds at most while it works, beyond what it held before."""
    tracemalloc.start()
    work()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def main() -> None:
    """Prints every comparison."""
    speed = bandwidth()
    print(f"copying reads {speed / 1e9:.1f} GB/s; torch uses {torch.get_num_threads()} threads")

    for density in (0.001, 0.01):
        layers = random_layers(WIDE, density)
        nonzeros = sum(matrix.nnz for matrix in layers.values())
        weights = sum(matrix.shape[0] * matrix.shape[1] for matrix in layers.values())
        least = nonzeros * BYTES_A_NONZERO / speed
        print(f"MLP {WIDE}: {weights:,} weights, {nonzeros:,} nonzeros, {1 - density:.1%} sparse")
        kinds = {
            "scipy CSR": layers,
            "torch CSR": {name: torch_csr(matrix) for name, matrix in layers.items()},
        }
        if density == 0.001:
            coo = {n: torch_csr(m).to_sparse_coo().coalesce() for n, m in layers.items()}
            kinds["torch COO"] = coo
        for kind, matrices in kinds.items():
            seconds = best_of(3, lambda matrices=matrices: effective_masks(matrices))
            print(
                f"  effective masks, {kind}: {seconds:.3f} s, {nonzeros / seconds / 1e6:.0f} M "
                f"nonzeros/s, {least / seconds:.1%} of one read at that bandwidth"
            )
        whole = best_of(2, lambda layers=layers: analyze(layers))
        print(f"  the whole report: {whole:.3f} s")
        memory = most_memory(lambda layers=layers: effective_masks(layers)) / nonzeros
        print(f"  memory for scipy CSR at most: {memory:.0f} bytes a nonzero")

    for density in (0.02, 0.1):
        layers = random_layers(SMALL, density)
        dense = [torch.from_numpy(m.toarray() != 0).double() for m in layers.values()]
        dense = [weight.requires_grad_() for weight in dense]
        report = analyze(layers)
        assert report.effective_weights == by_networkx(layers) == by_gradient(dense)
        ours = best_of(5, lambda layers=layers: effective_masks(layers))
        print(f"MLP {SMALL}: {report.nonzero_weights:,} nonzeros")
        print(f"  ours {ours * 1e3:.2f} ms")
        graph = best_of(2, lambda layers=layers: by_networkx(layers))
        print(f"  networkx {graph * 1e3:.2f} ms, {graph / ours:.0f} times as long")
        gradient = best_of(3, lambda dense=dense: by_gradient(dense))
        print(
            f"  gradient of the dense network {gradient * 1e3:.2f} ms, {gradient / ours:.1f} times"
        )

    models = 1_000_000
    generator = torch.Generator().manual_seed(0)
    # Ten thousand different ones, over and over: drawing takes longer than the rest.
    masks = {
        name: (torch.rand(10_000, *shape, generator=generator) < 0.1).repeat(
            models // 10_000, *[1] * len(shape)
        )
        for name, shape in parameter_shapes((2, 16, 16, 16, 1)).items()
    }
    seconds = best_of(3, lambda: effective_masks(masks))
    print(
        f"a million masks of (2, 16, 16, 16, 1): {seconds:.2f} s, "
        f"{count(masks) / seconds / 1e6:.0f} M nonzeros/s"
    )


if __name__ == "__main__":
    main()
