"""`prunelimits limit --include --ignore`: which weights are pruned, as `pruning_limit` takes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import prunelimits as pl
from prunelimits.cli.limit import Limit

OWN = "from torch import nn\nlast = lambda name, p: name == 'layers.1.weight'\nnumber = 3\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        "prunelimits.cli.data.cubist_spiral", lambda: pl.datasets.cubist_spiral(400)
    )
    torch.manual_seed(0)
    pl.save(pl.MLP((2, 3, 1)), None, "net.pt")
    (tmp_path / "own_parts_of_a_model.py").write_text(OWN)
    return tmp_path


@pytest.mark.filterwarnings("ignore:the gradient's norm")
@pytest.mark.parametrize(
    ("options", "weights"),
    [
        ({}, 9),
        ({"ignore": ("layers.1",)}, 6),
        ({"ignore": ("own_parts_of_a_model:last",)}, 6),
        ({"ignore": ("*.0.*",), "include": ("layers.1.bias",)}, 4),
        ({"include": ("torch.nn:Linear",)}, 9),
    ],
)
def test_weights_are_chosen_by_words(
    options: dict[str, Any], weights: int, capsys: pytest.CaptureFixture[str]
):
    assert Limit(file=Path("net.pt"), epsilon=0.1, quiet=True, **options).run() == 0
    assert f"{weights} weights of 13 parameters" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ignore": ("layers.7",)}, "--ignore names 'layers.7', which is no module or parameter"),
        ({"include": ("no_such:thing",)}, "--include no_such:thing: No module named"),
        ({"ignore": ("own_parts_of_a_model:number",)}, "must be a class of modules, or a function"),
        ({"ignore": ("torch.nn:Linear",)}, "--ignore must leave something to prune"),
    ],
)
def test_what_is_not_there_is_refused_by_its_flag(options: dict[str, Any], message: str):
    with pytest.raises(ValueError, match=message):
        Limit(file=Path("net.pt"), **options).run()
