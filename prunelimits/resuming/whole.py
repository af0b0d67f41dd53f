"""Writing a file whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

from prunelimits.arguments import checked_instance, checked_path

# Where there are no file locks to tell, a temporary file is abandoned after so many seconds.
_ABANDONED_AFTER = 3600
# A file's name has at most 255 bytes; the rest is for what a temporary file's name adds to it.
_LONGEST_NAME = 200


def write_whole(content: bytes, path: str | os.PathLike[str]) -> None:
    """Writes a file whole or not at all, also between threads, processes and machines.

    The content goes to a temporary file in the same folder (`.name.<16 hex digits>.tmp`), which
    then takes the place of `path`. The mode of an existing file is kept, and its owner where the
    system allows it; a new one has the mode that the umask gives. A symbolic link stays a link: the
    file it points to is replaced. A hard link's other names keep the old content, for a file cannot
    be replaced whole under two names. A device or a pipe is written to as it is.

    A process that is killed leaves its temporary file behind; the next writer of the same file
    removes it.

    Args:
        content: All of the file.
        path: Where to; an existing file is replaced.

    Raises:
        TypeError: If `content` is not bytes, or `path` no path.
        ValueError: If `path` is empty or has a null character.
        OSError: If the file cannot be written; then `path` is as it was. It names `path`.

    Examples:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp(), "table.csv")
        >>> write_whole(b"1,2", file)
        >>> file.read_bytes(), len(list(file.parent.iterdir()))
        (b'1,2', 1)
    """
    checked_instance("content", content, bytes, "bytes")
    target = Path(os.path.realpath(checked_path("path", path)))
    try:
        before = _status(target)
        if before is not None and stat.S_ISDIR(before.st_mode):
            raise IsADirectoryError(errno.EISDIR, "the path is that of a folder")
        if before is not None and not stat.S_ISREG(before.st_mode):
            target.write_bytes(content)
            return
        effective = os.access in os.supports_effective_ids
        if before is not None and not os.access(target, os.W_OK, effective_ids=effective):
            raise PermissionError(errno.EACCES, "the file is write-protected")
        _remove_abandoned(target)
        _replace(target, before, content)
    except OSError as error:
        reason = error.strerror or str(error)
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            reason += " (file and folder must be writable, so that it can be replaced whole)"
        # The system's own error names the temporary file, or no file at all.
        raise OSError(error.errno or errno.EIO, reason, os.fspath(path)) from error


def _status(target: Path) -> os.stat_result | None:
    try:
        return target.stat()
    except FileNotFoundError:
        return None


def _replace(target: Path, before: os.stat_result | None, content: bytes) -> None:
    temporary, descriptor = _new_temporary(target, private=before is not None)
    try:
        with open(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            if before is not None:
                _make_alike(descriptor, before)
            os.fsync(descriptor)
            # While the descriptor is open and locked, so that nobody takes the file for abandoned.
            os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _keep_name(target.parent)


def _new_temporary(target: Path, *, private: bool) -> tuple[Path, int]:
    """A new file beside the target, locked as long as its descriptor is open."""
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    while True:
        temporary = target.with_name(f"{_prefix(target)}{secrets.token_hex(8)}.tmp")
        try:
            # Private until it has the mode of the old file, which may keep others from reading it.
            descriptor = os.open(temporary, flags, 0o600 if private else 0o666)
        except FileExistsError:
            continue
        # Another writer may have taken the new file for abandoned before it was locked.
        if _lock(descriptor) is not False and _is_at(temporary, descriptor):
            return temporary, descriptor
        os.close(descriptor)
        temporary.unlink(missing_ok=True)


def _remove_abandoned(target: Path) -> None:
    """Removes the temporary files of writers of this file that are no more."""
    for temporary in _temporaries(target):
        try:
            descriptor = os.open(temporary, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0))
            try:
                free = _lock(descriptor)
                if free is None:
                    free = time.time() - os.fstat(descriptor).st_mtime > _ABANDONED_AFTER
                if free:
                    temporary.unlink()
            finally:
                os.close(descriptor)
        except OSError:
            # Gone already, or another user's.
            continue


def _temporaries(target: Path) -> Iterator[Path]:
    prefix = _prefix(target)
    try:
        names = [entry.name for entry in os.scandir(target.parent)]
    except OSError:
        # A folder that may be written to but not listed.
        return
    for name in names:
        middle = name.removeprefix(prefix).removesuffix(".tmp")
        if name == f"{prefix}{middle}.tmp" and len(middle) == 16:
            yield target.with_name(name)


def _prefix(target: Path) -> str:
    name = os.fsencode(target.name)[:_LONGEST_NAME].decode(errors="ignore")
    return f".{name}."


def _lock(descriptor: int) -> bool | None:
    """Locks an open file until it is closed; whether it could, None where there are no locks."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return False if error.errno in (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES) else None
    return True


def _is_at(path: Path, descriptor: int) -> bool:
    status = _status(path)
    return status is not None and os.path.samestat(status, os.fstat(descriptor))


def _make_alike(descriptor: int, before: os.stat_result) -> None:
    """Gives a new file the owner, if possible, and the mode of the old one."""
    if not hasattr(os, "fchmod"):
        return
    now = os.fstat(descriptor)
    if (now.st_uid, now.st_gid) != (before.st_uid, before.st_gid):
        # Only the administrator may give files away; else the writer owns the new one.
        with suppress(OSError):
            os.fchown(descriptor, before.st_uid, before.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(before.st_mode))


def _keep_name(folder: Path) -> None:
    """Makes a renaming outlast a loss of power; the content is on disk already."""
    # Some systems cannot do this for folders.
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
