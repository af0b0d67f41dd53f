"""Figures of networks and results, and interactive pages about them.

Figures are drawn with matplotlib: `pip install "prunelimits[plot]"`. Every figure function returns
a `matplotlib.figure.Figure` that belongs to no window: `figure.savefig` and `save_figure` work
without a display, and no global setting of matplotlib is changed. Pages need nothing but a browser.
"""

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

from prunelimits.viz.pages import Page as Page
from prunelimits.viz.pages import comparison as comparison
from prunelimits.viz.pages import film as film
from prunelimits.viz.pages import gallery as gallery
from prunelimits.viz.pages import play as play
from prunelimits.viz.pages import playground as playground

if TYPE_CHECKING:
    from prunelimits.viz.accuracy import accuracy_figure as accuracy_figure
    from prunelimits.viz.disconnected import disconnected_figure as disconnected_figure
    from prunelimits.viz.disconnection import disconnection_figure as disconnection_figure
    from prunelimits.viz.gap import gap_figure as gap_figure
    from prunelimits.viz.limit import limit_figure as limit_figure
    from prunelimits.viz.network import network_figure as network_figure
    from prunelimits.viz.save import save_figure as save_figure

_FIGURES = {
    "accuracy_figure": "accuracy",
    "disconnected_figure": "disconnected",
    "disconnection_figure": "disconnection",
    "gap_figure": "gap",
    "limit_figure": "limit",
    "network_figure": "network",
    "save_figure": "save",
}


def __getattr__(name: str) -> object:
    """A function that draws, imported when it is asked for: pages need no matplotlib."""
    if name not in _FIGURES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if find_spec("matplotlib") is None:
        raise ImportError('figures are drawn with matplotlib: pip install "prunelimits[plot]"')
    return getattr(import_module(f"{__name__}.{_FIGURES[name]}"), name)
