"""Elimination: small networks by removing parts of large ones, again and again."""

from prunelimits.search.elimination.config import Elimination as Elimination
from prunelimits.search.elimination.eliminate import eliminate as eliminate
from prunelimits.search.elimination.eliminate import read_elimination as read_elimination
from prunelimits.search.elimination.result import EliminatedNetwork as EliminatedNetwork
from prunelimits.search.elimination.result import EliminationResult as EliminationResult
from prunelimits.search.elimination.result import Round as Round
