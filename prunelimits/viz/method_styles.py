"""How each pruning method looks: one colour and marker, whatever else is in the picture."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from colorsys import hsv_to_rgb
from typing import NamedTuple

from matplotlib.colors import to_hex, to_rgb

# Paul Tol's "muted" scheme, which the colour-blind can tell apart, for the nine of the paper.
_COLOURS = {
    "LTH": "#332288", "GMP": "#cc6677", "RigL": "#117733", "GraSP": "#88ccee", "ProsPr": "#882255",
    "SNIP": "#ddaa33", "IterSNIP": "#44aa99", "FORCE": "#aa4499", "SynFlow": "#999933",
    # The rest of the catalogue: paler or darker than those, as they are fewer in a picture.
    "Magnitude": "#6b7a8f", "Random": "#a3a3a3", "SmartRatio": "#8b5a2b", "Dense": "#4d4d4d",
    "SET": "#2f6f9f", "SNFS": "#5c8a3a", "DSR": "#b07aa1", "DeepR": "#c49c6b", "OBD": "#7f6bb0",
    "OBS": "#3d5a80", "LAMP": "#d08770", "PHEW": "#76a5af", "EdgePopup": "#9c4f4f",
    "RareGems": "#5d9e7e", "LOMP": "#c27ba0", "Elimination": "#274e13", "Wanda": "#b8860b",
    "OBC": "#1f4e79", "SparseGPT": "#7a8f3c", "CHITA": "#a0522d", "NPB": "#4b8f8c",
    "EarlyGMP": "#b5495b", "Regrowth": "#12636b",
}  # fmt: skip
_MARKERS = "os^DvPX<>hp"
# Of one's own: stronger than all others.
_OWN_COLOURS = ("#e6001a", "#0057ff", "#ff6f00", "#00a31b", "#c800d8", "#00a8c6", "#7a3b00")
_SHADES = (0.45, -0.35, 0.65, -0.55, 0.25, -0.2)
_GOLDEN = 0.6180339887


class MethodStyle(NamedTuple):
    """How a method is drawn.

    Attributes:
        colour: As `#rrggbb`.
        marker: As matplotlib names it.
        own: Whether it is a method of one's own, which is emphasised.
    """

    colour: str
    marker: str
    own: bool

    @property
    def width(self) -> float:
        """Of lines, in points."""
        return 2.6 if self.own else 1.4

    @property
    def size(self) -> float:
        """Of markers, in points."""
        return 6.0 if self.own else 4.0


def method_styles(methods: Iterable[str]) -> dict[str, MethodStyle]:
    """A style for each method, all of different colours.

    A method of the catalogue has its own colour in every figure. With settings in its name it has a
    shade of it. A method of one's own has a strong colour that its name decides; only where two
    names would share one does the later in the alphabet take another.

    Args:
        methods: Names, as `Study.names` gives them.

    Examples:
        >>> method_styles(["SNIP", "Mine"])["SNIP"] == method_styles(["SNIP"])["SNIP"]
        True
        >>> [style.own for style in method_styles(["SNIP", "SNIP(rounds=2)", "Mine"]).values()]
        [False, False, True]
    """
    order = list(dict.fromkeys(methods))
    chosen = {name: _catalogue(name) for name in order if name in _COLOURS}
    for name in sorted(set(order) - chosen.keys()):
        chosen[name] = _other(name, [style.colour for style in chosen.values()])
    return {name: chosen[name] for name in order}


def _catalogue(name: str) -> MethodStyle:
    place = list(_COLOURS).index(name)
    return MethodStyle(_COLOURS[name], _MARKERS[place % len(_MARKERS)], own=False)


def _other(name: str, taken: Sequence[str]) -> MethodStyle:
    """A shade of its class's colour, or a strong one: the first from a place its name decides."""
    base = name.partition("(")[0]
    place = zlib.crc32(name.encode())
    own = base not in _COLOURS
    colours = _OWN_COLOURS if own else [_shade(_COLOURS[base], amount) for amount in _SHADES]
    free = (colours[(place + further) % len(colours)] for further in range(len(colours)))
    # More names than colours: hues as far from each other as they can be.
    more = (to_hex(hsv_to_rgb((_GOLDEN * n) % 1, 0.9, 0.75)) for n in range(len(taken) + 1))
    colour = next(c for c in (*free, *more) if c not in taken)
    return MethodStyle(colour, _MARKERS[place % len(_MARKERS)], own=own)


def _shade(colour: str, amount: float) -> str:
    """Nearer to white, or below zero to black."""
    end = 1.0 if amount > 0 else 0.0
    red, green, blue = (part + abs(amount) * (end - part) for part in to_rgb(colour))
    return to_hex((red, green, blue))
