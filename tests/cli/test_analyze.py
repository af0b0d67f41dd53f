"""`prunelimits analyze` as a user meets it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import nn

import prunelimits as pl
from prunelimits.cli.analyze import Analyze
from prunelimits.cli.network import made
from prunelimits.connectivity import analyze

FACTORY = """
from torch import nn

def small():
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3))

number = 3
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every command runs in an empty folder, with a module of the user's."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "analyzed_models.py").write_text(FACTORY)
    return tmp_path


def saved_state() -> dict[str, torch.Tensor]:
    shapes = {"0.weight": (2, 1, 3, 3), "0.bias": (2,), "3.weight": (3, 8), "3.bias": (3,)}
    state = {name: torch.ones(shape) for name, shape in shapes.items()}
    state["0.weight"][0] = 0
    state["3.weight"][1:] = 0
    return state


def test_a_saved_network(capsys: pytest.CaptureFixture[str]):
    masks = {"layers.0.weight": torch.tensor([[True, False], [False, False], [True, True]])}
    model = pl.MLP((2, 3, 1))
    pl.save(model, masks, "net.pt")
    assert Analyze(Path("net.pt"), json=Path("numbers.json")).run() == 0
    report = analyze(model, masks)
    assert capsys.readouterr().out == f"{report}\n"
    assert json.loads(Path("numbers.json").read_text()) == json.loads(json.dumps(report.to_dict()))


def test_zeros_are_the_mask_of_a_file_without_masks(capsys: pytest.CaptureFixture[str]):
    model = pl.MLP((2, 3, 1))
    with torch.no_grad():
        model.layers[0].weight[0] = 0
    pl.save(model, None, "net.pt")
    Analyze(Path("net.pt")).run()
    assert "layers.0         4 / 6" in capsys.readouterr().out


def test_a_model_of_the_user_s_own(capsys: pytest.CaptureFixture[str]):
    torch.save(saved_state(), "state.pt")
    command = Analyze(
        model="analyzed_models:small", state_dict=Path("state.pt"), input_shape=(1, 4, 4)
    )
    assert command.run() == 0
    printed = capsys.readouterr().out
    # One of two channels is live, one of three outputs is read.
    assert "core        1-1-1 units" in printed
    assert "paths       36 from an input to an output" in printed


def test_what_prunelimits_saved_of_a_model_of_the_user_s_own(capsys: pytest.CaptureFixture[str]):
    model = made("analyzed_models:small")
    masks = {"3.weight": torch.rand(3, 8) > 0.5}
    pl.save(model, masks, "net.pt")
    command = Analyze(
        model="analyzed_models:small", state_dict=Path("net.pt"), input_shape=(1, 4, 4)
    )
    assert command.run() == 0
    report = analyze(model, masks, inputs=torch.zeros(2, 1, 4, 4))
    assert capsys.readouterr().out == f"{report}\n"
    with pytest.raises(ValueError, match=r"of yours: give --model .* --state-dict net\.pt"):
        Analyze(Path("net.pt")).run()


@pytest.mark.parametrize(
    ("command", "error", "message"),
    [
        (Analyze(), ValueError, "give a FILE that prunelimits saved, or --model"),
        (Analyze(Path("a"), model="b:c"), ValueError, "give a FILE that prunelimits saved, or"),
        (Analyze(Path("a.pt")), FileNotFoundError, "a.pt"),
        (Analyze(Path("a"), state_dict=Path("b")), ValueError, "--state-dict belongs to --model"),
        (Analyze(model="small"), ValueError, "--model must be MODULE:FACTORY"),
        (Analyze(model="analyzed_models:other"), ValueError, "has no attribute 'other'"),
        (Analyze(model="no_such_module_here:f"), ValueError, "no_such_module_here"),
        (Analyze(model="analyzed_models:number"), TypeError, "must make a torch.nn.Module"),
        (Analyze(model="analyzed_models:small"), ValueError, "--input-shape is needed"),
        (
            Analyze(model="analyzed_models:small", input_shape=(1, 0, 4)),
            ValueError,
            "--input-shape must be of sizes of at least 1, got 1 0 4",
        ),
        (
            Analyze(model="analyzed_models:small", input_shape=(2, 4, 4)),
            ValueError,
            "--input-shape 2 4 4: model Sequential cannot be called with these inputs",
        ),
        (
            Analyze(Path("wrong.pt")),
            ValueError,
            "give --model MODULE:FACTORY --state-dict wrong.pt",
        ),
        (
            Analyze(model="analyzed_models:small", state_dict=Path("wrong.pt")),
            ValueError,
            "wrong.pt does not fit the model",
        ),
        (
            Analyze(model="analyzed_models:small", state_dict=Path("list.pt")),
            ValueError,
            "list.pt must hold a state dict, a dict of tensors, got a list",
        ),
        (
            Analyze(model="analyzed_models:small", state_dict=Path("code.pt")),
            ValueError,
            "code.pt must hold a state dict, .* save model.state_dict",
        ),
        (
            Analyze(model="analyzed_models:small", state_dict=Path("checkpoint.pt")),
            ValueError,
            "got a dict of epoch, model: save its 'model' in a file of its own",
        ),
        (
            Analyze(model="analyzed_models:small", state_dict=Path("none.pt")),
            FileNotFoundError,
            "none.pt",
        ),
    ],
)
def test_bad_commands(command: Analyze, error: type[Exception], message: str):
    torch.save({"0.weight": torch.ones(1)}, "wrong.pt")
    torch.save([1, 2], "list.pt")
    torch.save({"epoch": 3, "model": {"0.weight": torch.ones(1)}}, "checkpoint.pt")
    with torch.device("meta"):
        torch.save(nn.ReLU(), "code.pt")
    with pytest.raises(error, match=message):
        command.run()
