"""Scripts in processes of their own that begin at once.

They are forked from a process that has torch loaded, which takes a new interpreter seconds.
"""

from __future__ import annotations

import multiprocessing
import os

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["prunelimits.elimination", "prunelimits.search"])


class Running:
    """A script under way, with its `arguments`; what it says by `tell.send(text)` is heard here."""

    def __init__(self, script: str, *arguments: str) -> None:
        self._heard, tell = _CONTEXT.Pipe(duplex=False)
        names = {"arguments": arguments, "tell": tell}
        self._process = _CONTEXT.Process(target=exec, args=(script, names))
        self._process.start()
        tell.close()

    def hear(self) -> str | None:
        """Waits for what it says next; None if it ends before."""
        try:
            return self._heard.recv()
        except EOFError:
            return None

    def kill(self, kind: int) -> None:
        """Sends a signal, if it still runs, and waits for the end."""
        if self.runs():
            assert self._process.pid is not None
            os.kill(self._process.pid, kind)
        self._process.join()

    def runs(self) -> bool:
        """Whether it has not ended."""
        return self._process.exitcode is None

    def wait(self, seconds: float | None = None) -> None:
        """Waits for the end, so long at most."""
        self._process.join(seconds)
