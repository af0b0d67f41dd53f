"""The initialisation that led a search to a network: where a study may start from."""

from __future__ import annotations

from prunelimits.models import MLP
from prunelimits.randomness import derive
from prunelimits.search import FoundNetwork, SearchConfig
from prunelimits.search.spaces import make_space
from prunelimits.training.ensemble import initial_params


def initial_network(config: SearchConfig, found: FoundNetwork) -> MLP:
    """The unmasked network of hidden width `config.width` that a found network was trained from.

    The found network started from its leading block, under its masks. As in Section 3.5 of
    [Sparsest Models Elude Pruning](https://arxiv.org/abs/2407.04075), pruning methods may be given
    the same start: `run_study(..., initial=...)`, `prunelimits gap --initial`.

    Args:
        config: The search.
        found: A network that it found.

    Raises:
        ValueError: If the search itself began from a network, or has no such recipe.
    """
    inputs, *hidden, outputs = found.model.widths
    widths = None if found.phase == 1 or config.every_widths else config.widths or (
        inputs, *hidden, outputs
    )  # fmt: skip
    space = make_space(config, inputs, outputs, found.phase, widths)
    keys = space.keys(range(found.rank, found.rank + 1))
    recipe = config.recipes.index(found.recipe)
    seed = int(derive(config.seed, found.phase, keys, recipe, found.repeat)[0])
    wide = (inputs, *[config.width] * len(hidden), outputs)
    params = initial_params(wide, [seed], init_width=config.width)
    return MLP.from_params(wide, {name: value[0] for name, value in params.items()})
