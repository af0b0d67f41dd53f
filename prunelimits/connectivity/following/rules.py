"""All rules, read in: operation -> rule, in the one table that users may add to."""

from __future__ import annotations

from prunelimits.connectivity.following import (
    elementwise as elementwise,
)
from prunelimits.connectivity.following import (
    fourier as fourier,
)
from prunelimits.connectivity.following import (
    mixing as mixing,
)
from prunelimits.connectivity.following import (
    moving as moving,
)
from prunelimits.connectivity.following import (
    multiplying as multiplying,
)
from prunelimits.connectivity.following import (
    normalising as normalising,
)
from prunelimits.connectivity.following import (
    pooling as pooling,
)
from prunelimits.connectivity.following import (
    products as products,
)
from prunelimits.connectivity.following import (
    writing as writing,
)
from prunelimits.connectivity.following.table import RULES as RULES
from prunelimits.connectivity.following.table import rule as rule
