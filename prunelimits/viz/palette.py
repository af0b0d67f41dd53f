"""The colours of every figure: blue is positive, orange negative, white zero."""

from __future__ import annotations

from matplotlib.colors import LinearSegmentedColormap

BLUE = "#0877bd"
ORANGE = "#f59322"
WHITE = "#ffffff"

INK = "#2b2f36"
"""Titles and marks."""
GREY = "#7a808a"
"""Captions and frames."""
FAINT = "#dfe2e6"
"""Grid lines."""

DIVERGING = LinearSegmentedColormap.from_list("prunelimits", [ORANGE, WHITE, BLUE], N=257)
"""Orange to blue, for values scaled to [-1, 1]; the odd number of shades makes zero white."""
