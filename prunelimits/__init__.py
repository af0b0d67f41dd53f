"""prunelimits: how sparse can this network be, and how close does your pruning method get?

Prune any module: `prune(model, pruner, ...)`; in a training loop of your own: `attach`,
`lottery_ticket`; the methods are in `pruners`. What of a network counts: `effective_sparsity`,
`effective_masks`, and in full `connectivity.analyze`. Masks to enumerate: `ModelMasks`,
`EligibleMasks`. Many small networks at once: `MLPEnsemble`, `fit`. The search for the sparsest
network: `search`, `elimination`; the pruning limit: `limits`; figures and pages: `viz`.
"""

from importlib.metadata import version

from prunelimits import connectivity as connectivity
from prunelimits import datasets as datasets
from prunelimits import elimination as elimination
from prunelimits import enumeration as enumeration
from prunelimits import experiments as experiments
from prunelimits import integrations as integrations
from prunelimits import limits as limits
from prunelimits import masks as masks
from prunelimits import models as models
from prunelimits import pruners as pruners
from prunelimits import quotas as quotas
from prunelimits import scores as scores
from prunelimits import search as search
from prunelimits import sessions as sessions
from prunelimits import training as training
from prunelimits import types as types
from prunelimits import viz as viz
from prunelimits.connectivity import effective_masks as effective_masks
from prunelimits.connectivity import effective_sparsity as effective_sparsity
from prunelimits.enumeration import EligibleMasks as EligibleMasks
from prunelimits.enumeration import ModelMasks as ModelMasks
from prunelimits.models import MLP as MLP
from prunelimits.problem import problem_of as problem_of
from prunelimits.pruners import prune as prune
from prunelimits.pruners import score as score
from prunelimits.saving import load as load
from prunelimits.saving import save as save
from prunelimits.sessions import attach as attach
from prunelimits.sessions import lottery_ticket as lottery_ticket
from prunelimits.training import FitResult as FitResult
from prunelimits.training import MLPEnsemble as MLPEnsemble
from prunelimits.training import Recipe as Recipe
from prunelimits.training import evaluate as evaluate
from prunelimits.training import fit as fit

__version__ = version("prunelimits")

__all__ = [
    "MLP",
    "EligibleMasks",
    "FitResult",
    "MLPEnsemble",
    "ModelMasks",
    "Recipe",
    "__version__",
    "attach",
    "connectivity",
    "datasets",
    "effective_masks",
    "effective_sparsity",
    "elimination",
    "enumeration",
    "evaluate",
    "experiments",
    "fit",
    "integrations",
    "limits",
    "load",
    "lottery_ticket",
    "masks",
    "models",
    "problem_of",
    "prune",
    "pruners",
    "quotas",
    "save",
    "score",
    "scores",
    "search",
    "sessions",
    "training",
    "types",
    "viz",
]
