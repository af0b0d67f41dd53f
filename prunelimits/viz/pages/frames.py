"""A network on a page, in every form in which people have one."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias, cast

from prunelimits.arguments import checked_instance, checked_text, shown
from prunelimits.elimination import EliminatedNetwork
from prunelimits.masks import check_bools
from prunelimits.models import MLP
from prunelimits.search import FoundNetwork
from prunelimits.types import Masks

Network: TypeAlias = (
    MLP
    | FoundNetwork
    | EliminatedNetwork
    | tuple[MLP, Masks | None]
    | tuple[str, MLP]
    | tuple[str, MLP, Masks | None]
)
"""A network that a page shows: a model; a model and its masks; either with a name in front; or what
a search or an elimination found."""


class NamedNetwork(NamedTuple):
    """What to call a network, its model, and what it keeps; None: everything."""

    label: str
    model: MLP
    masks: Masks | None


def named_network(name: str, network: object, label: str) -> NamedNetwork:
    """A `Network` with its name, or `label` if it has none.

    Args:
        name: Of the argument, for errors.
        network: To be looked at.
        label: What to call it if it has no name.

    Raises:
        TypeError: If it is no `Network`.
        ValueError: If a mask fits no parameter.
    """
    if isinstance(network, MLP):
        return NamedNetwork(label, network, None)
    if isinstance(network, FoundNetwork | EliminatedNetwork):
        return NamedNetwork(f"{network.nonzeros} nonzeros", network.model, network.masks)
    if not isinstance(network, tuple):
        raise TypeError(f"{name} must be an MLP, with its masks or without, got {shown(network)}")
    parts = list(cast("tuple[Any, ...]", network))
    if parts and isinstance(parts[0], str):
        label = parts.pop(0)
        checked_text(f"the label of {name}", label, absent=False)
    if not 1 <= len(parts) <= 2:
        raise TypeError(
            f"{name} must be an MLP, with a label in front and its masks behind it or without, "
            f"got {shown(network)}"
        )
    model = checked_instance(f"the model of {name}", parts[0], MLP, "an MLP")
    masks = parts[1] if len(parts) == 2 else None
    if masks is not None:
        check_bools(masks)
    return NamedNetwork(label, model, masks)
