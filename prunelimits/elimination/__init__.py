"""Small networks by removing parts of larger ones, and letting parts grow back."""

from prunelimits.elimination.config import Elimination as Elimination
from prunelimits.elimination.data import MissingClassWarning as MissingClassWarning
from prunelimits.elimination.eliminate import NothingFoundWarning as NothingFoundWarning
from prunelimits.elimination.eliminate import eliminate as eliminate
from prunelimits.elimination.eliminate import read_elimination as read_elimination
from prunelimits.elimination.pruning import EliminationPruner as EliminationPruner
from prunelimits.elimination.regrowth import AllDivergedError as AllDivergedError
from prunelimits.elimination.regrowth import regrow as regrow
from prunelimits.elimination.regrowth_config import Regrowth as Regrowth
from prunelimits.elimination.regrowth_result import RegrownModule as RegrownModule
from prunelimits.elimination.regrowth_result import RegrowthResult as RegrowthResult
from prunelimits.elimination.result import EliminatedNetwork as EliminatedNetwork
from prunelimits.elimination.result import EliminationResult as EliminationResult
from prunelimits.elimination.result import Round as Round
from prunelimits.elimination.seeds import eliminate_seeds as eliminate_seeds
