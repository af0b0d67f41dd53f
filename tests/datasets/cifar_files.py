"""Writers of CIFAR's files, opcode by opcode and byte by byte."""

from __future__ import annotations

import struct
from functools import cache


def pixel(image: int, place: int) -> int:
    return (11 * image + place) % 256


@cache
def pixels(first: int, count: int) -> bytes:
    return bytes(pixel(i, p) for i in range(first, first + count) for p in range(3072))


def binary(labels: list[tuple[int, ...]], first: int) -> bytes:
    """Records: the labels, then the pixels."""
    return b"".join(bytes(label) + pixels(first + number, 1) for number, label in enumerate(labels))


def short(text: bytes) -> bytes:
    return b"U" + bytes([len(text)]) + text


def integer(number: int) -> bytes:
    return b"J" + struct.pack("<i", number)


def array(rows: int, columns: int, data: bytes, kind: bytes = b"u1") -> bytes:
    """How Python 2 pickled an array: an empty one is made, then given its state."""
    made = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n(K\0t" + short(b"b") + b"\x87R"
    of_type = b"cnumpy\ndtype\n" + short(kind) + b"K\0K\1\x87R"
    of_type += b"(K\3" + short(b"|") + b"NNN" + integer(-1) + integer(-1) + b"K\0tb"
    text = b"T" + struct.pack("<i", len(data)) + data
    return (
        made
        + b"(K\1"
        + integer(rows)
        + integer(columns)
        + b"\x86"
        + of_type
        + b"\x89"
        + text
        + b"tb"
    )


def numbers(values: list[int]) -> bytes:
    return b"](" + b"".join(integer(value) for value in values) + b"e"


def pickled(entries: dict[bytes, bytes]) -> bytes:
    """A pickle of a dict by Python 2, protocol 2."""
    items = b"".join(short(name) + value for name, value in entries.items())
    return b"\x80\2}(" + items + b"u."
