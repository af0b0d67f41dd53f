"""prunelimits: how sparse can this network be, and how close does your pruning method get?"""

from prunelimits import datasets as datasets
from prunelimits import masks as masks
from prunelimits import types as types
from prunelimits.models import MLP as MLP
from prunelimits.saving import load as load
from prunelimits.saving import save as save
