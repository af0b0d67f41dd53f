"""prunelimits: how sparse can this network be, and how close does your pruning method get?"""

from importlib.metadata import version

from prunelimits import datasets as datasets
from prunelimits import enumeration as enumeration
from prunelimits import masks as masks
from prunelimits import search as search
from prunelimits import training as training
from prunelimits import types as types
from prunelimits.enumeration import EligibleMasks as EligibleMasks
from prunelimits.enumeration import ModelMasks as ModelMasks
from prunelimits.models import MLP as MLP
from prunelimits.saving import load as load
from prunelimits.saving import save as save
from prunelimits.training import FitResult as FitResult
from prunelimits.training import MLPEnsemble as MLPEnsemble
from prunelimits.training import Recipe as Recipe
from prunelimits.training import evaluate as evaluate
from prunelimits.training import fit as fit

__version__ = version("prunelimits")
