"""What successive halving loses, counted, and the tables of the counts."""

from __future__ import annotations

import halving
import halving_tables
import numpy as np


def cells(table: str) -> list[list[str]]:
    header, _, *rows = (line[2:-2].split(" | ") for line in table.splitlines())
    return [header, *rows]


def test_what_halving_keeps():
    """Ten networks of which it keeps the two that are best after two epochs."""
    correct = np.zeros((1, 10, len(halving.EPOCHS)), dtype=np.int32)
    correct[0, :, halving.EPOCHS.index(5)] = range(10)
    correct[0, :, -1] = [9, 8, 7, 6, 5, 4, 3, 2, 1, 10]
    reached = correct[:, :, -1] >= 9
    rows = [
        {name: str(value) for name, value in row.items()}
        for row in halving.counts(correct, reached, reached, "tiny")
    ]
    own = next(row for row in rows if row["rungs"] == "5 0.1")
    assert (own["reached"], own["reached_kept"]) == ("2", "1")
    assert own["epochs"] == f"{5 + 0.1 * 45:.2f}"
    table = cells(halving_tables.halving(rows))
    assert table[0] == ["rungs", "epochs", "tiny", "best per mille"]
    line = next(row for row in table if row[0] == "`5 0.1`")
    assert line == ["`5 0.1`", "9.5", *["50% of 2 (1% to 99%)"] * 2]
    none = halving.counts(correct, reached & False, reached, "none")
    text = [{name: str(value) for name, value in row.items()} for row in none]
    assert "none" not in cells(halving_tables.halving([*rows, *text]))[0]


def test_ranks_on_the_way():
    """Those at the target are first and, level with two others, third of four at first."""
    correct = np.zeros((1, 4, len(halving.EPOCHS)), dtype=np.int32)
    correct[0, :, 0] = [7, 5, 5, 5]
    correct[0, :, -1] = [9, 9, 1, 2]
    reached = correct[:, :, -1] == 9
    found = halving.ranks(correct, reached, "tiny")
    assert [row["epochs"] for row in found] == list(halving.EPOCHS)
    # Of four: none above the first; one above the second and two level with it, half counted.
    assert found[0]["median"] == f"{(0 + (1 + 2 / 2) / 4) / 2:.5f}"
    # At the end two are level.
    assert found[-1]["median"] == f"{(1 / 2) / 4:.5f}"
    text = [{name: str(value) for name, value in row.items()} for row in found]
    header, middle, most = cells(halving_tables.halving_ranks(text))
    assert header[:3] == ["after epochs", "1", "2"]
    assert middle[:2] == ["tiny, median", "25.0%"]
    assert most[0] == "tiny, nine of ten"
    assert halving.ranks(correct, reached & False, "tiny") == []
