"""`prunelimits limit`: what it prints, writes, and says when asked for nonsense."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch

import prunelimits as pl
from prunelimits import limits
from prunelimits.cli.limit import Limit


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every command runs in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def data() -> Path:
    generator = np.random.default_rng(0)
    x = generator.normal(size=(300, 4)).astype(np.float32)
    np.savez("data.npz", x=x, y=(x[:, 0] > 0).astype(int) + (x[:, 1] > 0))
    return Path("data.npz")


@pytest.fixture
def network(data: Path) -> Path:
    with np.load(data) as arrays:
        x, y = torch.from_numpy(arrays["x"]), torch.from_numpy(arrays["y"])
    ensemble = pl.MLPEnsemble((4, 8, 3), models=1, seed=0)
    recipe = pl.Recipe(epochs=100, lr=0.1, batch_size=50)
    pl.save(pl.fit(ensemble, x, y, recipe).ensemble.member(0)[0], None, "net.pt")
    return Path("net.pt")


def test_a_saved_network_s_limit_is_printed_beside_practice(
    network: Path, data: Path, capsys: pytest.CaptureFixture[str]
):
    pictures = Path("some/pictures")
    command = Limit(file=network, data=data, held_out=0.2, csv=Path("sweep.csv"), pictures=pictures)
    assert command.run() == 0
    printed = capsys.readouterr().out
    for path in (pictures / "limit.png", pictures / "limit.svg"):
        assert path.stat().st_size > 10_000
        assert f"Wrote {path}" in printed
    for label in ("predicted, published formula", "actual, training loss within epsilon"):
        assert label in printed
    assert "56 weights of 67 parameters" in printed
    model, _ = pl.load(network)
    with np.load(data) as arrays:
        x, y = torch.from_numpy(arrays["x"]), torch.from_numpy(arrays["y"])
    order = torch.randperm(300, generator=torch.Generator().manual_seed(0))
    x, y = x[order], y[order]
    batches = list(zip(x[:240].split(128), y[:240].split(128), strict=True))
    limit = limits.pruning_limit(model, torch.nn.functional.cross_entropy, batches)
    assert f"{limit.predicted.removed:.2%}" in printed
    assert f"epsilon {limit.epsilon:.4g}" in printed
    with open("sweep.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert float(rows[0]["removed"]) == 0
    assert float(rows[-1]["removed"]) == 1
    expected = float((model(x[:240]).argmax(1) == y[:240]).double().mean())
    assert float(rows[0]["accuracy"]) == pytest.approx(expected)


def test_the_spiral_is_the_data_without_data(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(
        "prunelimits.cli.data.cubist_spiral", lambda: pl.datasets.cubist_spiral(400)
    )
    masks = {"layers.0.weight": torch.tensor([[True, False], [True, True], [True, True]])}
    member = pl.MLPEnsemble((2, 3, 1), models=1, masks=masks, seed=0).member(0)
    pl.save(*member, "net.pt")
    assert Limit(file=Path("net.pt"), epsilon=10.0).run() == 0
    assert "8 weights of 12 parameters" in capsys.readouterr().out


def test_ones_own_model_and_an_interruption(
    data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    Path("own_models.py").write_text(
        "from torch import nn\n"
        "def small():\n"
        "    return nn.Sequential(nn.Linear(4, 9), nn.Dropout(), nn.ReLU(), nn.Linear(9, 3))\n"
    )
    monkeypatch.setattr("prunelimits.cli.limit._DENSE_SIZE", 10)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        weights = {"0.weight": torch.randn(9, 4), "0.bias": torch.zeros(9)}
        weights |= {"3.weight": torch.randn(3, 9), "3.bias": torch.zeros(3)}
    torch.save(weights, "weights.pt")
    command = Limit(
        model="own_models:small",
        state_dict=Path("weights.pt"),
        data=data,
        epsilon=10.0,
        steps=20,
        probes=2,
        state=Path("state.pt"),
        double=True,
    )
    assert command.run() == 0
    first = capsys.readouterr().out
    assert "75 parameters: 20 steps of 2 probes, about" in first
    assert "±" in first
    assert limits.load_state("state.pt").steps == 20
    assert command.run() == 0
    again = capsys.readouterr().out
    assert first.splitlines()[1:] == again.splitlines()[1:]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "give a FILE that prunelimits saved, or --model"),
        ({"file": "net.pt", "model": "a:b"}, "give a FILE that prunelimits saved, or --model"),
        ({"file": "net.pt", "state_dict": "a.pt"}, "--state-dict belongs to --model"),
        ({"model": "own:small"}, "--state-dict is needed"),
        ({"model": "own", "state_dict": "a.pt"}, "--model must be MODULE:FACTORY"),
        ({"file": "none.pt"}, r"none\.pt"),
        ({"file": "net.pt", "held_out": 1.0}, "--held-out must be at least 0 and below 1, got 1.0"),
        ({"file": "net.pt", "batch_size": 0}, "--batch-size must be at least 1, got 0"),
        ({"file": "net.pt", "epsilon": 0.0}, "--epsilon must be above 0, got 0.0"),
    ],
)
def test_bad_input(options: dict, message: str, network: Path, data: Path):
    paths = {k: Path(v) if k in ("file", "state_dict") else v for k, v in options.items()}
    with pytest.raises((ValueError, OSError), match=message):
        Limit(**{"data": data, **paths}).run()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "^--batch-size must be at least 1, got 0"),
        ({"probes": 0}, "^--probes must be at least 1, got 0"),
        ({"steps": 0}, "^--steps must be at least 1, got 0"),
        ({"held_out": 1.0}, "^--held-out must be"),
        ({"epsilon": -1.0}, "^--epsilon must be"),
        ({"seed": 2**70}, f"^--seed must be from {-(2**63)} to {2**63 - 1}, got 1180591620717411"),
    ],
)
def test_numbers_out_of_range_are_refused_by_their_flag(
    network: Path, data: Path, options: dict[str, float], message: str
):
    with pytest.raises(ValueError, match=message):
        Limit(file=network, data=data, **options).run()


def test_data_that_the_network_does_not_take_are_named(network: Path):
    with pytest.raises(ValueError, match=r"^--data is needed: .* Cubist Spiral.*do not fit"):
        Limit(file=network).run()
    np.savez("narrow.npz", x=np.zeros((9, 3), np.float32), y=np.arange(9) % 3)
    with pytest.raises(ValueError, match=r"^--data narrow.npz: inputs of shape \(9, 3\)"):
        Limit(file=network, data=Path("narrow.npz")).run()
    np.savez("many.npz", x=np.zeros((9, 4), np.float32), y=np.arange(9))
    with pytest.raises(ValueError, match=r"^--data many.npz: .* labels 0 to 8 do not fit"):
        Limit(file=network, data=Path("many.npz")).run()


def test_the_last_line_is_a_verdict(network: Path, data: Path, capsys: pytest.CaptureFixture[str]):
    Limit(file=network, data=data).run()
    assert "Verdict: " in capsys.readouterr().out


def test_what_cannot_be_copied_in_ones_own_model_is_named(data: Path):
    Path("locked_models.py").write_text(
        "import threading\n"
        "from torch import nn\n"
        "def small():\n"
        "    model = nn.Sequential(nn.Linear(4, 9), nn.ReLU(), nn.Linear(9, 3))\n"
        "    model[1].lock = threading.Lock()\n"
        "    return model\n"
    )
    model = torch.nn.Sequential(torch.nn.Linear(4, 9), torch.nn.ReLU(), torch.nn.Linear(9, 3))
    torch.save(model.state_dict(), "weights.pt")
    command = Limit(model="locked_models:small", state_dict=Path("weights.pt"), data=data)
    with pytest.raises(TypeError, match=r"model must be one that .* takes, but it has '1\.lock'"):
        command.run()


def test_ones_own_model_may_be_one_already_and_a_function_has_no_arguments(data: Path):
    Path("other_models.py").write_text(
        "from torch import nn\n"
        "made = nn.Linear(4, 3)\n"
        "def needs(width): return nn.Linear(4, width)\n"
    )
    torch.save(torch.nn.Linear(4, 3).state_dict(), "weights.pt")
    mine = {"state_dict": Path("weights.pt"), "data": data, "epsilon": 10.0}
    assert Limit(model="other_models:made", **mine).run() == 0
    with pytest.raises(TypeError, match=r"^--model other_models:needs must be a function without"):
        Limit(model="other_models:needs", **mine).run()
