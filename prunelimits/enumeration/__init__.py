"""The spaces that a combinatorial search goes through, as sequences of masks."""

from prunelimits.enumeration.burnside import count_networks as count_networks
from prunelimits.enumeration.burnside import (
    count_networks_by_nonzeros as count_networks_by_nonzeros,
)
from prunelimits.enumeration.canonical import canonical as canonical
from prunelimits.enumeration.canonical import same_network as same_network
from prunelimits.enumeration.eligible import EligibleMasks as EligibleMasks
from prunelimits.enumeration.every_widths import every_widths as every_widths
from prunelimits.enumeration.lazy_sequence import SequenceSlice as SequenceSlice
from prunelimits.enumeration.model_masks import ModelMasks as ModelMasks
