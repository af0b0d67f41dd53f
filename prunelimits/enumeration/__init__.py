"""The spaces that a combinatorial search goes through, as sequences of masks.

The words of this room, each with one meaning:

- *mask*: a binary matrix, one weight matrix's; its *ones* are the weights that stay. *Nonzeros*
  are weights and biases of a whole network.
- *network*: the masks of all layers of an MLP together.
- *space*: a sequence of masks or networks, never listed: `EligibleMasks`, `ModelMasks`.
- *rank*: a position in a space, from 0. To *unrank* is to find the element at a rank.
- *relabelling*: another numbering of hidden units: it permutes the rows of one matrix and the
  columns of the next. An *orbit* is all networks that are relabellings of each other; the element
  that a space has for it is its *representative*.
- *used*: whether every column of a matrix must have a one, or any of them may have none.

The masks of one layer (`eligible*`):

- *row count*: the ones of a row. A *run* is the rows of a mask with equal row counts.
- *covered*: a column is, once a row has a one in it.

Networks up to relabelling (`orbit_*`, `network_orbits`, `orderly`):

- *node*: the inputs, the outputs, or a hidden layer whose units keep their numbers while what lies
  between is listed. A *cut* is a choice of nodes.
- *block*: what lies between two nodes: one weight matrix, or two and the hidden layer between them.
- *type*: what one unit of a block looks like: its row below and its column above. A block's masks
  are a multiset of types, as its units have no order; the types' codes, ascending and packed into
  one integer, are its *key*.
- *group*: all permutations of the hidden nodes' units, its *elements*; the *action* of an element
  says which type each type becomes. The *stabiliser* of a mask is the elements that leave it.
- *least*: of all masks that a group turns into each other, the one with the smallest key.

Ranks of whole networks (`chains`):

- *level*: a layer, or a block: a network takes one mask of each.
- *state*: what the masks so far decide for those of the next level: the stabiliser that is left.
- *cell*: the masks of a level with equal ones that lead from one state to the same next one.
- *chain*: one cell of each level, each starting in the state where the one before ended.
"""

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
