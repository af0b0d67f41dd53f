"""Checks of arguments that several parts of the library take.

One rule for each kind of argument, so that every public function refuses alike: a `TypeError` for
another kind of value, a `ValueError` for one out of its range. Both name the argument, the value
and what is allowed.
"""

from prunelimits.arguments.paths import checked_file as checked_file
from prunelimits.arguments.paths import checked_kept_file as checked_kept_file
from prunelimits.arguments.paths import checked_path as checked_path
from prunelimits.arguments.shown import shown as shown
from prunelimits.arguments.telling import warn as warn
from prunelimits.arguments.tensors import checked_device as checked_device
from prunelimits.arguments.tensors import checked_loss as checked_loss
from prunelimits.arguments.tensors import checked_tensor as checked_tensor
from prunelimits.arguments.tensors import checked_tensors as checked_tensors
from prunelimits.arguments.values import checked_callable as checked_callable
from prunelimits.arguments.values import checked_choice as checked_choice
from prunelimits.arguments.values import checked_flag as checked_flag
from prunelimits.arguments.values import checked_generator as checked_generator
from prunelimits.arguments.values import checked_instance as checked_instance
from prunelimits.arguments.values import checked_integer as checked_integer
from prunelimits.arguments.values import checked_integers as checked_integers
from prunelimits.arguments.values import checked_items as checked_items
from prunelimits.arguments.values import checked_number as checked_number
from prunelimits.arguments.values import checked_sequence as checked_sequence
from prunelimits.arguments.values import checked_size as checked_size
from prunelimits.arguments.values import checked_sizes as checked_sizes
from prunelimits.arguments.values import checked_text as checked_text
