"""Fingerprints of everything that decides a result, and what differs between two descriptions."""

from __future__ import annotations

import dataclasses
import enum
import hashlib
import os
import re
import struct
from collections.abc import Mapping, Sequence, Set
from typing import Any

import numpy as np
import torch
from torch import Tensor

from prunelimits.arguments import checked_instance, checked_path, checked_text, shown
from prunelimits.resuming.errors import StoreError
from prunelimits.resuming.numbers import tensor_bytes
from prunelimits.resuming.source import source_of

# Characters of a value that an error message shows.
_SHOWN = 90
# In hexadecimal, as text or in JSON: all of it tells nobody more than its beginning.
_DIGEST = re.compile(r'"?([0-9a-f]{12})[0-9a-f]{52}"?')


def digest(*values: object) -> str:
    """SHA-256 in hexadecimal over values of any kind: the same for the same values, in any process.

    What is taken: tensors of any device, dtype and strides, NumPy arrays, numbers, texts, bytes,
    None, enumerations, dataclasses, mappings, sequences and sets of these, and functions and
    classes, which count by their source, see `source_of`. Values of different kinds have different
    digests: 1, 1.0, True, "1", and tensors and arrays of them. Lists, tuples and ranges are one
    kind, and a NumPy number is the number. The order of a mapping does not matter, that of a
    sequence does.

    Raises:
        TypeError: If a value is none of these.

    Examples:
        >>> digest(torch.ones(2, 1), {"seed": 3})[:16]
        '0f7c36adc3766204'
        >>> digest(1) == digest(1.0)
        False
        >>> digest(torch.ones(2, 3).T) == digest(torch.ones(3, 2))
        True
    """
    return _hash(list(values)).hex()


def _hash(value: object) -> bytes:
    """A hash of one value: of its kind, and of its content or its parts' hashes."""
    if isinstance(value, Tensor):
        return _hash_of_tensor(value)
    if isinstance(value, np.ndarray):
        if value.dtype.hasobject:
            return _joined("array of objects", _hash(value.shape), _hash(value.tolist()))
        head = repr((value.shape, value.dtype.str, value.dtype.descr))
        return _joined("array", head.encode(), np.ascontiguousarray(value).tobytes())
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        # Without the module's name: a class may move to another module.
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return _joined("dataclass", type(value).__qualname__.encode(), _hash(fields))
    if isinstance(value, Mapping):
        pairs: Any = value.items()
        return _joined("mapping", *sorted(_hash(key) + _hash(part) for key, part in pairs))
    if isinstance(value, Set):
        return _joined("set", *sorted(map(_hash, value)))
    if isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray):
        return _joined("sequence", *map(_hash, value))
    if callable(value):
        return _joined("source", source_of(value).encode(errors="surrogatepass"))
    return _joined(*_scalar(value))


def _scalar(value: object) -> tuple[str, bytes]:
    """Kind and content of a value without parts."""
    if isinstance(value, enum.Enum):
        return "enumeration", f"{type(value).__qualname__}.{value.name}".encode()
    if value is None or isinstance(value, bool | np.bool_):
        return "constant", repr(None if value is None else bool(value)).encode()
    if isinstance(value, int | np.integer):
        number = int(value)
        return "integer", number.to_bytes(number.bit_length() // 8 + 1, "little", signed=True)
    if isinstance(value, float | np.floating):
        return "float", struct.pack("<d", float(value))
    if isinstance(value, complex | np.complexfloating):
        return "complex", struct.pack("<dd", complex(value).real, complex(value).imag)
    if isinstance(value, str):
        return "text", value.encode(errors="surrogatepass")
    if isinstance(value, bytes | bytearray):
        return "bytes", bytes(value)
    if isinstance(value, os.PathLike):
        return "path", os.fsencode(value)  # pyright: ignore[reportUnknownArgumentType]
    if isinstance(value, torch.dtype | torch.device | torch.Size):
        return type(value).__name__, str(value).encode()
    raise TypeError(
        "a fingerprint takes tensors, arrays, numbers, texts, dataclasses, mappings, sequences and "
        f"functions, got {shown(value)}"
    )


def _hash_of_tensor(value: Tensor) -> bytes:
    head = repr((tuple(value.shape), value.dtype, value.layout)).encode()
    return _joined("tensor", head, tensor_bytes(value))


def _joined(kind: str, *parts: bytes | memoryview) -> bytes:
    """The hash of a kind and its parts; their lengths go in, so that different lists differ."""
    result = hashlib.sha256(f"{kind} {len(parts)}".encode())
    for part in parts:
        result.update(struct.pack("<Q", len(part)))
        result.update(part)
    return result.digest()


def check_same(
    path: str | os.PathLike[str] | None,
    recorded: Mapping[str, object],
    wanted: Mapping[str, object],
    what: str,
) -> None:
    """Compares what a file says that it is for with what it is to be used for.

    A list and a tuple of the same are the same, since files often have only one of them.

    Args:
        path: Of the file; None: it is in memory.
        recorded: What it says, entry by entry.
        wanted: What is asked for.
        what: What the file keeps, such as "search".

    Raises:
        TypeError: If an argument is of another kind.
        StoreError: If an entry differs or is there on one side only; the message says which.

    Examples:
        >>> check_same("s.sqlite", {"seed": 0, "target": 0.95}, {"seed": 1, "target": 0.95}, "search")
        Traceback (most recent call last):
        ...
        prunelimits.resuming.errors.StoreError: s.sqlite belongs to another search (seed is 0, asked for 1): ask for the same, or use another store
    """  # noqa: E501
    for argument, entries in (("recorded", recorded), ("wanted", wanted)):
        checked_instance(argument, entries, Mapping, "a mapping of entries by name")
    checked_text("what", what, absent=False)
    file = None if path is None else checked_path("path", path)
    differences = _differences(recorded, wanted)
    if differences:
        raise StoreError(
            f"{file} belongs to another {what} ({'; '.join(differences)}): "
            "ask for the same, or use another store"
        )


def _differences(recorded: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """What differs, entry by entry; of entries that hold entries themselves, which of those."""
    found: list[str] = []
    for name in [*wanted, *(name for name in recorded if name not in wanted)]:
        ours, theirs = _plain(wanted.get(name)), _plain(recorded.get(name))
        if name in wanted and name in recorded and ours == theirs:
            continue
        if isinstance(ours, dict) and isinstance(theirs, dict):
            found += [f"{name}.{difference}" for difference in _differences(theirs, ours)]
            continue
        one, other = (_DIGEST.fullmatch(_text(value)) for value in (theirs, ours))
        if one and other:
            found.append(f"{name} is another ({one[1]}..., asked for {other[1]}...)")
            continue
        there, here = _shortened(_text(theirs), _text(ours))
        there = there if name in recorded else "absent"
        here = here if name in wanted else "nothing of that name"
        found.append(f"{name} is {there}, asked for {here}")
    return found


def _plain(value: object) -> object:
    """A value with its tuples as lists and its mappings as dicts, for comparison."""
    if isinstance(value, Mapping):
        parts: Any = value.items()
        return {str(name): _plain(part) for name, part in parts}
    if isinstance(value, list | tuple):
        items: Any = value
        return [_plain(item) for item in items]
    return value


def _text(value: object) -> str:
    return " ".join((value if isinstance(value, str) else repr(value)).split())


def _shortened(left: str, right: str) -> tuple[str, str]:
    """Both texts; long ones cut to a part that starts shortly before they differ."""
    pairs = enumerate(zip(left, right, strict=False))
    first = next((place for place, (a, b) in pairs if a != b), min(len(left), len(right)))
    begin = max(0, first - _SHOWN // 3) if max(len(left), len(right)) > _SHOWN else 0

    def part(text: str) -> str:
        end = begin + _SHOWN
        return ("..." if begin else "") + text[begin:end] + ("..." if end < len(text) else "")

    return part(left), part(right)
