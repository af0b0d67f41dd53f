"""The study of planted truths in small form."""

from __future__ import annotations

from pathlib import Path

import planted
import pytest

from prunelimits.pruners import Magnitude
from prunelimits.training import Recipe


@pytest.mark.parametrize("name", ["ReLU", "circle"])
def test_the_hidden_network_is_all_there_and_others_are_counted(
    name: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(planted, "POINTS", 200)
    monkeypatch.setattr(planted, "STARTS", 2)
    monkeypatch.setattr(planted, "LONG", Recipe(epochs=1, batch_size=50, lr=1e-4))
    monkeypatch.setattr(planted, "METHODS", {"Magnitude": Magnitude()})
    task = next(task for task in planted.TASKS if task.name == name)
    hidden = planted.run(task, "hidden")
    assert [row.found for row in hidden] == [1.0, 1.0]
    best = 0.0 if name == "ReLU" else 1.0
    assert all(row.result == pytest.approx(best, abs=0.03) for row in hidden)
    rows = planted.run(task, "Magnitude")
    weights = hidden[0].keep
    assert [row.keep for row in rows] == [weights, weights, 4 * weights, 4 * weights]
    wide, masks = planted.planted(task)
    # By hand, for the first start: which of the largest weights are hidden ones.
    every = [
        (float(abs(value)), bool(kept))
        for layer, mask in masks.items()
        if layer.endswith("weight")
        for value, kept in zip(
            wide.params[layer][0].flatten().tolist(), mask[0].flatten().tolist(), strict=True
        )
    ]
    largest = sorted(every, key=lambda pair: -pair[0])[:weights]
    assert rows[0].found == pytest.approx(sum(kept for _, kept in largest) / weights, abs=1e-4)


def test_rows_are_read_back(tmp_path: Path):
    assert planted.read_rows(tmp_path / "none.csv") == []
    (tmp_path / "a.csv").write_text("task,method,keep,start,result,found\nReLU,GMP,5,1,0.5,0.25\n")
    assert planted.read_rows(tmp_path / "a.csv") == [planted.Row("ReLU", "GMP", 5, 1, 0.5, 0.25)]
