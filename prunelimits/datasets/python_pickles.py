"""Reading CIFAR's pickled batches without running anything that is in them."""

from __future__ import annotations

import io
import pickle
import pickletools
from pathlib import Path
from typing import Any, final

import numpy as np
from typing_extensions import override

from prunelimits.datasets.images import Pixels, read_bounded

# The largest file of CIFAR has 161 million, and a few dozen tuples.
_MOST_BYTES = 1 << 30
_MOST_TUPLES = 1000


@final
class PickledArray:
    """What a file says of a numpy array: nothing is done with it yet.

    Stands in for both `numpy.ndarray` and the function that makes an empty one, so that unpickling
    calls nothing but this class, whatever the file says.
    """

    __slots__ = ("state",)

    def __init__(self, *arguments: object) -> None:
        self.state: object = None

    def __setstate__(self, state: object) -> None:
        self.state = state

    def pixels(self) -> Pixels:
        """The array, if it is a table of bytes in C's order; it is a view and cannot be written.

        Raises:
            ValueError: If it is anything else.
        """
        match self.state:
            case (_, (int(rows), int(columns)), PickledType(code=b"u1" | "u1"), False, bytes(data)):
                return np.frombuffer(data, np.uint8).reshape(rows, columns)
            case _:
                raise ValueError("its array is no table of bytes")


@final
class PickledType:
    """What a file says of a numpy dtype."""

    __slots__ = ("code",)

    def __init__(self, *arguments: object) -> None:
        self.code = arguments[0] if arguments else None

    def __setstate__(self, state: object) -> None:
        """Byte order and the like mean nothing for bytes."""


_STAND_INS: dict[tuple[str, str], type] = {
    ("numpy.core.multiarray", "_reconstruct"): PickledArray,
    ("numpy._core.multiarray", "_reconstruct"): PickledArray,
    ("numpy", "ndarray"): PickledArray,
    ("numpy", "dtype"): PickledType,
}


def read_pickle(path: Path) -> dict[bytes, Any]:
    """A pickled dict with names as bytes and arrays as `PickledArray`.

    Anything but arrays and Python's plain containers, strings and numbers is refused.

    Raises:
        ValueError: If the file is no such pickle.
    """
    data = read_bounded(path, _MOST_BYTES)
    try:
        _check_tuples(data)
        content = _PlainUnpickler(io.BytesIO(data), encoding="bytes").load()
    # A damaged or hostile file can make the unpickler raise nearly anything.
    except Exception as error:
        raise ValueError(f"{path} must be a pickle of plain data and arrays: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} must be a pickled dict, got {type(content).__name__}")
    return content


def _check_tuples(data: bytes) -> None:
    """Raises if there are more tuples than arrays have: hashing deeply nested ones ends Python."""
    tuples = 0
    for code, _, _ in pickletools.genops(data):
        tuples += "TUPLE" in code.name or code.name == "FROZENSET"
        if tuples > _MOST_TUPLES:
            raise ValueError(f"it has more than {_MOST_TUPLES} tuples")


class _PlainUnpickler(pickle.Unpickler):
    """An unpickler that finds the stand-ins, and nothing else."""

    @override
    def find_class(self, module_name: str, global_name: str) -> type:
        if (module_name, global_name) not in _STAND_INS:
            raise pickle.UnpicklingError(f"it asks for {module_name}.{global_name}")
        return _STAND_INS[module_name, global_name]
