"""What of a sparse network really counts: paths, dead units, constants, effective sparsity."""

from prunelimits.connectivity.analyze import analyze as analyze
from prunelimits.connectivity.analyze import effective_sparsity as effective_sparsity
from prunelimits.connectivity.compact import compact as compact
from prunelimits.connectivity.constants import fold_constants as fold_constants
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
from prunelimits.connectivity.following.recording import Call as Call
from prunelimits.connectivity.following.rules import rule as rule
from prunelimits.connectivity.report import ConnectivityReport as ConnectivityReport
from prunelimits.connectivity.report import LayerReport as LayerReport
