"""The search for the sparsest network: two phases, resumable, on one machine or many."""

from prunelimits.elimination import EliminatedNetwork as EliminatedNetwork
from prunelimits.elimination import Elimination as Elimination
from prunelimits.elimination import EliminationResult as EliminationResult
from prunelimits.elimination import Round as Round
from prunelimits.elimination import eliminate as eliminate
from prunelimits.elimination import read_elimination as read_elimination
from prunelimits.resuming import StoreError as StoreError
from prunelimits.resuming.jobs import WorkersLostError as WorkersLostError
from prunelimits.search.config import SearchConfig as SearchConfig
from prunelimits.search.found import FoundNetwork as FoundNetwork
from prunelimits.search.found import PhaseSummary as PhaseSummary
from prunelimits.search.found import SearchResult as SearchResult
from prunelimits.search.found import SizeSummary as SizeSummary
from prunelimits.search.merging import merge_stores as merge_stores
from prunelimits.search.phase_under_way import Progress as Progress
from prunelimits.search.results import read_result as read_result
from prunelimits.search.spaces import EveryWidths as EveryWidths
from prunelimits.search.spaces import MasksOf as MasksOf
from prunelimits.search.spaces import Phase as Phase
from prunelimits.search.spaces import StructuredWidths as StructuredWidths
from prunelimits.search.store import Store as Store
from prunelimits.search.two_phase import combinatorial_search as combinatorial_search
from prunelimits.training.task import make_task as make_task
