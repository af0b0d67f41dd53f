"""Masks as plain data: choosing, counting, applying and converting them.

A mask is a bool tensor with its parameter's shape; True is kept. Where a documented shape begins
with `...`, there may be a leading axis of models.
"""

from prunelimits.masks.bias_rules import BiasRule as BiasRule
from prunelimits.masks.bias_rules import with_biases as with_biases
from prunelimits.masks.checks import check_bool as check_bool
from prunelimits.masks.checks import check_bools as check_bools
from prunelimits.masks.checks import check_masks as check_masks
from prunelimits.masks.coupled_units import CoupledUnits as CoupledUnits
from prunelimits.masks.coupled_units import UnitGroup as UnitGroup
from prunelimits.masks.coupled_units import UnitSlices as UnitSlices
from prunelimits.masks.entries import count as count
from prunelimits.masks.entries import flatten as flatten
from prunelimits.masks.entries import rows as rows
from prunelimits.masks.entries import unflatten as unflatten
from prunelimits.masks.modules import apply as apply
from prunelimits.masks.modules import from_torch_prune as from_torch_prune
from prunelimits.masks.modules import make_permanent as make_permanent
from prunelimits.masks.modules import nonzero_masks as nonzero_masks
from prunelimits.masks.modules import to_torch_prune as to_torch_prune
from prunelimits.masks.ranking import top as top
