"""Which parameters of a module pruners prune."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase  # pyright: ignore[reportPrivateUsage]
from torch.nn.modules.conv import _ConvNd  # pyright: ignore[reportPrivateUsage]

from prunelimits.pruners.form import check_form
from prunelimits.pruners.parts import Part, checked_parts, parameters_of
from prunelimits.sharding import is_sharded
from prunelimits.types import Masks

# Whatever of two or more axes these hold multiplies activations.
_LAYERS = (nn.Linear, _ConvNd, nn.Bilinear, nn.RNNBase, nn.RNNCellBase)
_TABLES = (nn.Embedding, nn.EmbeddingBag)
_NORMALISATIONS = (_NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm, nn.LocalResponseNorm)
# In layers of other people's: what a word in the name of a class or a parameter says it is for.
_WORDS = {
    "biase?s?": "a bias",
    r".*norm(\dd)?|layerscale|scales?|gamma": "the scale of a normalisation",
    "embed(s|ding|dings)?": "an embedding: a table that is looked up, not multiplied",
    "pos|positions?|positional": "a table of positions: added, not multiplied",
    "tokens?": "a token: added to the inputs, not multiplied",
}
_MULTIPLIES = ("linear", "conv", "dense", "attention", "mix")
_WORD = re.compile("[A-Z]+(?![a-z])|[A-Z]?[a-z]+[0-9]*d?")


class Weight(NamedTuple):
    """A parameter of two or more axes, or one that the caller chose.

    Attributes:
        name: Its first name in the model.
        parameter: The parameter.
        reason: Why it is left out; None where it may be pruned.
    """

    name: str
    parameter: nn.Parameter
    reason: str | None


def prunable(model: nn.Module, ignore: Iterable[Part] = (), include: Iterable[Part] = ()) -> Masks:
    """Masks that keep everything, one for each weight that may be pruned.

    Those are the matrices and kernels that multiply activations, whatever class holds them: of
    linear, convolutional, bilinear, recurrent and attention layers, and of layers of other people's
    whose parameters have two or more axes. Biases, normalisations, embeddings and tables of
    positions are left out, and so are frozen parameters (`requires_grad=False`) where others are
    not frozen. `coverage` tells what is left out, and why. Weights that layers share count once,
    under their first name.

    Args:
        model: Any module.
        ignore: Parts to leave alone, see `Part`. They stay whole even if `include` names them.
        include: Parts to prune beside those above, such as `[nn.Embedding]`: of a module, a class
            or a pattern the parameters of two or more axes; a parameter named in full or chosen by
            a function, whatever it is.

    Returns:
        Name -> bool tensor, in the order of the model's parameters and on their devices.

    Raises:
        ValueError: If there is nothing to prune, `ignore` or `include` names something that the
            model does not have, or the model keeps its weights in another form.
        TypeError: If `model` is not a module, or `ignore` or `include` holds something else.

    Examples:
        >>> model = nn.Sequential(nn.Embedding(5, 3), nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 1))
        >>> {name: mask.shape for name, mask in prunable(model, ignore=["3"]).items()}
        {'1.weight': torch.Size([2, 3])}
        >>> list(prunable(model, include=[nn.Embedding]))
        ['0.weight', '1.weight', '3.weight']
    """
    chosen = {
        name: _everything(parameter)
        for name, parameter, reason in weights_of(model, ignore, include)
        if reason is None
    }
    if not chosen:
        kinds = sorted({type(module).__name__ for module in model.modules()})
        left = " that ignore leaves" if tuple(ignore) else ""
        raise ValueError(
            f"model must have linear or convolutional layers{left}, got {kinds}: nothing there "
            "multiplies activations by a matrix of its own"
        )
    return chosen


def _everything(parameter: nn.Parameter) -> Tensor:
    if is_sharded(parameter):  # masks are whole in every process
        return torch.ones(parameter.shape, dtype=torch.bool, device=parameter.device)
    return torch.ones_like(parameter, dtype=torch.bool)


def weights_of(
    model: nn.Module, ignore: Iterable[Part] = (), include: Iterable[Part] = ()
) -> list[Weight]:
    """Every parameter of two or more axes, or that `include` chooses, in the model's order.

    Arguments and errors are those of `prunable`; finding nothing is none.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be a module, got {type(model).__name__}")
    ignored = parameters_of(model, "ignore", checked_parts("ignore", ignore))
    included = parameters_of(model, "include", checked_parts("include", include))
    check_form(model, ignored)
    reasons = _reasons(model)
    all_frozen = not any(
        parameter.requires_grad and reasons[id(parameter)] is None
        for parameter in model.parameters()
    )

    def reason(parameter: nn.Parameter) -> str | None:
        if id(parameter) in ignored:
            return "named in ignore"
        if not (parameter.is_floating_point() or parameter.is_complex()):
            return "no floating-point numbers"
        if included.get(id(parameter)) or (id(parameter) in included and parameter.dim() > 1):
            return None
        if reasons[id(parameter)] is None and not parameter.requires_grad and not all_frozen:
            return "frozen: requires_grad is False"
        return reasons[id(parameter)]

    found = [Weight(n, parameter, reason(parameter)) for n, parameter in model.named_parameters()]
    return [w for w in found if w.parameter.dim() > 1 or w.reason is None]


def _reasons(model: nn.Module) -> dict[int, str | None]:
    """Why each parameter multiplies no activation, by its `id`; None where it does somewhere."""
    result: dict[int, str | None] = {}
    for parameter, reason in _uses(model):
        result[id(parameter)] = reason if result.get(id(parameter), reason) is not None else None
    return result


def _uses(model: nn.Module) -> Iterator[tuple[nn.Parameter, str | None]]:
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            yield parameter, _reason(module, name, parameter)


def _reason(module: nn.Module, name: str, parameter: nn.Parameter) -> str | None:
    if parameter.dim() < 2:
        return "fewer than two axes"
    if isinstance(module, _LAYERS):
        return None
    if isinstance(module, _TABLES):
        return "an embedding: a table that is looked up, not multiplied"
    if isinstance(module, _NORMALISATIONS):
        return "the scale of a normalisation"
    kind = _words(type(module).__name__)
    for pattern, reason in _WORDS.items():
        if any(re.fullmatch(pattern, word) for word in _words(name)):
            return reason
        # A layer says first what it multiplies by: `NormLinear` and `BiasFreeConv` are matrices.
        if not any(word.startswith(_MULTIPLIES) for word in kind) and any(
            re.fullmatch(pattern, word) for word in kind
        ):
            return reason
    if "weight" in name.lower() or sum(size > 1 for size in parameter.shape) > 1:
        return None
    return "no two axes longer than one"


def _words(name: str) -> list[str]:
    """The words of a name in either style, in lower case: `LayerNorm`, `pos_embed`."""
    return [word.lower() for word in _WORD.findall(name)]
