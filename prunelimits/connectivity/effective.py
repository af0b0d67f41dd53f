"""What lies on a path from an input to an output."""

from __future__ import annotations

from collections.abc import Mapping

from prunelimits.arguments import checked_flag
from prunelimits.connectivity.chain import chain_layers
from prunelimits.connectivity.dense_chain import dense_effective_masks
from prunelimits.connectivity.flow import find_flow, flow_masks
from prunelimits.connectivity.following.model import Inputs, Model
from prunelimits.connectivity.sparse_chain import Matrix, effective_sparse, is_sparse
from prunelimits.connectivity.trace import Unknown, trace
from prunelimits.masks import check_bool
from prunelimits.modes import in_plain_modes
from prunelimits.types import Masks


@in_plain_modes
def effective_masks(
    network: Model | Mapping[str, Matrix],
    masks: Masks | None = None,
    *,
    inputs: Inputs = None,
    keep_constants: bool = False,
    unknown: Unknown = "sound",
) -> dict[str, Matrix]:
    """The part of a network that lies on a path from an input to an output.

    A weight is effective if it is on such a path; a bias, if its unit is, or if its unit can no
    longer pass a constant on to another layer, as an output. Found by forward and backward
    reachability: of units in MLPs, of every element of every tensor in other models. An element
    of a product, such as a gate's or attention's, carries a signal if both factors can be other
    than zero and one of them depends on the input. Exact, but for operations that are not known,
    of which `analyze` tells.

    A unit that no input reaches, but a kept bias does, is a constant, and its weights are on no
    input-to-output path although they carry that constant. So removing what is left out changes no
    output of a network without such units. With `keep_constants` what carries a constant to an
    output is kept as well, and removing the rest changes no output of any model.

    Args:
        network: A model, followed through its forward pass in evaluation mode. Or an MLP's masks
            by name, first layer first: weights bool `(..., d_out, d_in)` and biases `(..., d_out)`
            with any leading axes; or its weights as sparse matrices of torch or `scipy.sparse`,
            whose nonzeros are the masks. Biases may be absent.
        masks: For a model: what is kept; a name that is absent is kept whole. None: what is not
            zero is kept.
        inputs: For a model: an example of what it is called with: a tensor, a tuple of arguments,
            or a dict of arguments by name, as a tokenizer gives it. Only shapes and types count, of
            rows that are samples a few. None: enough if its first layer is linear.
        keep_constants: Whether biases are sources of paths beside the inputs. In masks of an MLP,
            activations then map 0 to 0, and a bias without a mask is taken to be there.
        unknown: What becomes of an operation without a rule: "sound", all that it reads may matter
            to all that it gives, or "refuse", an error.

    Returns:
        Masks by name: of every parameter of a model, else of what was given, in its layout.

    Raises:
        ValueError: If names or shapes are not those of an MLP, masks do not fit the model, a kept
            weight is NaN, `inputs` is missing, `torch.export` cannot follow the model, or an
            operation is to be refused; the message names it.
        TypeError: If a mask is not a bool tensor.

    Examples:
        >>> import torch
        >>> first = torch.tensor([[True, True], [False, False]])
        >>> last = torch.tensor([[True, True]])
        >>> effective_masks({"0.weight": first, "2.weight": last})["2.weight"]
        tensor([[ True, False]])
    """
    checked_flag("keep_constants", keep_constants)
    if isinstance(network, Mapping):
        return _effective_chain(network, masks, inputs, keep_constants=keep_constants)
    traced = trace(network, masks, inputs, unknown, argument="network")
    flow = find_flow(traced.network, traced.parameters.masks)
    return flow_masks(traced.network, flow, keep_constants=keep_constants)


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
