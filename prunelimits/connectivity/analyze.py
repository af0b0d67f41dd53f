"""Making the report on a network's connectivity."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from prunelimits.connectivity.big_counts import inner_products
from prunelimits.connectivity.effective import refuse_model_arguments
from prunelimits.connectivity.flow import any_of_units, find_flow, flow_masks
from prunelimits.connectivity.following.model import Inputs, Model
from prunelimits.connectivity.following.steps import Source
from prunelimits.connectivity.model_layers import (
    Units,
    count_kept,
    entries,
    model_layers,
    parameter_kinds,
)
from prunelimits.connectivity.path_counts import PathCounts
from prunelimits.connectivity.report import ConnectivityReport, LayerReport
from prunelimits.connectivity.sparse_chain import (
    ChainReach,
    Matrix,
    SparseChain,
    chain_paths,
    effective_bias,
    effective_matrix,
    sparse_chain,
    sparse_reach,
)
from prunelimits.connectivity.trace import Traced, Unknown, trace
from prunelimits.modes import in_plain_modes
from prunelimits.types import Masks


@in_plain_modes
def analyze(
    network: Model | Mapping[str, Matrix],
    masks: Masks | None = None,
    *,
    inputs: Inputs = None,
    unknown: Unknown = "sound",
) -> ConnectivityReport:
    """What of a network really counts: effective nonzeros, dead units, paths, the core's widths.

    Exact, whatever the size: paths are counted in integers without bound, those of a model when
    they are first read. If a model has an operation that is not known, its report says so, and what
    it leaves out is still of no effect.

    Args:
        network: As for `effective_masks`, but one network: masks without leading axes. In masks, a
            bias that is not named is taken not to be there.
        masks: For a model, as for `effective_masks`.
        inputs: For a model, as for `effective_masks`.
        unknown: As for `effective_masks`.

    Raises:
        ValueError: As for `effective_masks`, or if masks have leading axes.
        TypeError: As for `effective_masks`.

    Examples:
        Of four kept weights only two lie on the path through the second hidden unit.

        >>> report = analyze({
        ...     "0.weight": torch.tensor([[True, True], [True, False]]),
        ...     "2.weight": torch.tensor([[False, True]]),
        ... })
        >>> report.nonzero_weights, report.effective_weights, report.paths, report.widths
        (4, 2, 1, (1, 1, 1))
    """
    if not isinstance(network, Mapping):
        return _analyze_model(trace(network, masks, inputs, unknown, argument="network"))
    refuse_model_arguments(masks, inputs)
    for name, matrix in network.items():
        if len(matrix.shape) > 2:
            raise ValueError(
                f"network must be one network: {name!r} has shape {tuple(matrix.shape)}; "
                "effective_masks takes leading axes"
            )
    return _analyze_chain(sparse_chain(network, unknown_biases=False))


@in_plain_modes
def effective_sparsity(
    network: Model | Mapping[str, Matrix],
    masks: Masks | None = None,
    *,
    inputs: Inputs = None,
    unknown: Unknown = "sound",
) -> float:
    """The share of the weights that is pruned or lies on no input-to-output path, in [0, 1].

    From [Connectivity Matters](https://arxiv.org/abs/2107.02306). Weights are the entries of
    matrices and kernels; biases, and scales and shifts of normalisations, do not count.

    Args:
        network: As for `analyze`.
        masks: As for `analyze`.
        inputs: As for `analyze`.
        unknown: As for `effective_masks`.

    Raises:
        ValueError: As for `analyze`.
        TypeError: As for `analyze`.

    Examples:
        >>> effective_sparsity({
        ...     "0.weight": torch.tensor([[True, True], [True, False]]),
        ...     "2.weight": torch.tensor([[False, True]]),
        ... })
        0.6666666666666667
    """
    if isinstance(network, Mapping):
        refuse_model_arguments(masks, inputs)
        chain = sparse_chain(network, unknown_biases=False)
        reach = sparse_reach(chain)
        left = [effective_matrix(w, reach, depth).nnz for depth, w in enumerate(chain.weights)]
        return 1 - sum(left) / sum(w.shape[0] * w.shape[1] for w in chain.weights)
    return model_sparsity(trace(network, masks, inputs, unknown, argument="network"))


def model_sparsity(traced: Traced) -> float:
    """`effective_sparsity` of a model that is followed already."""
    flow = find_flow(traced.network, traced.parameters.masks)
    effective = flow_masks(traced.network, flow, keep_constants=False)
    return 1 - _weights(effective) / _size(effective)


def _analyze_chain(chain: SparseChain) -> ConnectivityReport:
    reach = sparse_reach(chain)
    forward, backward = chain_paths(chain)
    on_path = [live & reaches for live, reaches in zip(reach.live, reach.reaches, strict=True)]
    layers: list[LayerReport] = []
    carrying = 0
    for depth, (layer, weight) in enumerate(zip(chain.layers, chain.weights, strict=True)):
        units = [part[depth + 1] for part in (reach.live, reach.carries, reach.reaches, on_path)]
        bias = None if layer.bias is None else chain.biases[depth]
        carrying += effective_matrix(weight, reach, depth, keep_constants=True).nnz
        if bias is not None:
            carrying += int((bias & effective_bias(reach, depth, keep_constants=True)).sum())
        layers.append(
            LayerReport(
                name=layer.weight.removesuffix("weight").removesuffix(".") or layer.weight,
                weights=weight.shape[0] * weight.shape[1],
                nonzero_weights=weight.nnz,
                effective_weights=effective_matrix(weight, reach, depth).nnz,
                biases=0 if bias is None else len(bias),
                nonzero_biases=0 if bias is None else int(bias.sum()),
                effective_biases=_effective_biases(bias, reach, depth),
                inputs=int(on_path[depth].sum()),
                paths=tuple(
                    inner_products(forward[depth + 1][..., None], backward[depth + 1][..., None])
                ),
                **Units(*map(torch.from_numpy, units)).causes(),
            )
        )
    return ConnectivityReport(
        layers=tuple(layers),
        weights=sum(layer.weights for layer in layers),
        nonzero_weights=sum(layer.nonzero_weights for layer in layers),
        effective_weights=sum(layer.effective_weights for layer in layers),
        biases=sum(layer.biases for layer in layers),
        nonzero_biases=sum(layer.nonzero_biases for layer in layers),
        effective_biases=sum(layer.effective_biases for layer in layers),
        carrying_nonzeros=carrying,
        widths=tuple(int(units.sum()) for units in on_path),
        paths=sum(layers[-1].paths),
    )


def _effective_biases(bias: Matrix | None, reach: ChainReach, depth: int) -> int:
    return 0 if bias is None else int((bias & effective_bias(reach, depth)).sum())


def _analyze_model(traced: Traced) -> ConnectivityReport:
    network, parameters = traced.network, traced.parameters
    kept = parameters.masks
    flow = find_flow(network, kept)
    effective = flow_masks(network, flow, keep_constants=False)
    carrying = flow_masks(network, flow, keep_constants=True)
    paths = None if network.unknown else PathCounts(network, flow.carries)
    layers = model_layers(traced, flow, effective, paths)
    rows = [layer for layer in layers if layer.units]
    if not any(mask.dim() > 1 for mask in kept.values()):
        raise ValueError("the model must have at least one linear layer or convolution")
    sources = [i for i, step in enumerate(network.steps) if isinstance(step, Source)]
    widths = [sum(_input_units(flow.reaches[i] & flow.live[i]) for i in sources)]
    matrices = [name for name, mask in kept.items() if mask.dim() > 1]
    vectors = [name for name in kept if name not in matrices]
    return ConnectivityReport(
        layers=tuple(layers),
        weights=entries(kept, matrices),
        nonzero_weights=count_kept(kept, matrices),
        effective_weights=count_kept(effective, matrices),
        biases=entries(kept, vectors),
        nonzero_biases=count_kept(kept, vectors),
        effective_biases=count_kept(effective, vectors),
        carrying_nonzeros=count_kept(carrying, list(carrying)),
        widths=(*widths, *(layer.connected for layer in rows)),
        paths=None if paths is None else paths.in_all,
        exact=not network.unknown,
        unknown=network.unknown,
        kinds=parameter_kinds(traced, effective),
    )


def _input_units(elements: Tensor) -> int:
    """Units of an input along the axis behind its samples, if it has one."""
    return int(any_of_units(elements, min(1, elements.dim() - 1)).sum()) if elements.dim() else 1


def _weights(masks: Masks) -> int:
    return count_kept(masks, [name for name, mask in masks.items() if mask.dim() > 1])


def _size(masks: Masks) -> int:
    return entries(masks, [name for name, mask in masks.items() if mask.dim() > 1])
