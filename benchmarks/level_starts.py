"""Starts that already know the way round the spiral: levels of its bands, then the classes.

Cut the plane along a ray from the spiral's centre. The bands of points are then stacked: each has a
*level*, a whole number that grows by one from band to band outwards, and its class is the level's
parity. A network that is to tell the classes is a function with many hills; one that is to tell the
levels is a slope with a jump at the ray, and the first layers learn it from random starts with
ease. Layers that follow cut the slope between the levels; then all parameters descend the classes'
cross-entropy together. Which ray, whether levels grow outwards or inwards, and how much the points
near the ray count, where the jump has to be, is drawn for every start.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np
from damped_newton import (
    CrossEntropy,
    Mask,
    Network,
    Numbers,
    SmoothErrors,
    SquaredError,
    minimise,
    outputs,
)
from numpy.typing import NDArray

from prunelimits.datasets import cubist_spiral

FULL = 2 * np.pi
# Where the published construction has its origin, in the coordinates of the points.
CENTRE = (0.2152520, -0.0497070)
# Weights of the second layer, and of those that cut the levels, relative to the usual ones.
_LARGER = 2.0


@dataclass(frozen=True)
class Way:
    """What levels some of the starts learn.

    Attributes:
        behind: Hidden layers behind the one whose units tell the level: they cut it.
        more: Near the ray points count so many times more,
        within: if the angle between them is below this.
    """

    behind: int
    more: float = 0
    within: float = 0


NEAR_THE_RAY = ((0, 0), (10, 0.3))
WAYS = tuple(Way(behind, *near) for behind in (1, 2) for near in NEAR_THE_RAY)


@dataclass(frozen=True)
class LevelStarts:
    """How many starts, and how they are trained; steps are those of `minimise`.

    Attributes:
        ways: What the starts learn, the same number of them each; those that ask a single unit to
            cut levels are left out.
        starts: For each way.
        spread: The ray's angle from where the arms begin, in turns, is normal; its standard
            deviation is drawn evenly from zero to this.
        level_points: For the levels.
        first_steps: For the levels, of all starts.
        going_on: Starts of each way that go on.
        level_steps: Of those.
        most_error: Where the levels of no way have a smaller error, nothing is cut.
        cut: Starts of each way whose levels are cut.
        draws: Random cuts of each.
        cut_points: For the cuts.
        cut_steps: For the parameters behind the levels, of each draw.
        points: For all parameters.
        steps: For all parameters, of the best draw of each start.
        promising: From this accuracy on starts are finished.
        finished: So many of them: a multiple of 16 wastes nothing.
        finish_points: For these.
        finish_steps: For cross-entropy, and as many for the smooth errors.
    """

    ways: Sequence[Way] = WAYS
    starts: int = 80
    spread: float = 0.1
    level_points: int = 96
    first_steps: int = 15
    going_on: int = 32
    level_steps: int = 25
    most_error: float = 0.08
    cut: int = 8
    draws: int = 8
    cut_points: int = 256
    cut_steps: int = 20
    points: int = 512
    steps: int = 40
    promising: float = 0.85
    finished: int = 16
    finish_points: int = 1024
    finish_steps: int = 30

    def of(self, widths: Sequence[int]) -> list[Way]:
        """The ways for a network of these widths."""
        return [way for way in self.ways if widths[-1 - way.behind] > 1]


@dataclass(frozen=True, eq=False)
class Points:
    """Points along both arms, float32: `(n, 2)`, their classes, and their angles.

    Angles are round the spiral's centre and grow along each arm, from where the arms begin.
    """

    x: Numbers
    y: Numbers
    angles: Numbers


@cache
def spiral_points(n: int) -> Points:
    """So many points, evenly along both arms of the spiral."""
    x, y = (each.numpy() for each in cubist_spiral(n))
    angles = np.empty(n)
    for label in (0, 1):
        away = x[y == label].astype(np.float64) - CENTRE
        angles[y == label] = np.unwrap(np.arctan2(away[:, 1], away[:, 0]))
    return Points(x, y, (angles - angles.min()).astype(np.float32))


def levels_of(points: Points, rays: Numbers, outwards: Mask) -> Numbers:
    """The level of every point for every ray, from 0, `(rays, points)`.

    A ray is the angle at which it leaves the centre. Levels grow outwards or inwards.
    """
    turns = np.floor((points.angles - rays[:, None]) / FULL)
    # Class 1 is the inner one of the two bands of a turn.
    levels = 2 * turns + (1 - points.y)
    levels -= levels.min(1, keepdims=True)
    inwards = levels.max(1, keepdims=True) - levels
    return np.where(outwards[:, None], levels, inwards).astype(np.float32)


def from_ray(points: Points, rays: Numbers) -> Numbers:
    """The angle between every point and every ray, `(rays, points)`."""
    turned = (points.angles - rays[:, None] + np.pi) % FULL - np.pi
    return np.abs(turned).astype(np.float32)


def line_starts(network: Network, copies: int, random: np.random.Generator) -> Numbers:
    """Random parameters whose first layer's lines go through where points are.

    Each line passes a random point, drawn in towards the mean, in a random direction, or in the
    one that a unit with a single input has. Later layers are drawn as usual, the second one's
    weights larger.
    """
    x = spiral_points(256).x
    parts: list[Numbers] = []
    first = 0
    for layer, (columns, rows) in enumerate(pairwise(network.widths)):
        size = rows * columns
        kept = network.kept[first : first + size].reshape(rows, columns)
        first += size + rows
        if layer:
            scale = (_LARGER if layer == 1 else 1) / np.sqrt(columns)
            weights = random.uniform(-scale, scale, (copies, rows, columns)) * kept
            biases = random.uniform(-1, 1, (copies, rows)) / np.sqrt(columns)
        else:
            weights = random.standard_normal((copies, rows, columns)) * kept
            weights /= np.maximum(np.linalg.norm(weights, axis=2, keepdims=True), 1e-9)
            passed = x[random.integers(len(x), size=(copies, rows))]
            passed = passed * random.uniform(0, 1, (copies, rows, 1))
            biases = -(weights * passed).sum(2)
        parts += [weights.reshape(copies, size), biases]
    return (np.concatenate(parts, 1) * network.kept).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Levels:
    """Starts that know levels.

    Attributes:
        copies: Parameters of the layers and of a linear output that tells the level.
        error: Of the level, as it was weighted.
        top: The highest level of each.
    """

    copies: Numbers
    error: Numbers
    top: Numbers


def with_levels(
    network: Network, way: Way, how: LevelStarts, random: np.random.Generator
) -> Levels:
    """The best starts of one way, the best first, of the network that ends in a linear output."""
    points = spiral_points(how.level_points)
    copies = line_starts(network, how.starts, random)
    spread = random.uniform(0, how.spread * FULL, how.starts)
    rays = (random.standard_normal(how.starts) * spread).astype(np.float32)
    targets = levels_of(points, rays, random.integers(2, size=how.starts) == 1)
    near = from_ray(points, rays) < way.within
    weights = (1 + way.more * near).astype(np.float32)
    chosen = np.arange(how.starts)
    error = np.zeros(how.starts, np.float32)
    rungs = ((how.first_steps, how.going_on), (how.level_steps, how.cut))
    for steps, keep in rungs:
        objective = SquaredError(targets[chosen], weights[chosen])
        copies, error = minimise(network, copies, points.x, objective, steps)
        best = smallest(error, keep)
        copies, error, chosen = copies[best], error[best], chosen[best]
    return Levels(copies, error, targets[chosen].max(1))


def smallest(numbers: Numbers, count: int) -> NDArray[np.intp]:
    """The indices of the smallest, the smallest first; of equal ones the first are taken."""
    return np.argsort(np.nan_to_num(numbers, nan=np.inf), kind="stable")[:count]


def with_cuts(
    network: Network, after: int, levels: Levels, how: LevelStarts, random: np.random.Generator
) -> Numbers:
    """Whole networks from levels, each with the best of its random cuts.

    The units of the layer behind the levels work above or below a random level; what follows is
    drawn as usual. All of that is then trained for the classes, while the levels stay.
    """
    sizes = network.sizes()
    known = sum(sizes[:after])
    units, behind = network.widths[after], network.widths[after + 1]
    starts = np.repeat(np.arange(len(levels.copies)), how.draws)
    own = levels.copies[starts]
    readout, offset = own[:, known : known + units], own[:, known + units]
    copies = line_starts(network, len(starts), random) * _LARGER
    copies[:, :known] = own[:, :known]
    sign = _LARGER * random.choice([-1, 1], (len(starts), behind))
    at = random.uniform(0, 1, (len(starts), behind)) * levels.top[starts, None]
    weights = (sign[:, :, None] * readout[:, None, :]).reshape(len(starts), -1)
    copies[:, known : known + weights.shape[1]] = weights
    copies[:, known + weights.shape[1] :][:, :behind] = sign * (offset[:, None] - at)
    copies = np.where(network.kept, copies, 0).astype(np.float32)
    free = network.kept.copy()
    free[:known] = False
    points = spiral_points(how.cut_points)
    objective = CrossEntropy(points.y)
    copies, loss = minimise(network, copies, points.x, objective, how.cut_steps, free=free)
    best = loss.reshape(-1, how.draws).argmin(1) + np.arange(len(levels.copies)) * how.draws
    return copies[best]


def accuracies(network: Network, copies: Numbers, points: Points) -> Numbers:
    """The share of points on the right side of zero, of every copy."""
    right = (outputs(network, copies, points.x) > 0) == (points.y == 1)
    return right.mean(1).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Trained:
    """What became of the starts of a network.

    Attributes:
        error: The smallest error of the levels.
        early: The best accuracy when all parameters had been trained; zero if nothing was cut.
        copies: The last that were trained, `(finished, parameters)`, the most accurate first.
    """

    error: float
    early: float
    copies: Numbers


def trained(network: Network, how: LevelStarts, random: np.random.Generator) -> Trained:
    """A network from many starts; what it becomes depends on no other network."""
    ways = how.of(network.widths)
    found = [(_after(network, way), way) for way in ways]
    levels = [with_levels(_reader(network, after), way, how, random) for after, way in found]
    error = min((float(one.error[0]) for one in levels), default=np.inf)
    if error > how.most_error:
        return Trained(error, 0.0, np.zeros((0, len(network.kept)), np.float32))
    copies = np.concatenate(
        [
            with_cuts(network, after, one, how, random)
            for (after, _), one in zip(found, levels, strict=True)
        ]
    )
    points = spiral_points(how.points)
    copies, loss = minimise(network, copies, points.x, CrossEntropy(points.y), how.steps)
    reached = accuracies(network, copies, points)
    early = float(reached.max())
    copies = copies[smallest(loss, how.finished)]
    if early >= how.promising:
        points = spiral_points(how.finish_points)
        for objective in (CrossEntropy(points.y), SmoothErrors(points.y)):
            copies, _ = minimise(network, copies, points.x, objective, how.finish_steps)
    order = smallest(-accuracies(network, copies, points), how.finished)
    return Trained(error, early, copies[order])


def _after(network: Network, way: Way) -> int:
    """The layers that learn the levels."""
    return len(network.widths) - 2 - way.behind


def _reader(network: Network, after: int) -> Network:
    """The first layers with a linear output of their units."""
    readout = np.ones(network.widths[after] + 1, np.bool_)
    kept = np.concatenate([network.kept[: sum(network.sizes()[:after])], readout])
    return Network((*network.widths[: after + 1], 1), kept)
