"""The spaces that a combinatorial search goes through, as sequences of masks.

The words of this room, each with one meaning:

- *mask*: a binary matrix of the shape of a weight matrix; its *ones* are the weights that are kept.
  *Nonzeros* are the kept weights and biases of a whole network, counted together.
- *network*: the masks of all layers of an MLP together.
- *space*: a sequence of masks or networks, never listed: `EligibleMasks`, `ModelMasks`.
- *rank*: a position in a space, from 0. To *unrank* is to find the element at a rank.
- *relabelling*: another numbering of hidden units: it permutes the rows of one matrix and the
  columns of the next. An *orbit* is all networks that are relabellings of each other; the element
  that a space has for it is its *representative*.
- *used*: a unit is, if the matrix above it has a one in its column. `"all"`: every unit must be;
  `"any"`: columns may be zero.

The masks of one layer (`eligible*`):

- *eligible*: the paper's word for a mask that is listed: no zero row, no zero column, rows sorted.
- *row count*: the ones of a row. A *run* is the rows of a mask with equal row counts.
- *covered*: of the rows chosen so far, at least one has a one in this column.

Networks up to relabelling (`orbit_*`, `network_orbits`, `orderly`):

- *node*: the inputs, the outputs, or a hidden layer whose units keep their numbers while the masks
  between two nodes are listed. A *cut* is a choice of nodes.
- *block*: what lies between two nodes: one weight matrix, or two and the hidden layer between them.
- *type*: what one unit of a block looks like: its row below and its column above. A block's masks
  are a multiset of types, as its units have no order; the types' codes, ascending and packed into
  one integer, are its *key*.
- *group*: all permutations of the hidden nodes' units, its *elements*; the *action* of an element
  says which type each type becomes. The *stabiliser* of a mask is the elements that leave it
  unchanged.
- *least*: of all masks that a group turns into each other, the one with the smallest key.

Ranks of whole networks (`chains`):

- *level*: a layer, or a block: a network takes one mask of each.
- *state*: what the masks so far decide for the next level: the stabiliser that is left. Where the
  levels are independent there is one state.
- *cell*: the masks of a level that have equally many ones and lead from the same state to the same
  next state.
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
