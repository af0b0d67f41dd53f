"""`python -m prunelimits.cli`."""

import sys

from prunelimits.cli import main

sys.exit(main())
