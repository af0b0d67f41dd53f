"""The gap between pruning methods and the sparsest networks: studies, their runs and results."""

from prunelimits.experiments.gap import run_study as run_study
from prunelimits.experiments.initial import initial_network as initial_network
from prunelimits.experiments.paper import PAPER_COMBINATORIAL as PAPER_COMBINATORIAL
from prunelimits.experiments.paper import PAPER_COMBINATORIAL_FIXED as PAPER_COMBINATORIAL_FIXED
from prunelimits.experiments.paper import PAPER_PARAMETER_SAMPLES as PAPER_PARAMETER_SAMPLES
from prunelimits.experiments.paper import PAPER_SMALLEST as PAPER_SMALLEST
from prunelimits.experiments.study import PAPER_BUDGETS as PAPER_BUDGETS
from prunelimits.experiments.study import PAPER_METHODS as PAPER_METHODS
from prunelimits.experiments.study import PAPER_RECIPES as PAPER_RECIPES
from prunelimits.experiments.study import PAPER_WIDTHS as PAPER_WIDTHS
from prunelimits.experiments.study import Run as Run
from prunelimits.experiments.study import Study as Study
from prunelimits.experiments.summary import BudgetSummary as BudgetSummary
from prunelimits.experiments.summary import Size as Size
from prunelimits.experiments.summary import front as front
from prunelimits.experiments.summary import median_interval as median_interval
from prunelimits.experiments.summary import smallest as smallest
from prunelimits.experiments.summary import summarise as summarise
from prunelimits.experiments.table import RunResult as RunResult
from prunelimits.experiments.table import read_table as read_table
from prunelimits.experiments.table import write_table as write_table
from prunelimits.experiments.trim import trim as trim
