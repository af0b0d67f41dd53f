"""Figures that show themselves as the last value of a notebook's cell."""

from __future__ import annotations

import io

from matplotlib.figure import Figure

_DPI = 100


class Picture(Figure):
    r"""A figure of matplotlib that belongs to no window, and that notebooks show.

    Notebooks show figures of `pyplot` alone; this one brings its own picture.

    Examples:
        >>> Picture((2.0, 1.0))._repr_png_()[:4]
        b'\x89PNG'
    """

    def _repr_png_(self) -> bytes:
        content = io.BytesIO()
        self.savefig(content, format="png", dpi=_DPI)
        return content.getvalue()
