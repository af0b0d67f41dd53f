"""What lies on a path from an input to an output."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from prunelimits.connectivity.chain import chain_layers
from prunelimits.connectivity.dense_chain import dense_effective_masks
from prunelimits.connectivity.flow import find_flow, flow_masks
from prunelimits.connectivity.sparse_chain import Matrix, effective_sparse, is_sparse
from prunelimits.connectivity.trace import trace
from prunelimits.masks import check_bool
from prunelimits.modes import in_plain_modes
from prunelimits.types import Masks


@in_plain_modes
def effective_masks(
    network: nn.Module | Mapping[str, Matrix],
    masks: Masks | None = None,
    *,
    inputs: Tensor | tuple[Tensor, ...] | None = None,
    keep_constants: bool = False,
) -> dict[str, Matrix]:
    """The part of a network that lies on a path from an input to an output.

    A weight is effective if it is on such a path; a bias, if its unit is, or if its unit can no
    longer pass a constant on to another layer, as an output. Found exactly, by forward and backward
    reachability: of units in MLPs, of channels at every position in convolutional networks.

    A unit that no input reaches, but a kept bias does, is a constant, and its weights are on no
    input-to-output path although they carry that constant. So removing what is left out changes no
    output of a network without such units, and of none after `fold_constants`. With
    `keep_constants` what carries a constant to an output is kept as well, and removing the rest
    changes no output of any model.

    Args:
        network: A model, followed through its forward pass in evaluation mode. Or an MLP's masks
            by name, first layer first: weights bool `(..., d_out, d_in)` and biases `(..., d_out)`
            with any leading axes; or its weights as sparse matrices of torch or `scipy.sparse`,
            whose nonzeros are the masks. Biases may be absent.
        masks: For a model: what is kept; a name that is absent is kept whole. None: what is not
            zero is kept.
        inputs: For a model: an example of what it is called with, batch axis first, of which only
            the shape counts. None: enough if its first layer is linear.
        keep_constants: Whether biases are sources of paths beside the inputs. In masks of an MLP,
            activations then map 0 to 0, and a bias without a mask is taken to be there.

    Returns:
        Masks by name: of every parameter of a model, else of what was given, in its layout.

    Raises:
        ValueError: If names or shapes are not those of an MLP, masks do not fit the model, a kept
            weight is NaN, `inputs` is missing, or the model has a module or function that cannot
            be followed, which the message names.
        TypeError: If a mask is not a bool tensor.

    Examples:
        >>> import torch
        >>> first = torch.tensor([[True, True], [False, False]])
        >>> last = torch.tensor([[True, True]])
        >>> effective_masks({"0.weight": first, "2.weight": last})["2.weight"]
        tensor([[ True, False]])
    """
    if isinstance(network, Mapping):
        return _effective_chain(network, masks, inputs, keep_constants=keep_constants)
    traced = trace(network, masks, inputs)
    return flow_masks(traced, find_flow(traced), keep_constants=keep_constants)


def _effective_chain(
    network: Mapping[str, Matrix],
    masks: Masks | None,
    inputs: object,
    *,
    keep_constants: bool,
) -> dict[str, Matrix]:
    refuse_model_arguments(masks, inputs)
    if any(is_sparse(matrix) for matrix in network.values()):
        return effective_sparse(network, keep_constants=keep_constants)
    for name, mask in network.items():
        check_bool(name, mask)
    dense = dict(network)
    return dense_effective_masks(chain_layers(dense), dense, keep_constants=keep_constants)


def refuse_model_arguments(masks: object, inputs: object) -> None:
    """Raises `ValueError` if masks or inputs are given for what is no model."""
    if masks is not None or inputs is not None:
        raise ValueError("masks and inputs belong to a model, and network is a dict of masks")
