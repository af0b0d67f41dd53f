"""Elimination: small networks by removing parts of large ones, again and again."""

from prunelimits.elimination.config import Elimination as Elimination
from prunelimits.elimination.eliminate import NothingFoundWarning as NothingFoundWarning
from prunelimits.elimination.eliminate import eliminate as eliminate
from prunelimits.elimination.eliminate import read_elimination as read_elimination
from prunelimits.elimination.pruning import EliminationPruner as EliminationPruner
from prunelimits.elimination.result import EliminatedNetwork as EliminatedNetwork
from prunelimits.elimination.result import EliminationResult as EliminationResult
from prunelimits.elimination.result import Round as Round
from prunelimits.elimination.seeds import eliminate_seeds as eliminate_seeds
