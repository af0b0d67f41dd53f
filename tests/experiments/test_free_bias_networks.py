"""How many networks with free biases there are, against all of them written out."""

from __future__ import annotations

from collections import Counter
from itertools import permutations, product
from math import factorial, prod

import numpy as np
import pytest
import torch
from free_bias_networks import (
    all_widths,
    counts,
    left,
    matrices,
    networks,
    networks_of,
    orders,
    partitions,
    superfluous,
    times,
)

from prunelimits.masks import unflatten
from prunelimits.models import parameter_shapes


def written_out(hidden: tuple[int, int, int]) -> Counter[int]:
    """Every mask of these widths, one of those that an order of units makes the same."""
    shapes = [(b, a) for a, b in zip((2, *hidden), (*hidden, 1), strict=True)]
    seen, result = set[bytes](), Counter[int]()
    choices = [list(product((0, 1), repeat=a * b)) for a, b in shapes]
    for entries in product(*choices):
        weights = [np.array(one).reshape(shape) for one, shape in zip(entries, shapes, strict=True)]
        if not all(w.any(0).all() and w.any(1).all() for w in weights):
            continue
        for biases in product(*(list(product((0, 1), repeat=rows)) for rows, _ in shapes)):
            forms = [_form(weights, biases, order) for order in _orders(hidden)]
            if min(forms) not in seen:
                seen.add(min(forms))
                result[sum(map(int, min(forms)))] += 1
    return result


def _orders(hidden: tuple[int, ...]) -> list[tuple[tuple[int, ...], ...]]:
    each = [list(permutations(range(width))) for width in hidden]
    return [((0, 1), *some, (0,)) for some in product(*each)]


def _form(weights, biases, order) -> bytes:
    parts: list[int] = []
    for layer, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        below, own = list(order[layer]), list(order[layer + 1])
        parts += weight[own][:, below].flatten().tolist()
        parts += [bias[unit] for unit in own]
    return bytes(parts)


@pytest.mark.parametrize(
    "hidden", [(1, 1, 1), (2, 1, 1), (1, 2, 1), (2, 2, 1), (1, 1, 3), (1, 2, 2)]
)
def test_networks_of_given_widths_are_those_written_out(hidden: tuple[int, int, int]) -> None:
    most = 40
    wanted = written_out(hidden)
    assert networks(hidden, most) == tuple(wanted[n] for n in range(most + 1))


def test_all_of_them_are_those_written_out() -> None:
    found = Counter[int]()
    for _, rows in networks_of(9):
        found.update(rows.sum(1).tolist())
    assert counts(9) == [found[n] for n in range(10)]


def test_no_two_written_out_differ_by_the_order_of_units_alone() -> None:
    for widths, rows in networks_of(9):
        shapes = list(parameter_shapes(widths).values())
        seen = set[bytes]()
        for row in rows:
            parts = [
                part.view(shape).int().numpy()
                for part, shape in zip(
                    row.split([prod(shape) for shape in shapes]), shapes, strict=True
                )
            ]
            weights, biases = parts[::2], [bias.tolist() for bias in parts[1::2]]
            seen.add(min(_form(weights, biases, order) for order in _orders(widths[1:-1])))
        assert len(seen) == len(rows)


def test_widths_too_wide_have_no_network() -> None:
    allowed = set(all_widths(8))
    for hidden in product(range(1, 6), repeat=3):
        assert (hidden in allowed) == any(networks(hidden, 8))


def test_matrices_without_an_empty_row_or_column() -> None:
    ones = (1, 1, 1)
    wanted = Counter(
        sum(entries)
        for entries in product((0, 1), repeat=9)
        if np.array(entries).reshape(3, 3).any(0).all()
        and np.array(entries).reshape(3, 3).any(1).all()
    )
    assert matrices(ones, ones, 9) == tuple(wanted[n] for n in range(10))


def test_partitions_and_orders_of_five() -> None:
    assert len(list(partitions(5))) == 7
    assert sum(map(orders, partitions(5))) == factorial(5)


def test_products_of_polynomials() -> None:
    assert times((1, 2), (3, 0, 1), 2) == (3, 6, 1)


def network_of(hidden: tuple[int, int, int], *, without: tuple[tuple[int, int], ...]) -> dict:
    """All weights of these widths, and all biases but those of (layer, unit)."""
    masks = {
        name: torch.ones(shape, dtype=torch.bool)
        for name, shape in parameter_shapes((2, *hidden, 1)).items()
    }
    for layer, unit in without:
        masks[f"layers.{layer}.bias"][unit] = False
    return masks


def test_a_bias_of_the_output_behind_a_single_unit_is_superfluous() -> None:
    assert superfluous(network_of((3, 3, 1), without=()))
    assert not superfluous(network_of((3, 3, 1), without=((3, 0),)))
    assert not superfluous(network_of((3, 3, 2), without=()))


def test_classes_behind_a_single_unit_need_no_bias_of_the_output() -> None:
    """a relu(s + b) + c > 0 says that s is above a number, or below one."""
    random = np.random.default_rng(0)
    s = random.standard_normal(1_000)
    for a, b, c in random.standard_normal((500, 3)):
        classes = a * np.maximum(s + b, 0) + c > 0
        if classes.all() or not classes.any():
            continue
        sign = 1 if a > 0 else -1
        edge = (max(sign * s[~classes]) + min(sign * s[classes])) / 2
        assert np.array_equal(np.maximum(sign * s - edge, 0) > 0, classes)


def test_units_that_are_multiples_of_one_another_are_superfluous() -> None:
    masks = network_of((3, 3, 2), without=((1, 0), (1, 1)))
    for unit in (0, 1):
        masks["layers.1.weight"][unit] = torch.tensor([False, True, False])
    assert superfluous(masks)
    masks["layers.1.bias"][0] = True
    assert not superfluous(masks)
    masks = network_of((4, 3, 2), without=((0, 0), (0, 1), (0, 2)))
    masks["layers.0.weight"][:2] = torch.tensor([True, False])
    assert not superfluous(masks)
    masks["layers.0.weight"][2] = torch.tensor([True, False])
    assert superfluous(masks)


def test_too_few_cells_are_superfluous() -> None:
    assert superfluous(network_of((1, 1, 2), without=()))


def test_those_left_are_the_ones_that_are_not_superfluous() -> None:
    wanted = Counter[int]()
    for widths, rows in networks_of(9):
        for row in rows:
            shapes = parameter_shapes(widths)
            masks = {name: mask[0] for name, mask in unflatten(row[None], shapes).items()}
            wanted[int(row.sum())] += not superfluous(masks)
    assert left(9) == [wanted[n] for n in range(10)]
    assert 0 < sum(left(9)) < sum(counts(9))
