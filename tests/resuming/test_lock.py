from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from prunelimits.resuming import StoreError, WriterLock
from tests.processes import Running

HOLD = """
import time
from prunelimits.resuming import StoreError, WriterLock
try:
    with WriterLock(arguments[0]):
        tell.send("locked")
        time.sleep(60)
except StoreError as error:
    tell.send(str(error))
"""


def holder(path: Path) -> tuple[Running, str | None]:
    """A process that wants to hold the lock, and what it says of it."""
    process = Running(HOLD, str(path))
    return process, process.hear()


def test_a_second_writer_is_refused_by_name_until_the_first_has_ended(tmp_path: Path):
    path = tmp_path / "table.csv"
    with WriterLock(path) as lock:
        for other in (WriterLock(path), WriterLock(str(path)), lock):
            with pytest.raises(StoreError, match=r"table\.csv is being written to by another run"):
                other.acquire()
        assert r"table.csv is being written to by another run" in (holder(path)[1] or "")
    with WriterLock(path), WriterLock(tmp_path / "another.csv"):
        pass


def test_the_lock_file_stays(tmp_path: Path):
    path = tmp_path / "table.csv"
    with WriterLock(path):
        before = (tmp_path / "table.csv.lock").stat().st_ino
    assert [file.name for file in tmp_path.iterdir()] == ["table.csv.lock"]
    with WriterLock(path):
        assert (tmp_path / "table.csv.lock").stat().st_ino == before


@pytest.mark.parametrize("kind", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_the_lock_ends_with_its_process_however_it_ends(tmp_path: Path, kind: int):
    path = tmp_path / "table.csv"
    process, said = holder(path)
    assert said == "locked"
    with pytest.raises(StoreError):
        WriterLock(path).acquire()
    process.kill(kind)
    with WriterLock(path):
        pass


def test_of_many_threads_one_holds_the_lock_at_a_time(tmp_path: Path):
    held, most, entered, refused = 0, 0, 0, 0
    guard, begin = threading.Lock(), threading.Barrier(8)

    def work() -> None:
        nonlocal held, most, entered, refused
        begin.wait()
        for _ in range(200):
            try:
                with WriterLock(tmp_path / "file"):
                    with guard:
                        held, entered = held + 1, entered + 1
                        most = max(most, held)
                    with guard:
                        held -= 1
            except StoreError:
                refused += 1

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
    assert entered
    assert refused


def test_a_link_and_the_file_it_points_to_have_one_lock(tmp_path: Path):
    (tmp_path / "link").symlink_to("file")
    with WriterLock(tmp_path / "link"), pytest.raises(StoreError):
        WriterLock(tmp_path / "file").acquire()


@pytest.mark.slow
def test_a_forked_process_does_not_take_the_lock_with_it(tmp_path: Path):
    script = f"""
import os, time
from prunelimits.resuming import StoreError, WriterLock
lock = WriterLock({str(tmp_path / "file")!r})
lock.acquire()
child = os.fork()
if not child:
    lock.release()  # its own copy
    os._exit(0)
os.waitpid(child, 0)
try:
    WriterLock({str(tmp_path / "file")!r}).acquire()
except StoreError:
    print("still held")
"""
    command = [sys.executable, "-W", "ignore", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "still held\n"


def test_what_cannot_be_locked_is_told(tmp_path: Path, unwritable: Path):
    with pytest.raises(StoreError, match=r"the folder of .*file does not exist"):
        WriterLock(tmp_path / "missing" / "file").acquire()
    with pytest.raises(StoreError, match=r"new cannot be locked.*check the permissions"):
        WriterLock(unwritable / "new").acquire()
    assert [path.name for path in unwritable.iterdir()] == ["file"]


def test_a_file_of_another_kind_in_the_locks_place_is_told_and_left_alone(tmp_path: Path):
    other = tmp_path / "file.lock"
    other.write_bytes(os.urandom(1000))
    before = other.read_bytes()
    with pytest.raises(StoreError, match=r"file cannot be locked.*file\.lock"):
        WriterLock(tmp_path / "file").acquire()
    assert other.read_bytes() == before


def test_a_folder_is_no_file_to_lock(tmp_path: Path):
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(StoreError, match=r"folder is a folder: name a file in it"):
        WriterLock(folder).acquire()
    assert list(tmp_path.iterdir()) == [folder]
