from __future__ import annotations

import errno
import os
import random
import re
import resource
import signal
import threading
import time
from pathlib import Path

import pytest

from prunelimits.resuming import write_whole
from tests.processes import Running

WRITE_FOR_EVER = """
from prunelimits.resuming import write_whole
letter, path = arguments[0].encode(), arguments[1]
tell.send("ready")
while True:
    write_whole(letter * 300_000, path)
"""


def writer(letter: str, path: Path) -> Running:
    process = Running(WRITE_FOR_EVER, letter, str(path))
    assert process.hear() == "ready"
    return process


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_what_was_written_is_there_and_nothing_else(tmp_path: Path):
    path = tmp_path / "file"
    for content in (b"first", b"", b"third" * 100_000):
        write_whole(content, str(path))
        assert path.read_bytes() == content
        assert names(tmp_path) == {"file"}


@pytest.mark.slow
def test_a_reader_sees_only_whole_files_while_threads_and_processes_write(tmp_path: Path):
    path = tmp_path / "file"
    write_whole(b"0" * 300_000, path)
    errors: list[BaseException] = []
    stop = threading.Event()

    def write(letter: bytes) -> None:
        try:
            while not stop.is_set():
                write_whole(letter * 300_000, path)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(letter,)) for letter in (b"a", b"b", b"c")]
    processes = [writer("d", path), writer("e", path)]
    for thread in threads:
        thread.start()
    seen: set[int] = set()
    end = time.monotonic() + 3
    while time.monotonic() < end:
        content = path.read_bytes()
        assert len(content) == 300_000
        assert len(set(content)) == 1
        seen.add(content[0])
    stop.set()
    for thread in threads:
        thread.join()
    for process in processes:
        assert process.runs()
        process.kill(signal.SIGKILL)
    assert errors == []
    assert len(seen) > 2
    write_whole(b"last", path)
    assert names(tmp_path) == {"file"}


@pytest.mark.parametrize("kind", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_killed_writer_leaves_a_whole_file_and_the_next_one_cleans_up(tmp_path: Path, kind: int):
    path = tmp_path / "file"
    write_whole(b"0" * 300_000, path)
    chance = random.Random(0)
    for _ in range(2):
        process = writer("a", path)
        time.sleep(chance.random() / 20)
        process.kill(kind)
        assert path.read_bytes() in (b"0" * 300_000, b"a" * 300_000)
    write_whole(b"last", path)
    assert names(tmp_path) == {"file"}


def test_only_abandoned_temporary_files_of_this_very_file_are_removed(tmp_path: Path):
    path = tmp_path / "file"
    abandoned = tmp_path / f".file.{'0' * 16}.tmp"
    others = [".file.tmp", f".file2.{'0' * 16}.tmp", f"file.{'0' * 16}.tmp", ".file.0123.tmp"]
    for name in (abandoned.name, *others):
        (tmp_path / name).write_bytes(b"")
    process = writer("a", path)
    for _ in range(20):
        write_whole(b"b", path)  # while the other is in the middle of it
    assert process.runs()
    process.kill(signal.SIGKILL)
    write_whole(b"b", path)
    assert names(tmp_path) == {"file", *others}


@pytest.mark.parametrize("age", [0, 7200])
def test_a_temporary_file_that_is_locked_is_not_abandoned_however_old(tmp_path: Path, age: int):
    fcntl = pytest.importorskip("fcntl")
    temporary = tmp_path / f".file.{'0' * 16}.tmp"
    temporary.write_bytes(b"half")
    os.utime(temporary, (time.time() - age,) * 2)
    with open(temporary, "rb+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        write_whole(b"b", tmp_path / "file")
        assert names(tmp_path) == {"file", temporary.name}
    write_whole(b"b", tmp_path / "file")
    assert names(tmp_path) == {"file"}


@pytest.mark.parametrize(("age", "stays"), [(0, True), (3000, True), (7200, False)])
def test_where_there_are_no_locks_a_temporary_file_is_abandoned_after_an_hour(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, age: int, stays: bool
):
    fcntl = pytest.importorskip("fcntl")

    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    temporary = tmp_path / f".file.{'0' * 16}.tmp"
    temporary.write_bytes(b"half")
    os.utime(temporary, (time.time() - age,) * 2)
    write_whole(b"b", tmp_path / "file")
    assert names(tmp_path) == {"file", *([temporary.name] if stays else [])}
    assert (tmp_path / "file").read_bytes() == b"b"


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o755])
def test_the_mode_of_an_existing_file_is_kept(tmp_path: Path, mode: int):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(mode)
    write_whole(b"new", path)
    assert path.stat().st_mode & 0o7777 == mode


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_a_new_file_has_the_mode_that_the_umask_gives(tmp_path: Path, umask: int):
    before = os.umask(umask)
    try:
        write_whole(b"new", tmp_path / "file")
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o7777 == 0o666 & ~umask


def test_a_symbolic_link_stays_one_and_its_target_is_replaced(tmp_path: Path):
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (tmp_path / "link").symlink_to("second")
    (tmp_path / "second").symlink_to(Path("elsewhere", "file"))
    for content in (b"made through the link", b"replaced through the link"):
        write_whole(content, tmp_path / "link")
        assert (folder / "file").read_bytes() == content
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "second").is_symlink()
    assert names(tmp_path) == {"link", "second", "elsewhere"}
    assert names(folder) == {"file"}


def test_a_link_to_itself_is_told(tmp_path: Path):
    (tmp_path / "link").symlink_to("link")
    with pytest.raises(OSError, match="link"):
        write_whole(b"new", tmp_path / "link")
    assert names(tmp_path) == {"link"}


def test_another_name_of_the_file_keeps_the_old_content(tmp_path: Path):
    (tmp_path / "file").write_bytes(b"old")
    os.link(tmp_path / "file", tmp_path / "other")
    write_whole(b"new", tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b"new"
    assert (tmp_path / "other").read_bytes() == b"old"


def test_a_device_is_written_to_and_not_replaced():
    write_whole(b"content", os.devnull)
    assert not Path(os.devnull).is_file()
    with pytest.raises(OSError, match=r"No space left on device: '/dev/full'"):
        write_whole(b"content", "/dev/full")
    assert not Path("/dev/full").is_file()
    assert not [name for name in os.listdir("/dev") if name.startswith(".full.")]


def test_a_full_disk_names_the_file_and_leaves_it_as_it_was(tmp_path: Path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(OSError, match=f"File too large: '{re.escape(str(path))}'"):
            write_whole(bytes(10_000), path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == {"file"}


def test_an_unwritable_folder_is_told_with_the_name_of_the_file(unwritable: Path):
    for name in ("file", "new"):
        message = f"file and folder must be writable.*'{unwritable / name}'"
        with pytest.raises(PermissionError, match=message):
            write_whole(b"new", unwritable / name)
    assert (unwritable / "file").read_bytes() == b"old"
    assert names(unwritable) == {"file"}


def test_a_write_protected_file_is_not_replaced(unwritable: Path):
    # As in the fixture, where permissions count.
    folder = unwritable / "file"
    own = Path("/tmp") / f"protected-{os.getpid()}"
    own.write_bytes(folder.read_bytes())
    own.chmod(0o444)
    try:
        with pytest.raises(PermissionError, match="write-protected"):
            write_whole(b"new", own)
        assert own.read_bytes() == b"old"
    finally:
        own.unlink()


@pytest.mark.parametrize("name", ["x" * 255, "é" * 127])
def test_the_longest_names_can_be_written(tmp_path: Path, name: str):
    for content in (b"first", b"second"):
        write_whole(content, tmp_path / name)
    assert (tmp_path / name).read_bytes() == b"second"
    assert names(tmp_path) == {name}


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, failing, interrupt)
        with pytest.raises(KeyboardInterrupt):
            write_whole(b"new", path)
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == {"file"}


def test_a_missing_folder_and_a_folder_in_the_way_are_told(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match=r"missing/file"):
        write_whole(b"new", tmp_path / "missing" / "file")
    (tmp_path / "taken").mkdir()
    with pytest.raises(IsADirectoryError, match="taken"):
        write_whole(b"new", tmp_path / "taken")
    assert names(tmp_path) == {"taken"}
