"""The published methods, each a combination with its paper's numbers."""

from prunelimits.pruners.catalogue.at_initialisation import (
    FORCE,
    PHEW,
    SNIP,
    Dense,
    GraSP,
    IterSNIP,
    ProsPr,
    Random,
    SmartRatio,
    SynFlow,
)
from prunelimits.pruners.catalogue.balanced import NPB
from prunelimits.pruners.catalogue.combinatorial import CHITA
from prunelimits.pruners.catalogue.dense_to_sparse import (
    GMP,
    LAMP,
    LTH,
    OBD,
    OBS,
    EarlyGMP,
    Magnitude,
)
from prunelimits.pruners.catalogue.layer_wise import OBC, SparseGPT, Wanda
from prunelimits.pruners.catalogue.learned import LOMP, EdgePopup, RareGems
from prunelimits.pruners.catalogue.method import Method
from prunelimits.pruners.catalogue.sparse_to_sparse import DSR, SET, SNFS, DeepR, RigL

_METHODS: tuple[type[Method], ...] = (
    SNIP, GraSP, SynFlow, IterSNIP, FORCE, ProsPr, GMP, LTH, RigL,
    Magnitude, Random, SmartRatio, Dense, SET, SNFS, DSR, DeepR,
    OBD, OBS, LAMP, PHEW, EdgePopup, RareGems, LOMP,
    Wanda, OBC, SparseGPT, CHITA, NPB, EarlyGMP,
)  # fmt: skip


def all() -> tuple[type[Method], ...]:
    """The classes of the published methods; each can be made without arguments.

    Examples:
        >>> [method.__name__ for method in all() if method.category == "sparse to sparse"][0]
        'RigL'
    """
    return _METHODS
