"""Pickled descriptions of tensors, followed step by step without Python's unpickler.

A pickle is a program for a stack machine. The few steps that plain containers and tensors need are
done here; anything else, such as a call of a function, is refused.
"""

from __future__ import annotations

import math
import pickletools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

DTYPES = {
    "torch BoolStorage": torch.bool,
    "torch ByteStorage": torch.uint8,
    "torch CharStorage": torch.int8,
    "torch ShortStorage": torch.int16,
    "torch IntStorage": torch.int32,
    "torch LongStorage": torch.int64,
    "torch HalfStorage": torch.float16,
    "torch BFloat16Storage": torch.bfloat16,
    "torch FloatStorage": torch.float32,
    "torch DoubleStorage": torch.float64,
    "torch ComplexFloatStorage": torch.complex64,
    "torch ComplexDoubleStorage": torch.complex128,
}
# These have no storage class of their own: torch writes bytes, and the tensor names the dtype.
BYTES_DTYPES = {
    f"torch {name}": getattr(torch, name)
    for name in ("uint16", "uint32", "uint64", "float8_e4m3fn", "float8_e5m2")
}
_BYTES = "torch.storage UntypedStorage"
_TENSOR, _PARAMETER = "torch._utils _rebuild_tensor_v2", "torch._utils _rebuild_parameter"
_TENSOR_OF_BYTES = "torch._utils _rebuild_tensor_v3"
_STORAGES = {**DTYPES, _BYTES: torch.uint8}
_ORDERED = "collections OrderedDict"
_EMPTY: dict[str, type] = {"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple}
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_VALUES = frozenset(
    ("BINUNICODE", "SHORT_BINUNICODE", "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT")
)
_SIZES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
# What makes objects of other kinds.
_OBJECTS = frozenset(("NEWOBJ", "NEWOBJ_EX", "OBJ", "INST"))
_MOST_AXES = 64
# Code that goes through the content later may be recursive, and Python's recursion is limited.
_DEEPEST = 32
_FEW = 64


@dataclass(frozen=True)
class _Name:
    """A name that stands for a function or class; it is never looked up."""

    name: str


@dataclass(frozen=True, eq=False)
class _Storage:
    """A tensor's numbers, one after the other."""

    numbers: Tensor


class _Mark:
    """Where the items of a container begin on the stack."""


class DescribedContent:
    """The content that a pickle describes, with tensors from storages beside it.

    Args:
        pickled: The description.
        storages: Bytes by the name that the description gives them.

    Raises:
        ValueError: If a step is none of those that plain containers of tensors need.
        Exception: Whatever else a description that was not written by `torch.save` leads to.
    """

    def __init__(self, pickled: bytes, storages: Mapping[str, bytes]) -> None:
        self._pickled, self._storages = pickled, storages
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def read(self) -> object:
        """Follows the description to its end."""
        for step, argument in _steps(self._pickled):
            if step == "STOP":
                break
            self._do(step, argument)
        (result,) = self._stack
        _check_content(result, sum(map(len, self._storages.values())))
        return result

    def _do(self, step: str, argument: Any) -> None:  # noqa: ANN401
        stack = self._stack
        match step:
            case "PROTO" | "FRAME":
                pass
            case "MARK":
                stack.append(_Mark())
            case "BINPUT" | "LONG_BINPUT":
                self._memo[argument] = stack[-1]
            case "MEMOIZE":
                self._memo[len(self._memo)] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(self._memo[argument])
            case "GLOBAL":
                stack.append(_Name(argument))
            case "BINPERSID":
                stack.append(self._storage(stack.pop()))
            case "REDUCE":
                arguments = stack.pop()
                stack.append(self._built(stack.pop(), arguments))
            case "BUILD":
                # The attributes of a state dict, which say nothing about its tensors.
                stack.pop()
                _expect(stack[-1], dict)
            case "APPEND" | "APPENDS":
                items = self._since_mark() if step == "APPENDS" else [stack.pop()]
                _expect(stack[-1], list).extend(items)
            case "SETITEM" | "SETITEMS":
                items = self._since_mark() if step == "SETITEMS" else [stack.pop(-2), stack.pop()]
                _set_items(_expect(stack[-1], dict), items)
            case "TUPLE":
                stack.append(tuple(self._since_mark()))
            case _:
                self._push(step, argument)

    def _push(self, step: str, argument: Any) -> None:  # noqa: ANN401
        stack = self._stack
        if step in _SIZES:
            stack[-_SIZES[step] :] = [tuple(stack[-_SIZES[step] :])]
        elif step in _EMPTY:
            stack.append(_EMPTY[step]())
        elif step in _CONSTANTS:
            stack.append(_CONSTANTS[step])
        elif step in _VALUES:
            stack.append(argument)
        else:
            whole = ", such as a whole model: save its state_dict()" if step in _OBJECTS else ""
            raise ValueError(
                f"it holds something else than tensors and plain values ({step}){whole}"
            )

    def _since_mark(self) -> list[Any]:
        items: list[Any] = []
        while not isinstance(item := self._stack.pop(), _Mark):
            items.append(item)
        return items[::-1]

    def _storage(self, identity: object) -> _Storage:
        """The numbers that `("storage", type, name, device, count)` stands for."""
        kind, name, key, _, count = _expect(identity, tuple)
        dtype = _STORAGES.get(name.name) if isinstance(name, _Name) else None
        if kind != "storage" or dtype is None:
            raise ValueError(f"it holds tensors of another kind: {_shown(name)}")
        data = self._storages[key]
        if len(data) != _expect(count, int) * dtype.itemsize:
            raise ValueError(f"storage {key!r} has {len(data)} bytes, not {count} of {dtype}")
        if dtype == torch.bool and data.strip(b"\0\1"):
            raise ValueError(f"storage {key!r} holds bools other than 0 and 1")
        return _Storage(_tensor(data, dtype))

    def _built(self, name: object, arguments: object) -> object:
        parts = _expect(arguments, tuple)
        match name:
            case _Name(name=called) if called == _ORDERED and not parts:
                return {}
            case _Name(name=called) if called == _PARAMETER and isinstance(parts[0], Tensor):
                return parts[0]
            case _Name(name=called) if called == _TENSOR:
                # After the backward hooks comes whether the view is conjugate or negative.
                if any(parts[6:]):
                    raise ValueError("it holds a conjugate or negative view of a tensor")
                return self._view(_expect(parts[0], _Storage).numbers, *parts[1:4])
            case _Name(name=called) if called == _TENSOR_OF_BYTES:
                dtype = BYTES_DTYPES.get(_shown(parts[6]))
                if dtype is None or any(parts[7:]):
                    raise ValueError(f"it holds tensors of another kind: {_shown(parts[6])}")
                numbers = _expect(parts[0], _Storage).numbers.view(dtype)
                return self._view(numbers, *parts[1:4])
            case _:
                raise ValueError(f"it calls {_shown(name)}, which is no part of a tensor")

    def _view(self, numbers: Tensor, offset: object, size: object, stride: object) -> Tensor:
        """A view of a storage; refused if two of its entries would be the same number there."""
        sizes = [_expect(item, int) for item in _expect(size, tuple)]
        strides = [_expect(item, int) for item in _expect(stride, tuple)]
        first = _expect(offset, int)
        if len(sizes) != len(strides) or len(sizes) > _MOST_AXES or min([first, *sizes]) < 0:
            raise ValueError(f"a tensor has sizes {sizes[:9]} and strides {strides[:9]}")
        if not math.prod(sizes):
            return torch.empty(sizes, dtype=numbers.dtype, device="cpu")
        reach = 1
        for step, length in sorted(zip(strides, sizes, strict=True)):
            if length > 1 and step < reach:
                raise ValueError(f"a tensor of sizes {sizes} has strides {strides}, which overlap")
            reach += step * (length - 1) if length > 1 else 0
        if first + reach > len(numbers):
            raise ValueError(f"a tensor of sizes {sizes} is larger than what is stored of it")
        return torch.as_strided(numbers, sizes, strides, first)


def _shown(name: object) -> str:
    return name.name[:80] if isinstance(name, _Name) else f"a {type(name).__name__}"


def _steps(pickled: bytes) -> Iterator[tuple[str, Any]]:
    for code, argument, _ in pickletools.genops(pickled):
        yield code.name, argument


def _tensor(data: bytes, dtype: torch.dtype) -> Tensor:
    if not data:
        return torch.empty(0, dtype=dtype, device="cpu")
    # Copied, for bytes may not be written to.
    return torch.frombuffer(bytearray(data), dtype=dtype)


def _expect(value: Any, kind: type) -> Any:  # noqa: ANN401
    if type(value) is not kind:
        raise ValueError(f"it holds a {type(value).__name__} in place of a {kind.__name__}")
    return value


def _set_items(target: dict[Any, Any], items: list[Any]) -> None:
    for key, value in zip(items[::2], items[1::2], strict=True):
        # Keys of other types may take long to hash and compare.
        if not isinstance(key, str | int | float | None):
            raise ValueError(f"it holds a dict with a {type(key).__name__} for a key")
        target[key] = value


def _check_content(value: object, stored: int) -> None:
    """Refuses content that could take for ever to go through, copy, compare or print.

    That is content nested deeply, large containers in several places, and tensors that together
    have more than the `stored` bytes, because several are views of the same numbers.
    """
    seen: set[int] = set()
    size = 0
    level: list[Any] = [value]
    for _ in range(_DEEPEST):
        inner: list[Any] = []
        for part in level:
            if isinstance(part, Tensor):
                size += part.numel() * part.itemsize
            elif isinstance(part, dict | list | tuple):
                items = list(part.values() if isinstance(part, dict) else part)
                if id(part) in seen and not _is_flat(items):
                    raise ValueError("it holds one container in several places")
                seen.add(id(part))
                inner += items
            elif part is not None and type(part) not in (int, float, bool, str):
                raise ValueError(f"it holds a {type(part).__name__}")
        if size > stored:
            raise ValueError("its tensors are together larger than the file")
        if not inner:
            return
        level = inner
    raise ValueError(f"it is nested more than {_DEEPEST} deep")


def _is_flat(items: list[Any]) -> bool:
    """Whether a container is small and holds no other, such as widths that several networks have.

    Lists of equal values are often one object when they are written.
    """
    return len(items) <= _FEW and not any(isinstance(item, dict | list | tuple) for item in items)
