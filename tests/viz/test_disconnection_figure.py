from __future__ import annotations

import pytest

from prunelimits.connectivity import disconnection_bounds, disconnection_probability
from prunelimits.viz.disconnection import disconnection_figure


def test_the_curves_are_the_numbers():
    figure = disconnection_figure(3, 5, [8, 9, 20, 50], models=2_000, seed=1, title="Two layers")
    exact, simulated, corrected, printed = figure.axes[0].get_lines()
    assert list(exact.get_xdata()) == [8, 9, 20, 50]
    expected = [float(disconnection_probability((w,) * 3, (3, 5))) for w in (8, 9, 20, 50)]
    assert list(exact.get_ydata()) == expected
    assert simulated.get_ydata() == pytest.approx(expected, abs=0.06)
    # The theorem needs a width above 3 + 5.
    assert list(corrected.get_xdata()) == [9, 20, 50]
    bounds = [disconnection_bounds(w, 3, 5) for w in (9, 20, 50)]
    assert list(corrected.get_ydata()) == [b.corrected for b in bounds]
    assert list(printed.get_ydata()) == [b.printed for b in bounds]
    assert figure.axes[0].get_title() == "Two layers"


def test_no_widths_are_refused():
    with pytest.raises(ValueError, match="widths must hold at least one width"):
        disconnection_figure(3, 5, [])
