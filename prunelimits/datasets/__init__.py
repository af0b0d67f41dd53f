"""Data sets: small, exact, made on the spot."""

from prunelimits.datasets.spirals import cubist_spiral as cubist_spiral
from prunelimits.datasets.spirals import spiral as spiral
