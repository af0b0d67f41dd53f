"""A task easier than the spiral: which of its points lie inside a circle."""

from __future__ import annotations

from prunelimits.datasets import cubist_spiral

X = cubist_spiral(400)[0]
Y = (X.square().sum(1) < 1.5).float()
