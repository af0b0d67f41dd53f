"""What all charts look like around the data."""

from __future__ import annotations

from matplotlib.axes import Axes

from prunelimits.viz.palette import FAINT, GREY, INK


def draw_frame(axes: Axes) -> None:
    """A faint grid behind the data, and grey lines at the left and the bottom alone."""
    axes.grid(color=FAINT, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GREY)
    axes.tick_params(which="both", color=GREY, labelcolor=INK)
