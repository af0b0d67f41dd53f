"""R² by its definition, element by element."""

from __future__ import annotations

import pytest
import torch

from prunelimits.training.determination import determination


@pytest.mark.parametrize("shape", [(7,), (7, 1), (7, 3)])
def test_it_is_one_less_the_squares_that_are_left(shape: tuple[int, ...]):
    generator = torch.Generator().manual_seed(0)
    y, guess = (torch.randn(shape, generator=generator) for _ in range(2))
    rows, means = y.reshape(7, -1).tolist(), y.reshape(7, -1).double().mean(0).tolist()
    guesses = guess.reshape(7, -1).tolist()
    left = sum(
        (a - b) ** 2 for r, g in zip(rows, guesses, strict=True) for a, b in zip(r, g, strict=True)
    )
    whole = sum((a - m) ** 2 for r in rows for a, m in zip(r, means, strict=True))
    loss = ((y.double() - guess.double()) ** 2).mean()
    assert float(determination(loss, y)) == pytest.approx(1 - left / whole)
