"""When is pruned, and how many survive each time."""

from prunelimits.pruners.schedules.at_once import AtOnce as AtOnce
from prunelimits.pruners.schedules.curves import Curve as Curve
from prunelimits.pruners.schedules.curves import cosine as cosine
from prunelimits.pruners.schedules.curves import cubic as cubic
from prunelimits.pruners.schedules.curves import geometric as geometric
from prunelimits.pruners.schedules.curves import linear as linear
from prunelimits.pruners.schedules.drop_grow import DropGrow as DropGrow
from prunelimits.pruners.schedules.drop_grow import Growth as Growth
from prunelimits.pruners.schedules.drop_grow import at_random as at_random
from prunelimits.pruners.schedules.drop_grow import by_gradient as by_gradient
from prunelimits.pruners.schedules.gradual import Gradual as Gradual
from prunelimits.pruners.schedules.moving import Moves as Moves
from prunelimits.pruners.schedules.moving import Moving as Moving
from prunelimits.pruners.schedules.rewind import Rewind as Rewind
from prunelimits.pruners.schedules.schedule import Category as Category
from prunelimits.pruners.schedules.schedule import Schedule as Schedule
