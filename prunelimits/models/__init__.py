"""Networks that the library builds, trains and saves itself."""

from prunelimits.models.mlp import MLP as MLP
from prunelimits.models.mlp import check_widths as check_widths
from prunelimits.models.mlp import leading_block as leading_block
from prunelimits.models.mlp import parameter_shapes as parameter_shapes
