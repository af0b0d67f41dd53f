"""Appendix E: starts that share something with another, and the table of searches from them."""

from __future__ import annotations

from pathlib import Path

import sign_pattern
import torch
from kept_rows import add_rows
from sign_table import signs

import prunelimits as pl


def test_starts_share_what_they_say():
    torch.manual_seed(0)
    model = pl.MLP((2, 3, 2, 1))
    own = torch.cat([p.detach().flatten() for p in model.parameters()])
    found: dict[str, list[torch.Tensor]] = {}
    for kind, _, start in sign_pattern.starts(model, 3):
        flat = torch.cat([p.detach().flatten() for p in start.parameters()])
        found.setdefault(kind, []).append(flat)
    assert {kind: len(drawn) for kind, drawn in found.items()} == {
        "its signs, one magnitude a layer": 1,
        "the start itself, other batches": 3,
        "its signs, magnitudes drawn anew": 3,
        "its magnitudes, signs drawn anew": 3,
        "another start": 3,
    }
    assert all(flat.equal(own) for flat in found["the start itself, other batches"])
    for kind, drawn in found.items():
        for flat in drawn:
            if kind.startswith("its signs"):
                assert flat.sign().equal(own.sign())
                assert not flat.abs().equal(own.abs())
            if kind.startswith("its magnitudes"):
                assert flat.abs().equal(own.abs())
                assert not flat.equal(own)
    first, second, _ = found["its signs, magnitudes drawn anew"]
    assert not first.equal(second)
    one = sign_pattern.with_magnitudes(
        model, {name: torch.full_like(p, 2.0) for name, p in model.named_parameters()}
    )
    assert all((p.abs() == 2).all() for p in one.parameters())


def test_the_table_of_searches(tmp_path: Path):
    path = tmp_path / "signs.csv"

    def row(kind: str, draw: int, smallest: int | str, best: float, alike: float) -> dict:
        return {"start": kind, "draw": draw, "smallest": smallest, "best": best, "alike": alike}

    def dead(kind: str) -> dict:
        return row(kind, 0, "", 0.5, 0.0) | {"alike": ""}

    add_rows(path, [row("the start itself", 0, 26, 0.96, 1.0)])
    add_rows(path, [dead("its signs, one magnitude a layer")])
    drawn = [(0.5 + draw / 100, draw / 10) for draw in range(10)]
    for draw, (best, alike) in enumerate(drawn):
        smallest = 27 + draw if draw > 7 else ""
        add_rows(path, [row("another start", draw, smallest, best, alike)])
    _, _, itself, one, another = signs(path).splitlines()
    assert one.endswith("| - | 50.00% | 50.0% | - |")
    assert itself == "| the start itself | 1 of 1 |  | 26 | 96.00% | 96.0% | 1.00 |"
    # Two of ten leave 51 % possible; the 2nd to the 9th of ten cover the median with 98 %.
    assert another == (
        "| another start | 2 of 10 | 51% | 35 | 59.00% | 54.5% (51.0% to 58.0%) "
        "| 0.45 (0.10 to 0.80) |"
    )
