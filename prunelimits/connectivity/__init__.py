"""What of a sparse network really counts: paths, dead units, constants, effective sparsity.

The words of this room, for every element of every tensor, under the masks:

- live: a path leads there from an input, so that its value depends on the input.
- carries: its value need not be zero. What carries and is not live is a constant.
- reaches: a path leads from there to an output, so that its value may be felt there.
- effective: on a path from an input to an output; live and reaching.
- dead: a unit that is not on such a path, for one of three causes: cut off from the input, cut off
  from the output, or constant.
- core: what is left of a network when everything dead is taken out.
- step: one operation of the forward pass, as a map on numbers of paths; rule: what makes a step of
  an operation, in one table that users add to.
- sound, exact: what is left out has no effect; and nothing else could be left out.
"""

from prunelimits.connectivity.analyze import analyze as analyze
from prunelimits.connectivity.analyze import effective_sparsity as effective_sparsity
from prunelimits.connectivity.compact import compact as compact
from prunelimits.connectivity.constants import fold_constants as fold_constants
from prunelimits.connectivity.coupled import coupled_units as coupled_units
from prunelimits.connectivity.disconnection import DisconnectionBounds as DisconnectionBounds
from prunelimits.connectivity.disconnection import disconnection_bounds as disconnection_bounds
from prunelimits.connectivity.disconnection import (
    disconnection_probability as disconnection_probability,
)
from prunelimits.connectivity.disconnection_simulation import (
    simulate_disconnection as simulate_disconnection,
)
from prunelimits.connectivity.effective import effective_masks as effective_masks
from prunelimits.connectivity.effective_pruning import prune_to_effective as prune_to_effective
from prunelimits.connectivity.fewer_heads import FewerHeads as FewerHeads
from prunelimits.connectivity.following.call import Call as Call
from prunelimits.connectivity.following.rules import rule as rule
from prunelimits.connectivity.report import ConnectivityReport as ConnectivityReport
from prunelimits.connectivity.report import LayerReport as LayerReport
from prunelimits.connectivity.report import ParameterKind as ParameterKind
