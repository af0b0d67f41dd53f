"""Moving what a constant unit adds into the biases of the next layer."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from prunelimits.arguments import checked_callable, checked_choice, checked_tensors, shown
from prunelimits.connectivity.chain import ChainLayer, chain_layers, check_finite, whole_masks
from prunelimits.connectivity.dense_chain import dense_effective_masks, live_units
from prunelimits.connectivity.flow import find_flow, flow_masks
from prunelimits.connectivity.folding import fold_model
from prunelimits.connectivity.following.model import Inputs, Model
from prunelimits.connectivity.parameters import like_parameters
from prunelimits.connectivity.trace import Traced, Unknown, trace
from prunelimits.masks import apply
from prunelimits.modes import in_plain_modes
from prunelimits.types import Masks, Params


@in_plain_modes
def fold_constants(
    network: Model | Params,
    masks: Masks | None = None,
    *,
    inputs: Inputs = None,
    activation: Callable[[Tensor], Tensor] = torch.relu,
    unknown: Unknown = "sound",
) -> tuple[Params, Masks]:
    """The same network without constant units: parameters and the masks of what is left.

    A unit that no input reaches has the same value c for every input: in an MLP activation(b). What
    it adds to the next layer, the column of its weights times c, moves into that layer's biases,
    layer by layer; then everything that lies on no input-to-output path is pruned. The result
    computes the same outputs up to rounding, and in an MLP with biases all of it is effective.

    In other models some constants stay, with all that carries them: where the next layer has no
    bias, or is used twice, or its zero padding makes them uneven, and where they depend on the
    length of a sequence or the size of an image, as what a recurrent layer without a signal gives.
    That is seen by calling a copy of the model at other sizes, as far as it takes any.

    Args:
        network: An MLP's parameters by name, first layer first, `(..., *shape)` with any leading
            axes: a weight `(d_out, d_in)` and a bias `(d_out,)` in every layer. Or any model that
            `effective_masks` follows, in evaluation mode.
        masks: Name -> bool of the same shape; a name that is absent is kept whole. None: what is
            not zero is kept.
        inputs: For a model, as for `effective_masks`.
        activation: For parameters: the elementwise function between the layers.
        unknown: As for `effective_masks`.

    Returns:
        New parameters by name, zero outside the masks, and the masks. A bias that was pruned is
        kept where a constant has moved into it.

    Raises:
        ValueError: If names or shapes are not those of an MLP with biases, masks do not fit, a
            kept parameter is not finite, or a model cannot be followed.
        TypeError: If a mask is not a bool tensor.

    Examples:
        The second hidden unit has no input, and its bias 3 reaches the output by a weight of 2.

        >>> params = {
        ...     "0.weight": torch.tensor([[1.0], [0.0]]), "0.bias": torch.tensor([0.0, 3.0]),
        ...     "2.weight": torch.tensor([[1.0, 2.0]]), "2.bias": torch.tensor([0.5]),
        ... }
        >>> folded, masks = fold_constants(params)
        >>> folded["2.weight"], folded["2.bias"]
        (tensor([[1., 0.]]), tensor([6.5000]))
        >>> masks["0.bias"]
        tensor([False, False])
    """
    checked_callable("activation", activation, "an elementwise function of a tensor")
    if isinstance(network, nn.Module | ExportedProgram):
        return _fold_module(network, masks, inputs, unknown)
    params = dict(checked_tensors("network", network))
    checked_choice("unknown", unknown, ("sound", "refuse"))
    layers = chain_layers(params)
    missing = [layer.weight for layer in layers if layer.bias is None]
    if missing:
        raise ValueError(f"network must have a bias in every layer, got none beside {missing}")
    masks = whole_masks(params, masks)
    params = apply({name: value.detach() for name, value in params.items()}, masks)
    check_finite(params, masks, "network")
    live = live_units(layers, masks, biases=False)
    folded, kept = dict(params), dict(masks)
    constant = torch.zeros_like(params[layers[0].weight][..., 0, :])
    for depth, layer in enumerate(layers):
        bias = _bias_name(layer)
        weight = params[layer.weight]
        moved = (weight @ constant.unsqueeze(-1)).squeeze(-1)
        if not moved.isfinite().all():
            raise ValueError(
                f"activation must be finite for units without inputs, of which {layer.weight!r} "
                "reads one that is not"
            )
        folded[bias] = params[bias] + moved
        kept[bias] = masks[bias] | (moved != 0)
        # What is live adds nothing here; without this, 0 times an infinite value would be NaN.
        constant = _constants(activation, folded[bias]).masked_fill(live[depth + 1], 0)
    kept = dense_effective_masks(layers, kept, keep_constants=False)
    return apply(folded, kept), kept


def _constants(activation: Callable[[Tensor], Tensor], biases: Tensor) -> Tensor:
    """What units give whose inputs are all zero."""
    constants: object = activation(biases.clone())  # which it may write to
    if not isinstance(constants, Tensor) or constants.shape != biases.shape:
        raise TypeError(
            f"activation must return a tensor of the shape it is given, got {shown(constants)}"
        )
    if constants.dtype != biases.dtype:
        raise TypeError(
            f"activation must return a tensor of {biases.dtype}, as it is given, "
            f"got {constants.dtype}"
        )
    return constants


def _fold_module(
    model: Model, masks: Masks | None, inputs: Inputs, unknown: Unknown
) -> tuple[Params, Masks]:
    traced = trace(model, masks, inputs, unknown, argument="network")

    def others() -> list[Traced]:
        return [traced.at(model, example) for example in traced.other_examples(model, inputs)]

    values, folded = fold_model(traced, others)
    flow = find_flow(traced.network, folded)
    kept = flow_masks(traced.network, flow, keep_constants=True)
    own = like_parameters(model, apply(values, kept))
    return own, {name: mask.to(own[name].device) for name, mask in kept.items()}


def _bias_name(layer: ChainLayer) -> str:
    assert layer.bias is not None
    return layer.bias
