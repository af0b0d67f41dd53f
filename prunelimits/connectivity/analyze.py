"""Making the report on a network's connectivity."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from prunelimits.connectivity.big_counts import inner_products
from prunelimits.connectivity.effective import refuse_model_arguments
from prunelimits.connectivity.flow import (
    Flow,
    any_of_units,
    count_paths,
    find_flow,
    flow_masks,
    input_elements,
)
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
from prunelimits.connectivity.steps import Affine, Normalise, Source
from prunelimits.connectivity.trace import Network, trace
from prunelimits.modes import in_plain_modes
from prunelimits.types import Masks


@in_plain_modes
def analyze(
    network: nn.Module | Mapping[str, Matrix],
    masks: Masks | None = None,
    *,
    inputs: Tensor | tuple[Tensor, ...] | None = None,
) -> ConnectivityReport:
    """What of a network really counts: effective nonzeros, dead units, paths, the core's widths.

    Exact, whatever the size: paths are counted in integers without bound.

    Args:
        network: As for `effective_masks`, but one network: masks without leading axes. In masks, a
            bias that is not named is taken not to be there.
        masks: For a model, as for `effective_masks`.
        inputs: For a model, as for `effective_masks`.

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
        return _analyze_model(trace(network, masks, inputs))
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
    network: nn.Module | Mapping[str, Matrix],
    masks: Masks | None = None,
    *,
    inputs: Tensor | tuple[Tensor, ...] | None = None,
) -> float:
    """The share of the weights that is pruned or lies on no input-to-output path, in [0, 1].

    From [Connectivity Matters](https://arxiv.org/abs/2107.02306). Weights are the entries of
    matrices and kernels; biases, and scales and shifts of normalisations, do not count.

    Args:
        network: As for `analyze`.
        masks: As for `analyze`.
        inputs: As for `analyze`.

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
    traced = trace(network, masks, inputs)
    effective = flow_masks(traced, find_flow(traced), keep_constants=False)
    return 1 - _weights(effective) / _size(effective)


class _Units(NamedTuple):
    """Bool `(units,)` each."""

    live: Tensor
    carries: Tensor
    reaches: Tensor
    on_path: Tensor

    def causes(self) -> dict[str, int]:
        dead = ~self.on_path
        constant = dead & ~self.live & self.carries & self.reaches
        no_input = dead & ~self.live & ~constant
        return {
            "units": len(dead),
            "connected": int(self.on_path.sum()),
            "cut_off_from_input": int(no_input.sum()),
            "cut_off_from_output": int((dead & self.live).sum()),
            "constant": int(constant.sum()),
        }


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
                **_Units(*map(torch.from_numpy, units)).causes(),
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


def _analyze_model(network: Network) -> ConnectivityReport:
    flow = find_flow(network)
    kept = network.parameters.masks
    effective = flow_masks(network, flow, keep_constants=False)
    carrying = flow_masks(network, flow, keep_constants=True)
    forward, backward = count_paths(network)
    sources = [i for i, step in enumerate(network.steps) if isinstance(step, Source)]
    widths = [sum(int(any_of_units(flow.reaches[i], 1).sum()) for i in sources)]
    layers: list[LayerReport] = []
    for number, step in enumerate(network.steps):
        if isinstance(step, Affine):
            weights, vectors = [step.weight_name], [step.bias_name]
            units = _units(network, flow, number, step.unit_axis)
            paths = [
                digits[number].movedim(step.unit_axis + (step.unit_axis > 0), 1).flatten(2)
                for digits in (forward, backward)
            ]
            through = tuple(inner_products(paths[0], paths[1]))
            elements = input_elements(network, flow, number)
            inputs = int(any_of_units(elements, step.unit_axis).sum())
        elif isinstance(step, Normalise):
            weights, vectors = [], [step.scale_name, step.shift_name]
            units, through, inputs = _NO_UNITS, (), 0
        else:
            continue
        biases = [name for name in vectors if name is not None]
        layer = LayerReport(
            name=step.name,
            weights=_entries(kept, weights),
            nonzero_weights=_kept(kept, weights),
            effective_weights=_kept(effective, weights),
            biases=_entries(kept, biases),
            nonzero_biases=_kept(kept, biases),
            effective_biases=_kept(effective, biases),
            inputs=inputs,
            paths=through,
            **units.causes(),
        )
        layers.append(layer)
        if isinstance(step, Affine):
            widths.append(layer.connected)
    if not widths[1:]:
        raise ValueError("the model must have at least one linear layer or convolution")
    total = [
        inner_products(forward[i].flatten(1)[:, None], backward[i].flatten(1)[:, None])[0]
        for i in sources
    ]
    matrices = [name for name, mask in kept.items() if mask.dim() > 1]
    vectors = [name for name in kept if name not in matrices]
    return ConnectivityReport(
        layers=tuple(layers),
        weights=_entries(kept, matrices),
        nonzero_weights=_kept(kept, matrices),
        effective_weights=_kept(effective, matrices),
        biases=_entries(kept, vectors),
        nonzero_biases=_kept(kept, vectors),
        effective_biases=_kept(effective, vectors),
        carrying_nonzeros=_kept(carrying, list(carrying)),
        widths=tuple(widths),
        paths=sum(total),
    )


_NO_UNITS = _Units(*[torch.zeros(0, dtype=torch.bool, device="cpu")] * 4)


def _units(network: Network, flow: Flow, number: int, axis: int) -> _Units:
    # A normalisation right behind decides whether a unit is a constant: it has the bias.
    shifted = number
    readers = [i for i, step in enumerate(network.steps) if number in step.inputs]
    if len(readers) == 1 and isinstance(network.steps[readers[0]], Normalise):
        shifted = readers[0]
    elements = (
        flow.live[number],
        flow.carries[shifted],
        flow.reaches[shifted],
        flow.live[number] & flow.reaches[number],
    )
    return _Units(*(any_of_units(part, axis) for part in elements))


def _entries(masks: Masks, names: list[str]) -> int:
    return sum(masks[name].numel() for name in names)


def _kept(masks: Masks, names: list[str]) -> int:
    return sum(int(masks[name].sum()) for name in names)


def _weights(masks: Masks) -> int:
    return _kept(masks, [name for name, mask in masks.items() if mask.dim() > 1])


def _size(masks: Masks) -> int:
    return sum(mask.numel() for mask in masks.values() if mask.dim() > 1)
