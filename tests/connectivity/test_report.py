"""The report against networkx and path enumeration; sparse matrices; exact large numbers."""

from __future__ import annotations

import json
import warnings
from itertools import pairwise
from math import prod

import networkx as nx
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from torch import nn

from prunelimits.connectivity import analyze, effective_masks, effective_sparsity
from prunelimits.connectivity.big_counts import added, carried, inner_products
from prunelimits.models.mlp import parameter_shapes
from prunelimits.types import Masks


@st.composite
def mlp_masks(draw: st.DrawFn) -> Masks:
    widths = draw(st.lists(st.integers(1, 5), min_size=2, max_size=5))
    density = draw(st.sampled_from([0.2, 0.4, 0.8]))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    shapes = parameter_shapes(widths)
    return {n: torch.rand(s, generator=generator) < density for n, s in shapes.items()}


def unit_graph(masks: Masks) -> nx.DiGraph:
    graph = nx.DiGraph()
    weights = [mask for name, mask in masks.items() if name.endswith("weight")]
    for depth, weight in enumerate(weights):
        for out, unit in weight.nonzero().tolist():
            graph.add_edge((depth, unit), (depth + 1, out))
        graph.add_nodes_from((depth, unit) for unit in range(weight.shape[1]))
    graph.add_nodes_from((len(weights), unit) for unit in range(len(weights[-1])))
    return graph


@given(mlp_masks())
def test_an_mlp_against_networkx(masks: Masks):
    graph = unit_graph(masks)
    weights = [mask for name, mask in masks.items() if name.endswith("weight")]
    biases = [mask for name, mask in masks.items() if name.endswith("bias")]
    inputs = [(0, unit) for unit in range(weights[0].shape[1])]
    outputs = [(len(weights), unit) for unit in range(len(weights[-1]))]
    live = set(inputs).union(*(nx.descendants(graph, node) for node in inputs))
    reaches = set(outputs).union(*(nx.ancestors(graph, node) for node in outputs))
    through = dict.fromkeys(graph, 0)
    paths = 0
    for source in inputs:
        for target in outputs:
            for path in nx.all_simple_paths(graph, source, target):
                paths += 1
                for node in path:
                    through[node] += 1
    report = analyze(masks)
    assert report.paths == report.effective_paths == paths
    core = live & reaches
    assert report.widths == tuple(
        sum(node[0] == depth for node in core) for depth in range(len(weights) + 1)
    )
    assert report.effective_nodes == len(core)
    on_path = sum(u in live and v in reaches for u, v in graph.edges)
    assert report.effective_weights == on_path
    for depth, layer in enumerate(report.layers, start=1):
        units = [(depth, unit) for unit in range(layer.units)]
        assert layer.paths == tuple(through[node] for node in units)
        constants = {
            (d, unit) for d in range(1, depth + 1) for unit in range(len(biases[d - 1]))
            if biases[d - 1][unit]
        }  # fmt: skip
        carried_to = constants.union(*(nx.descendants(graph, node) for node in constants))
        constant = [n for n in units if n not in live and n in carried_to and n in reaches]
        assert layer.constant == len(constant)
        assert layer.cut_off_from_output == sum(n in live and n not in reaches for n in units)
        no_input = sum(n not in live and n not in constant for n in units)
        assert layer.cut_off_from_input == no_input
        assert layer.dead == sum(node not in core for node in units)


def cnn_graph(weights: list[torch.Tensor], size: int) -> nx.DiGraph:
    """Channels at positions: a 3 x 3 convolution with padding and stride 2, one without, linear."""
    graph = nx.DiGraph()
    graph.add_nodes_from(
        ("x", 0, c, y, x) for c in range(2) for y in range(size) for x in range(size)
    )

    def connect(depth: int, weight: torch.Tensor, before: int, after: int, stride: int, pad: int):
        for o, c, ky, kx in weight.nonzero().tolist():
            for y in range(after):
                for x in range(after):
                    row, column = y * stride + ky - pad, x * stride + kx - pad
                    if 0 <= row < before and 0 <= column < before:
                        edge = ("x", depth, c, row, column), ("x", depth + 1, o, y, x)
                        graph.add_edge(*edge, weight=(depth, o, c, ky, kx))

    connect(0, weights[0], size, 3, 2, 1)
    connect(1, weights[1], 3, 2, 1, 0)
    for o, feature in weights[2].nonzero().tolist():
        c, y, x = feature // 4, feature % 4 // 2, feature % 2
        graph.add_edge(("x", 2, c, y, x), ("y", o), weight=(2, o, feature))
    graph.add_nodes_from(("y", o) for o in range(2))
    return graph


@pytest.mark.parametrize("seed", range(8))
def test_a_cnn_against_networkx(seed: int):
    generator = torch.Generator().manual_seed(seed)
    with torch.device("meta"):
        model = nn.Sequential(
            nn.Conv2d(2, 3, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(3, 2, 2), nn.ReLU(),
            nn.Flatten(), nn.Linear(8, 2),
        )  # fmt: skip
    masks = {
        n: torch.rand(p.shape, generator=generator) < (0.15, 0.3)[seed % 2]
        for n, p in model.named_parameters()
    }
    model = model.to_empty(device="cpu")
    for parameter in model.parameters():
        nn.init.ones_(parameter)
    weights = [mask for name, mask in masks.items() if name.endswith("weight")]
    graph = cnn_graph(weights, 5)
    inputs = [node for node in graph if node[:2] == ("x", 0)]
    outputs = [node for node in graph if node[0] == "y"]
    live = set(inputs).union(*(nx.descendants(graph, node) for node in inputs))
    reaches = set(outputs).union(*(nx.ancestors(graph, node) for node in outputs))
    used = {d["weight"] for u, v, d in graph.edges(data=True) if u in live and v in reaches}
    effective = effective_masks(model, masks, inputs=torch.zeros(1, 2, 5, 5))
    for depth, name in enumerate(("0.weight", "2.weight", "5.weight")):
        found = {(depth, *place) for place in effective[name].nonzero().tolist()}
        assert found == {place for place in used if place[0] == depth}
    counts = dict.fromkeys(inputs, 1)
    for node in nx.topological_sort(graph):
        counts[node] = counts.get(node, 0) + sum(counts[u] for u in graph.predecessors(node))
    report = analyze(model, masks, inputs=torch.zeros(1, 2, 5, 5))
    assert report.paths == sum(counts[node] for node in outputs)


def as_matrices(masks: Masks, kind: str) -> dict[str, object]:
    """The weights as sparse matrices, with values that only their zeros tell apart."""
    result: dict[str, object] = dict(masks)
    for name, mask in masks.items():
        if name.endswith("bias"):
            continue
        values = mask.double() * -0.5
        if kind == "torch_coo":
            result[name] = values.to_sparse()
        elif kind == "torch_csr":
            result[name] = values.to_sparse_csr()
        elif kind == "explicit_zeros":
            rows, columns = np.indices(mask.shape).reshape(2, -1)
            entries = (values.numpy().ravel(), (rows, columns))
            result[name] = sparse.coo_array(entries, shape=mask.shape).tocsr()
        else:
            result[name] = getattr(sparse, kind)(values.numpy())
    return result


def dense(matrix: object) -> np.ndarray:
    if isinstance(matrix, torch.Tensor):
        return (matrix if matrix.layout is torch.strided else matrix.to_dense()).numpy()
    return matrix.toarray()  # type: ignore[attr-defined]


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta:UserWarning")
@pytest.mark.filterwarnings("ignore:Sparse invariant checks:UserWarning")
@pytest.mark.parametrize(
    "kind",
    ["torch_coo", "torch_csr", "csr_array", "coo_matrix", "csc_array", "explicit_zeros"],
)
@settings(max_examples=25)
@given(mlp_masks(), st.booleans())
def test_sparse_matrices_give_what_masks_give(kind: str, masks: Masks, keep_constants: bool):
    matrices = as_matrices(masks, kind)
    expected = effective_masks(masks, keep_constants=keep_constants)
    found = effective_masks(matrices, keep_constants=keep_constants)
    assert list(found) == list(expected)
    for name, matrix in found.items():
        assert type(matrix) is type(matrices[name])
        assert dense(matrix).dtype == np.bool_
        assert np.array_equal(dense(matrix), expected[name].numpy())
    assert analyze(matrices) == analyze(masks)
    assert effective_sparsity(matrices) == effective_sparsity(masks)


@pytest.mark.parametrize("layout", [torch.sparse_coo, torch.sparse_csr])
def test_torch_does_not_warn_of_unchecked_tensors(layout: torch.layout):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        given = torch.eye(3).to_sparse(layout=layout)
    before = torch.is_warn_always_enabled()
    torch.set_warn_always(True)
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            effective_masks({"0.weight": given})
    finally:
        torch.set_warn_always(before)
    assert not [warning for warning in said if "invariant" in str(warning.message)]


def test_a_large_sparse_network_is_quick_and_small():
    rng = np.random.default_rng(0)
    widths = (4_000, 60_000, 60_000, 10)
    matrices = {}
    for layer, (d_in, d_out) in enumerate(pairwise(widths)):
        nonzeros = 100_000
        places = (rng.integers(d_out, size=nonzeros), rng.integers(d_in, size=nonzeros))
        ones = np.ones(nonzeros, dtype=np.float32)
        matrices[f"{layer}.weight"] = sparse.coo_array((ones, places), shape=(d_out, d_in))
    report = analyze(matrices)
    assert report.weights == sum(a * b for a, b in pairwise(widths))
    assert 0 < report.effective_weights < report.nonzero_weights <= 300_000


@pytest.mark.parametrize("depth", [3, 40, 200])
def test_paths_of_any_number_are_exact(depth: int):
    widths = [7, *[13] * depth, 3]
    masks = {
        n: torch.ones(s).bool() for n, s in parameter_shapes(widths).items() if n.endswith("weight")
    }
    report = analyze(masks)
    assert report.paths == prod(widths)
    assert report.layers[0].paths == (prod(widths) // 13,) * 13
    assert (f"{prod(widths):,}" if depth == 3 else "about ") in str(report)


def test_the_dense_model_and_its_masks_count_the_same():
    with torch.device("meta"):
        model = nn.Sequential(*[nn.Linear(9, 9) for _ in range(30)])
    model = model.to_empty(device="cpu")
    for parameter in model.parameters():
        nn.init.ones_(parameter)
    assert analyze(model).paths == 9**31


@given(st.lists(st.integers(0, 2**200), min_size=1, max_size=6), st.integers(0, 2**40))
def test_digits_are_exact(numbers: list[int], factor: int):
    def digits(values: list[int]) -> torch.Tensor:
        places = [[(v >> (16 * i)) % 2**16 for v in values] for i in range(13)]
        return torch.tensor(places, dtype=torch.float64)

    ones = torch.ones(1, len(numbers), 1, dtype=torch.float64)
    tensor = digits(numbers)
    assert inner_products(tensor[..., None], ones) == numbers
    assert inner_products(carried(tensor * 2.0**30)[..., None], ones) == [n << 30 for n in numbers]
    both = added(tensor, digits([factor] * len(numbers)))
    assert inner_products(both[..., None], ones) == [n + factor for n in numbers]
    squares = inner_products(tensor[:, None], tensor[:, None])
    assert squares == [sum(n * n for n in numbers)]


def test_the_table():
    report = analyze(
        {
            "a.weight": torch.tensor([[True, True], [True, False], [False, False]]),
            "a.bias": torch.tensor([False, False, True]),
            "b.weight": torch.tensor([[False, True, True]]),
            "b.bias": torch.tensor([True]),
        }
    )
    assert str(report).splitlines() == [
        "layer  weights kept  effective  biases kept  effective  units on a path"
        "  no input  no output  constant",
        "-" * 102,
        "a             3 / 6          1        1 / 3          0            1 / 3"
        "         0          1         1",
        "b             2 / 3          1        1 / 1          1            1 / 1"
        "         0          0         0",
        "-" * 102,
        "all           5 / 9          2        2 / 4          1            2 / 4"
        "         0          1         1",
        "",
        "nonzeros    7 kept, 3 effective, 5 with what carries constants",
        "sparsity    44.44 %, effective 77.78 % (compression 1.8, effective 4.5)",
        "core        1-1-1 units, 3 effective nodes",
        "paths       1 from an input to an output",
    ]


def test_the_dict_goes_through_json():
    report = analyze({"w.weight": torch.tensor([[True, False]])})
    content = json.loads(json.dumps(report.to_dict()))
    assert content["effective_sparsity"] == 0.5
    assert content["layers"][0]["paths"] == [1]
    assert content["widths"] == [1, 1]
    assert content["nonzeros"] == content["effective_nonzeros"] == 1


def test_bad_networks():
    with pytest.raises(ValueError, match=r"must be one network: 'a.weight' has shape \(5, 2, 2\)"):
        analyze({"a.weight": torch.ones(5, 2, 2).bool()})
    for number in (np.nan, np.inf):
        bad = sparse.csr_array(np.array([[number, 1.0]]))
        with pytest.raises(ValueError, match=r"'a.weight' must be finite, got NaN or infinite"):
            analyze({"a.weight": bad})
    with pytest.raises(TypeError, match="must be a bool tensor"):
        analyze({"a.weight": torch.ones(2, 2)})
    good = sparse.csr_array(np.ones((2, 3)))
    with pytest.raises(ValueError, match="layers must chain"):
        effective_masks({"a.weight": good, "b.weight": good})
