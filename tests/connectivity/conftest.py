"""Following a model is most of what its tests take: where they ask for it, it is done once."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping

import pytest
from torch import Tensor
from torch.utils import _pytree as pytree

from prunelimits.connectivity import trace
from prunelimits.connectivity.following.model import Inputs, Model, follow
from prunelimits.connectivity.following.network import Network


@pytest.fixture(scope="module")
def followed_once() -> Iterator[None]:
    """A model that is called alike again keeps its steps, whatever its numbers are by now.

    The library promises that its numbers do not count, and laws that hold for other numbers than it
    was followed with say so.
    """
    known: dict[Hashable, Network] = {}

    def once(model: Model, inputs: Inputs, aliases: Mapping[str, str]) -> Network:
        leaves, structure = pytree.tree_flatten(inputs)
        kinds = [(x.shape, x.dtype) if isinstance(x, Tensor) else repr(x) for x in leaves]
        call = (model, *kinds, repr(structure), *aliases.items())
        if call not in known:
            known[call] = follow(model, inputs, aliases)
        return known[call]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trace, "follow", once)
        yield
