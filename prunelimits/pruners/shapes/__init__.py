"""What is kept or cut together: single weights, N of every M, blocks, tiles of one's own, units."""

from prunelimits.pruners.shapes.n_of_m import NOfM as NOfM
from prunelimits.pruners.shapes.shape import Shape as Shape
from prunelimits.pruners.shapes.tiling import Blocks as Blocks
from prunelimits.pruners.shapes.tiling import Tiling as Tiling
from prunelimits.pruners.shapes.units import Units as Units
from prunelimits.pruners.shapes.weights import Weights as Weights
