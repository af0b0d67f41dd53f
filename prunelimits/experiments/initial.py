"""The initialisation that led a search to a network: where a study may start from."""

from __future__ import annotations

from prunelimits.arguments import checked_instance
from prunelimits.models import MLP
from prunelimits.modes import in_plain_modes
from prunelimits.search import FoundNetwork, SearchConfig
from prunelimits.training.initialisation import initial_params


@in_plain_modes
def initial_network(config: SearchConfig, found: FoundNetwork) -> MLP:
    """The unmasked network of hidden width `config.width` that a found network was trained from.

    The found network started from its leading block, under its masks. As in Section 3.5 of
    [Sparsest Models Elude Pruning](https://arxiv.org/abs/2407.04075), pruning methods may be given
    the same start: `run_study(..., initial=...)`, `prunelimits gap --initial`.

    Args:
        config: The search.
        found: A network that it found.

    Raises:
        TypeError: If an argument is of another kind.
        ValueError: If the search itself began from a network, or has another width.
    """
    checked_instance("config", config, SearchConfig, "a SearchConfig")
    checked_instance("found", found, FoundNetwork, "a FoundNetwork")
    if found.seed is None:
        raise ValueError(
            "found must be trained from an initialisation of its own, but its search began every "
            "training from one network: that is its start"
        )
    inputs, *hidden, outputs = found.model.widths
    if max(hidden, default=1) > config.width:
        raise ValueError(
            f"config must be that of found's search: its width is {config.width}, "
            f"found's widths are {found.model.widths}"
        )
    wide = (inputs, *[config.width] * len(hidden), outputs)
    params = initial_params(wide, [found.seed], init_width=config.width)
    return MLP.from_params(wide, {name: value[0] for name, value in params.items()})
