"""Training many networks at once: recipes, ensembles, engines."""

from prunelimits.sessions import PruningSession as PruningSession
from prunelimits.sessions import attach as attach
from prunelimits.sessions import lottery_ticket as lottery_ticket
from prunelimits.training.cost import Cost as Cost
from prunelimits.training.cost import training_cost as training_cost
from prunelimits.training.engine import AbstractEngine as AbstractEngine
from prunelimits.training.engine import Evaluation as Evaluation
from prunelimits.training.engine import Loss as Loss
from prunelimits.training.engines import default_engine as default_engine
from prunelimits.training.ensemble import MLPEnsemble as MLPEnsemble
from prunelimits.training.evolution import evolve as evolve
from prunelimits.training.fit import FitResult as FitResult
from prunelimits.training.fit import evaluate as evaluate
from prunelimits.training.fit import fit as fit
from prunelimits.training.recipe import Recipe as Recipe
from prunelimits.training.recipe import search_recipes as search_recipes
from prunelimits.training.torch_engine import TorchEngine as TorchEngine
