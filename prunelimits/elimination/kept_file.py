"""Files that keep a run of this room: whole, checked to the last bit, and of one kind."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self, TypeVar

import torch

from prunelimits.resuming import StoreError, WriterLock, write_whole
from prunelimits.saving import read_archive

T = TypeVar("T")


class Kind(NamedTuple):
    """A kind of run, and how its files begin.

    Attributes:
        name: With its article.
        head: Changed when the meaning of the content changes.
    """

    name: str
    head: bytes


ELIMINATION = Kind("an elimination", b"prunelimits elimination 3\n")
REGROWTH = Kind("a regrowth", b"prunelimits regrowth 1\n")
# What the files of earlier versions began with: torch's own format.
_EARLIER = b"PK"
# As long as the longest beginning.
_MOST = max(len(kind.head) for kind in (ELIMINATION, REGROWTH))


def is_of(kind: Kind, path: str | os.PathLike[str]) -> bool:
    """Whether a file begins as those of a kind do, of an earlier version too.

    Raises:
        OSError: If the file is there but cannot be read.
    """
    if not Path(path).is_file():
        return False
    with open(path, "rb") as file:
        return file.read(len(kind.head)).startswith((kind.head, _EARLIER))


class KeptFile:
    """The file of one run, while this process is the one that writes to it.

    A context manager: entering it takes the lock of the one writer.

    Args:
        path: The file; it need not exist.
        kind: Of what run.
    """

    def __init__(self, path: str | os.PathLike[str], kind: Kind) -> None:
        self.path, self.kind = Path(path), kind
        self._lock = WriterLock(self.path)

    def __enter__(self) -> Self:
        # Before the lock's file is made beside one that is something else.
        if self.path.exists():
            with open(self.path, "rb") as file:
                _check_head(file.read(_MOST), self.kind, self.path)
        self._lock.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def write_content(path: str | os.PathLike[str], kind: Kind, values: Mapping[str, Any]) -> None:
    """Writes tensors, numbers and texts by name to a file, whole or not at all.

    The file is a line that names the format, a line with the SHA-256 of the rest, and what
    `torch.save` makes of the values.

    Raises:
        OSError: If the file cannot be written; then an existing one is as it was.
    """
    buffer = io.BytesIO()
    torch.save(dict(values), buffer)
    content = buffer.getvalue()
    write_whole(kind.head + _checksum(content) + content, path)


def read_content(path: str | os.PathLike[str], kind: Kind, read: Callable[[Any], T]) -> T:
    """What `read` makes of the values that a file keeps.

    No code in the file is ever executed.

    Raises:
        OSError: If the file cannot be read.
        StoreError: If it is damaged or not what `write_content` wrote, or `read` fails.
    """
    whole = Path(path).read_bytes()
    _check_head(whole, kind, path)
    # Whatever is wrong with the file, the caller gets one kind of error.
    try:
        start = len(kind.head) + len(_checksum(b""))
        content = whole[start:]
        if whole[len(kind.head) : start] != _checksum(content):
            raise ValueError("its checksum is another")
        return read(read_archive(content, "its state"))
    except Exception as error:
        raise _damaged(path, kind, str(error)) from error


def _check_head(start: bytes, kind: Kind, path: str | os.PathLike[str]) -> None:
    """Raises if a file does not begin as those of a kind do."""
    if start.startswith(kind.head):
        return
    found = "it begins otherwise"
    if start.startswith(_EARLIER):
        found = "its format is an earlier version's or another program's"
    for other in (ELIMINATION, REGROWTH):
        if start.startswith(other.head):
            found = f"it is of {other.name}"
    raise _damaged(path, kind, found)


def _damaged(path: str | os.PathLike[str], kind: Kind, why: str) -> StoreError:
    return StoreError(f"{path} is damaged or no store of {kind.name} ({why}): start a new one")


def _checksum(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest().encode() + b"\n"
