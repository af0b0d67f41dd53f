"""One writer at a time for a file, between threads, processes and machines that share a folder."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from types import TracebackType
from typing import Self

from prunelimits.arguments import checked_path
from prunelimits.resuming.errors import StoreError


class WriterLock:
    """The right to write to a file, held by one thread of one process at a time.

    Readers need no lock and are never shut out. The lock is a transaction in an empty database
    beside the file (`name.lock`): these are the system's own file locks, as SQLite knows them on
    every platform, so they end with the process, however it ends. The lock file stays when the lock
    is released: whoever deleted it could delete the one that the next writer has just locked. Where
    `path` is a symbolic link, the file it points to is what is locked.

    Args:
        path: The file to write to; it need not exist, its folder must.

    Raises:
        TypeError: If `path` is no path.
        ValueError: If it is empty or has a null character.

    Examples:
        >>> import tempfile
        >>> table = Path(tempfile.mkdtemp(), "gap.csv")
        >>> with WriterLock(table):
        ...     try:
        ...         WriterLock(table).acquire()
        ...     except StoreError as error:
        ...         print(str(error).replace(str(table), "gap.csv"))
        gap.csv is being written to by another run: wait for it, or use another file
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = checked_path("path", path)
        self._connection: sqlite3.Connection | None = None

    def acquire(self) -> None:
        """Takes the lock.

        Raises:
            StoreError: If another writer holds it, this object included, or if the lock file cannot
                be made.
        """
        if self._connection is not None:
            raise self._taken()
        target = Path(os.path.realpath(self.path))
        if not os.path.isdir(target.parent):
            raise StoreError(f"the folder of {self.path} does not exist")
        if os.path.isdir(target):
            raise StoreError(f"{self.path} is a folder: name a file in it")
        lock = target.with_name(f"{target.name}.lock")
        connection: sqlite3.Connection | None = None
        try:
            # Whoever ends the run need not be the thread that began it.
            connection = sqlite3.connect(
                lock, timeout=0, isolation_level=None, check_same_thread=False
            )
            connection.execute("BEGIN EXCLUSIVE")
        except BaseException as error:
            if connection is not None:
                connection.close()
            if not isinstance(error, sqlite3.Error):
                raise
            if error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
                raise self._taken() from error
            raise StoreError(
                f"{self.path} cannot be locked for writing, {lock}: {error}; check the permissions "
                "of the file and its folder"
            ) from error
        self._connection = connection

    def release(self) -> None:
        """Gives the lock back; without effect if it is not held."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _taken(self) -> StoreError:
        return StoreError(
            f"{self.path} is being written to by another run: wait for it, or use another file"
        )

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()
