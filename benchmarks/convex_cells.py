"""How many convex cells of one class each it takes to classify points: a bound in exact arithmetic.

The mathematics is that of docs/lower-bound.md; `lower_bound.py` applies it to the spiral.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
Signs = NDArray[np.int8]
Weights = NDArray[np.int64]

# Coordinates are multiples of this, so that float64 holds their differences exactly.
_UNIT = 2.0**-48


def orientations(a: Points, b: Points, c: Points) -> Signs:
    """1 where c lies to the left of the line from a to b, -1 to the right, 0 on it: exactly.

    Args:
        a: Points `(..., 2)` whose coordinates are multiples of 2^-48 below 4; likewise
        b: and
        c: broadcast with each other.

    Raises:
        ValueError: If a coordinate is none.
    """
    for points in (a, b, c):
        units = points / _UNIT
        if not ((units == np.round(units)) & (np.abs(points) < 4)).all():
            raise ValueError("coordinates must be multiples of 2^-48 below 4")
    first, second = b - a, c - a  # Exact.
    left, right = np.broadcast_arrays(
        first[..., 0] * second[..., 1], first[..., 1] * second[..., 0]
    )
    determinant = left - right
    # Each product is off by at most half a unit in its last place, the difference by another.
    unsure = np.abs(determinant) <= 2.0**-51 * (np.abs(left) + np.abs(right))
    signs = np.sign(determinant).astype(np.int8)
    first, second = (np.broadcast_to(v, (*determinant.shape, 2)) for v in (first, second))
    for place in zip(*np.nonzero(unsure), strict=True):
        (u, v), (s, t) = (map(Fraction, vector[place].tolist()) for vector in (first, second))
        exact = u * t - v * s
        signs[place] = (exact > 0) - (exact < 0)
    return signs


def heaviest(points: Points, own: NDArray[np.bool_], weights: Weights) -> int:
    """The most that a convex set weighs.

    A set weighs the sum of the weights of its own points minus that of the weights of the others.
    It is enough to look at the convex hulls of own points: any convex set that holds these holds
    their hull. Other points on the boundary of a hull are not counted, own ones are.

    A polygon is built from its lowest vertex p, triangle by triangle: of p and two neighbouring
    vertices. All in integers, with exact orientations.

    Args:
        points: `(n, 2)`, different from each other.
        own: Which of them count for the set.
        weights: At least 0, `(n,)`.

    Raises:
        ValueError: If two points are the same, or a weight is negative.
    """
    if len(np.unique(points, axis=0)) < len(points):
        raise ValueError(f"points must be different, got {len(points)} with some twice")
    if (weights < 0).any():
        raise ValueError(f"weights must be at least 0, got {weights.min()}")
    order = np.lexsort((points[:, 0], points[:, 1]))
    points, own, weights = points[order], own[order], weights[order]
    vertices = np.flatnonzero(own)
    corners = points[vertices]
    # sides[i, j, q]: on which side of the line from vertex i to vertex j point q lies.
    sides = orientations(corners[:, None, None], corners[None, :, None], points[None, None])
    best = int(weights[own].max(initial=0))
    for lowest in range(len(vertices)):
        best = max(best, _from_lowest(lowest, vertices, sides, points, own, weights))
    return best


def _from_lowest(
    lowest: int,
    vertices: NDArray[np.int64],
    sides: Signs,
    points: Points,
    own: NDArray[np.bool_],
    weights: Weights,
) -> int:
    """The heaviest hull whose lowest vertex is the given one."""
    above = np.arange(lowest + 1, len(vertices))
    if not len(above):
        return 0
    # By angle around the lowest vertex: who has more of the others to the left comes first.
    left_of = (sides[lowest][np.ix_(above, vertices[above])] > 0).sum(1)
    above = above[np.argsort(-left_of, kind="stable")]
    fan = sides[lowest][above]
    signed = np.where(own, weights, -weights)
    turn = sides[np.ix_(above, above)]
    # In the triangle of the lowest vertex, i and j; what lies on the line to i is counted before.
    inside = (fan[:, None] > 0) & np.where(own, fan[None] <= 0, fan[None] < 0)
    inside &= np.where(own, turn >= 0, turn > 0)
    # A triangle has no points beyond its corners' heights; own points on a side count.
    triangle = inside @ signed
    base = vertices[lowest]
    start, crossed = (
        np.array(
            [_on_segment(base, vertices[i], fan[n], points, which, weights)
             for n, i in enumerate(above)]
        )
        for which in (own, ~own)
    )  # fmt: skip
    best = int(start.max())
    later = fan[:, vertices[above]] > 0  # later[i, j]: j comes after i.
    none = np.int64(np.iinfo(np.int64).min // 4)
    chain = np.full((len(above), len(above)), none)  # chain[i, j]: ends with the edge from i to j.
    bends = turn[:, :, vertices[above]] >= 0  # bends[h, i, j]: no right turn from h over i to j.
    for i in range(len(above)):
        before = np.where(bends[:, i], chain[:, i, None], none).max(0)
        # Between two triangles of a hull the other points on their common side are inside it.
        reached = np.maximum(before - crossed[i], start[i]) + triangle[i]
        chain[i] = np.where(later[i], reached, none)
        best = max(best, int(chain[i].max()))
    return best


def _on_segment(
    a: int, b: int, side: Signs, points: Points, which: NDArray[np.bool_], weights: Weights
) -> int:
    """The weight of some of the points on a segment, its ends included."""
    low, high = np.minimum(points[a], points[b]), np.maximum(points[a], points[b])
    between = ((points >= low) & (points <= high)).all(1)
    return int(weights[which & between & (side == 0)].sum())
