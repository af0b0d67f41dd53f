"""Small .rda files in R's text format, written line by line as R writes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

_TEXT, _STRINGS, _INTEGERS, _NUMBERS, _LOGICALS = 262153, 16, 13, 14, 10
_SYMBOL, _PAIR, _END = 1, 1026, 254
# A list and a vector of integers with attributes, and with a class.
_OBJECT_LIST, _OBJECT_INTEGERS = 19 + 256 + 512, 13 + 256 + 512


class Factor(NamedTuple):
    """Codes from 1, None where missing, of levels."""

    codes: Sequence[int | None]
    levels: Sequence[str]
    ordered: bool = False


Column = Factor | Sequence[float | None] | Sequence[bool]


def rda(frames: Mapping[str, Mapping[str, Column]]) -> bytes:
    """The file that keeps data frames under these names."""
    lines: list[object] = ["RDA2", "A", 2, 262146, 131840]
    for name, frame in frames.items():
        lines += [_PAIR, *_symbol(name), _OBJECT_LIST, len(frame)]
        rows = 0
        for column in frame.values():
            values, rows = _column(column)
            lines += values
        lines += [
            *_attribute("names", _strings(list(frame))),
            *_attribute("class", _strings(["data.frame"])),
            *_attribute("row.names", [_INTEGERS, 2, "NA", -rows]),
            _END,
        ]
    return "\n".join(map(str, [*lines, _END, ""])).encode()


def _column(column: Column) -> tuple[list[object], int]:
    if isinstance(column, Factor):
        kind = ["ordered", "factor"] if column.ordered else ["factor"]
        codes = ["NA" if code is None else code for code in column.codes]
        return [
            _OBJECT_INTEGERS, len(codes), *codes,
            *_attribute("levels", _strings(column.levels)),
            *_attribute("class", _strings(kind)),
            _END,
        ], len(codes)  # fmt: skip
    if all(isinstance(value, bool) for value in column):
        return [_LOGICALS, len(column), *map(int, column)], len(column)
    numbers = ["NA" if value is None else f"{value:.17g}" for value in column]
    return [_NUMBERS, len(numbers), *numbers], len(numbers)


def _attribute(name: str, value: Sequence[object]) -> list[object]:
    return [_PAIR, *_symbol(name), *value]


def _symbol(name: str) -> list[object]:
    return [_SYMBOL, _TEXT, len(name), name]


def _strings(texts: Sequence[str]) -> list[object]:
    return [_STRINGS, len(texts), *(part for text in texts for part in (_TEXT, len(text), text))]
