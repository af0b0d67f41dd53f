"""Writing a figure to a file."""

from __future__ import annotations

import io
import os

from matplotlib.figure import Figure

from prunelimits.arguments import checked_instance, checked_path
from prunelimits.resuming import write_whole

# Without the date, the same figure gives the same file but for an SVG's ids of clipping paths.
_UNDATED = {".png": {}, ".svg": {"Date": None}, ".pdf": {"CreationDate": None}}


def save_figure(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Writes `figure` as the PNG (200 dots an inch), SVG or PDF that the suffix of `path` names.

    The file appears whole or not at all: it is written beside `path` and then renamed.

    Raises:
        ValueError: If the suffix is none of .png, .svg and .pdf.
    """
    checked_instance("figure", figure, Figure, "a Figure of matplotlib")
    path = checked_path("path", path)
    suffix = path.suffix.lower()
    if suffix not in _UNDATED:
        raise ValueError(f"path must end in .png, .svg or .pdf, got {str(path)!r}")
    drawing = io.BytesIO()
    figure.savefig(drawing, format=suffix[1:], dpi=200, metadata=_UNDATED[suffix])
    write_whole(drawing.getvalue(), path)
