"""Following a model is most of what its tests take: where they ask for it, it is done once."""

from __future__ import annotations

from collections.abc import Hashable, Mapping

import pytest
from torch import Tensor
from torch.utils import _pytree as pytree

from prunelimits.connectivity import trace
from prunelimits.connectivity.following.model import Inputs, Model, follow
from prunelimits.connectivity.following.network import Network


@pytest.fixture(scope="module")
def followed() -> dict[Hashable, Network]:
    """What a file's tests that ask for `followed_once` have followed, by the model and its call."""
    return {}


@pytest.fixture
def followed_once(followed: dict[Hashable, Network], monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that is called alike again keeps its steps, whatever its parameters are by now.

    The library promises that they do not count, and laws that hold for others than it was followed
    with say so. All else of the model must stay.
    """

    def once(model: Model, inputs: Inputs, aliases: Mapping[str, str]) -> Network:
        leaves, structure = pytree.tree_flatten(inputs)
        kinds = [(x.shape, x.dtype) if isinstance(x, Tensor) else repr(x) for x in leaves]
        call = (model, *kinds, repr(structure), *aliases.items())
        if call not in followed:
            followed[call] = follow(model, inputs, aliases)
        return followed[call]

    monkeypatch.setattr(trace, "follow", once)
