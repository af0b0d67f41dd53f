"""Figures of networks and results, drawn with matplotlib: `pip install "prunelimits[plot]"`.

Every function returns a `matplotlib.figure.Figure` that belongs to no window: `figure.savefig` and
`save_figure` work without a display, and no global setting of matplotlib is changed.
"""

from importlib.util import find_spec

if find_spec("matplotlib") is None:
    raise ImportError('prunelimits.viz draws with matplotlib: pip install "prunelimits[plot]"')

from prunelimits.viz.accuracy import accuracy_figure as accuracy_figure
from prunelimits.viz.network import network_figure as network_figure
from prunelimits.viz.save import save_figure as save_figure
