"""The progress of a search on a terminal or in a log."""

from __future__ import annotations

from typing import NoReturn

from tqdm import tqdm

from prunelimits.cli.report import say
from prunelimits.search import Progress


class ProgressBar:
    """A progress bar, or with `quiet` a line whenever another percent is done."""

    def __init__(self, *, quiet: bool) -> None:
        self.quiet = quiet
        self._bar: tqdm[NoReturn] | None = None
        self._phase = 0
        self._percent = -1

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def update(self, progress: Progress) -> None:
        """Shows how far the search is."""
        best = "none yet"
        if progress.nonzeros is not None and progress.accuracy is not None:
            best = f"{progress.nonzeros} nonzeros, {progress.accuracy:.2%}"
        number = progress.phase.number
        name = f"phase {number}, {progress.phase}"
        if self.quiet:
            percent = 100 * progress.trained // max(1, progress.trainings)
            if (number, percent) != (self._phase, self._percent):
                done = f"{progress.trained:,} of {progress.trainings:,} trainings"
                say(f"{name}: {done} ({percent} %), best {best}")
                self._phase, self._percent = number, percent
            return
        if self._bar is None or self._phase != number:
            self.__exit__()
            self._phase = number
            self._bar = tqdm(
                desc=name,
                total=progress.trainings,
                initial=progress.trained,
                unit=" trainings",
                dynamic_ncols=True,
            )
        self._bar.set_postfix_str(f"best {best}", refresh=False)
        self._bar.update(progress.trained - self._bar.n)
