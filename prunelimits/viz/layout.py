"""Where the squares of a network figure stand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_SPACE = 0.55  # between two squares of a column: room for a bias chip
_MARGIN = 1.0
_ABOVE = 1.35  # over the columns: room for the title
_BELOW = 1.25  # under the columns: room for the captions


@dataclass(frozen=True)
class Square:
    """A square by its lower left corner and its side."""

    left: float
    bottom: float
    side: float

    @property
    def right(self) -> float:
        """The x of its right side."""
        return self.left + self.side

    @property
    def middle(self) -> float:
        """The y of its centre."""
        return self.bottom + self.side / 2


@dataclass(frozen=True)
class Layout:
    """Squares on a canvas whose unit is the side of a hidden unit's square.

    Attributes:
        columns: The square of each unit of a layer, from the inputs to the output.
        centres: The x of each column's centre.
        floor: The y of the lowest square's bottom.
        width: The canvas's width.
        height: The canvas's height.
        inches: The length of the unit in the figure.
    """

    columns: list[dict[int, Square]]
    centres: list[float]
    floor: float
    width: float
    height: float
    inches: float


def place(units: Sequence[Sequence[int]], lines: float = 0.0) -> Layout:
    """The layout of the units of each layer, each layer a column with its first unit on top.

    Columns are centred on one horizontal axis. The taller they are, the further apart they stand
    and the larger the last layer's square: a third of the tallest, within 4 to 12 units. Below the
    captions there are so many inches of room for `lines`.

    Examples:
        >>> layout = place([[0, 1], [0, 2, 3], [0]])
        >>> layout.columns[1][0].middle > layout.columns[1][2].middle == layout.columns[2][0].middle
        True
    """
    tallest = max(len(layer) for layer in units) * (1 + _SPACE) - _SPACE
    output = min(max(4.0, tallest / 3), 12.0)
    tallest = max(tallest, output)
    gap = 2.0 + 0.1 * tallest
    # Small networks at a comfortable size; large ones shrink, but never below legibility.
    inches = min(0.62, max(0.3, 9 / tallest))
    below = _BELOW + lines / inches
    axis = below + tallest / 2
    columns: list[dict[int, Square]] = []
    centres: list[float] = []
    left = _MARGIN
    for layer in units:
        side = output if len(columns) == len(units) - 1 else 1.0
        top = axis + (len(layer) * (side + _SPACE) - _SPACE) / 2
        columns.append(
            {
                unit: Square(left, top - side - row * (side + _SPACE), side)
                for row, unit in enumerate(layer)
            }
        )
        centres.append(left + side / 2)
        left += side + gap
    height = below + tallest + _ABOVE
    return Layout(columns, centres, below, left - gap + _MARGIN, height, inches)
