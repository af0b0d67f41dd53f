"""`prunelimits view`: which file becomes which page, and what is said of a bad one."""

from __future__ import annotations

import json
import re
import webbrowser
from pathlib import Path

import numpy as np
import pytest
import torch

import prunelimits as pl
import prunelimits.cli
from prunelimits.cli import main
from prunelimits.exchange import to_json
from prunelimits.search import SearchConfig, combinatorial_search

RESULT = Path(__file__).parents[2] / "docs" / "results" / "appendix-d-at-995.pt"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every command runs in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def content(path: str) -> dict:
    page = Path(path).read_text()
    assert len(page.encode()) < 2_000_000
    found = re.search(r'<script id="content" type="application/json">(.*?)</script>', page)
    assert found is not None
    return json.loads(found[1])


def searched(path: str, samples: int | None = 300) -> None:
    config = SearchConfig(
        target=0.5,
        widths=(2, 1, 1),
        recipes=(pl.Recipe(epochs=1, batch_size=50, lr=0.1),),
    )
    combinatorial_search(config, *pl.datasets.cubist_spiral(samples), store=path)


def test_a_saved_network_is_written_as_a_page(capsys: pytest.CaptureFixture[str]):
    assert main(["view", str(RESULT), "-o", "page.html"]) == 0
    assert capsys.readouterr().out == "Wrote page.html\n"
    page = content("page.html")
    assert page["mode"] == "single"
    assert page["title"] == "appendix-d-at-995.pt"
    assert page["about"] == "Data: the Cubist Spiral, 49,982 samples."
    assert page["networks"][0]["nonzeros"] == 46
    assert [path.name for path in Path().iterdir()] == ["page.html"]


def test_json_gives_the_page_that_the_saved_network_gives():
    Path("net.json").write_text(to_json(*pl.load(RESULT)))
    assert main(["view", "net.json", "-o", "json.html"]) == 0
    assert main(["view", str(RESULT), "-o", "saved.html"]) == 0
    first, second = content("json.html"), content("saved.html")
    for key in ("values", "kept", "nonzeros", "accuracy"):
        assert first["networks"][0][key] == second["networks"][0][key]


def test_two_networks_stand_beside_each_other():
    Path("other.json").write_text(to_json(pl.MLP((2, 3, 1)), None))
    assert main(["view", str(RESULT), "--beside", "other.json", "-o", "page.html"]) == 0
    page = content("page.html")
    assert page["mode"] == "comparison"
    assert [network["label"] for network in page["networks"]] == [RESULT.name, "other.json"]


def test_a_store_becomes_a_gallery():
    searched("store.sqlite")
    assert main(["view", "store.sqlite", "-o", "page.html"]) == 0
    page = content("page.html")
    assert page["mode"] == "gallery"
    assert page["about"] == "No data given."
    assert page["data"] is None
    sizes = [network["nonzeros"] for network in page["networks"]]
    assert sizes == sorted(pl.ModelMasks((2, 1, 1)).counts_by_nonzeros())
    assert page["target"] == 0.5


def test_a_search_of_the_spiral_shows_it():
    searched("store.sqlite", samples=None)
    assert main(["view", "store.sqlite", "-o", "page.html"]) == 0
    assert content("page.html")["about"] == "Data: the Cubist Spiral, 49,982 samples."


def test_own_data_and_none():
    x, y = pl.datasets.cubist_spiral(300)
    np.savez("mine.npz", x=x.numpy(), y=y.numpy())
    assert main(["view", str(RESULT), "--data", "mine.npz", "-o", "page.html"]) == 0
    assert content("page.html")["about"] == "Data: mine.npz, 300 samples."
    assert main(["view", str(RESULT), "--no-data", "-o", "page.html"]) == 0
    assert content("page.html")["data"] is None


def test_without_output_a_browser_opens(
    monkeypatch: pytest.MonkeyPatch, folder: Path, capsys: pytest.CaptureFixture[str]
):
    shown: list[str] = []
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    monkeypatch.setattr(webbrowser, "open", lambda address: shown.append(address) or True)
    assert main(["view", str(RESULT)]) == 0
    (address,) = shown
    printed = capsys.readouterr().out.strip()
    assert printed == f"Opened {Path(address.removeprefix('file://'))}"
    monkeypatch.setattr(webbrowser, "open", lambda address: False)
    assert main(["view", str(RESULT)]) == 1
    assert "there is no browser to open" in capsys.readouterr().err


def saved(model: pl.MLP) -> str:
    pl.save(model, None, "net.pt")
    return "net.pt"


def not_finite() -> str:
    model = pl.MLP((2, 3, 1))
    with torch.no_grad():
        model.get_parameter("layers.1.bias")[0] = float("nan")
    return saved(model)


def damaged(content: bytes) -> str:
    Path("net.pt").write_bytes(content)
    return "net.pt"


def empty_store() -> str:
    from prunelimits.search import Store

    Store("empty.sqlite", write=True).close()
    return "empty.sqlite"


def other_store() -> str:
    searched("store.sqlite")
    return "store.sqlite"


@pytest.mark.parametrize(
    ("make", "options", "message"),
    [
        (lambda: "missing.pt", [], "missing.pt"),
        (lambda: damaged(b"hello"), [], "net.pt is damaged or no file of torch.save"),
        (lambda: damaged(b'{"widths": [2, 1]}'), [], "net.pt is not a prunelimits network"),
        (lambda: damaged(b"SQLite format 3\0"), [], "net.pt"),
        (not_finite, [], "parameters of the model must be finite, 'layers.1.bias' is not"),
        (lambda: saved(pl.MLP((5, 3, 1))), [], "data is needed for a model of 5 inputs"),
        (lambda: saved(pl.MLP((2, 600, 600, 1))), [], "363,001 parameters, more than the 200,000"),
        (lambda: str(RESULT), ["--data", "missing.npz"], "missing.npz"),
        (lambda: str(RESULT), ["--data", "a.npz", "--no-data"], "--no-data and --data exclude"),
        (lambda: str(RESULT), ["--beside", "missing.pt"], "missing.pt"),
        (empty_store, [], "holds no search yet"),
        (other_store, ["--beside", str(RESULT)], "beside needs a network as FILE"),
    ],
)
def test_what_cannot_be_viewed_is_said_and_nothing_written(
    make, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
):
    assert main(["view", make(), *options, "-o", "page.html"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("prunelimits: ")
    assert message in error
    assert "Traceback" not in error
    assert not Path("page.html").exists()


def test_what_an_elimination_keeps_is_a_gallery(capsys: pytest.CaptureFixture[str]):
    x = torch.randn(60, 2, generator=torch.Generator().manual_seed(0))
    recipe = pl.Recipe(epochs=1, batch_size=20)
    quick = pl.elimination.Elimination(networks=4, dense=recipe, recovery=recipe, evolved=0)
    pl.elimination.eliminate(
        x, (x[:, 0] > 0).float(), quick, start=(2, 3, 1), target=0.4, store="kept.pt"
    )
    assert main(["view", "kept.pt", "-o", "page.html"]) == 0
    assert '"mode": "gallery"' in Path("page.html").read_text()
    capsys.readouterr()
    assert main(["view", "kept.pt", "--beside", "kept.pt", "-o", "page.html"]) == 1
    assert "--beside needs a network as FILE, got elimination kept.pt" in " ".join(
        capsys.readouterr().err.split()
    )


def test_without_a_file_the_sparsest_network_known_is_shown():
    assert main(["view", "-o", "page.html"]) == 0
    text = Path("page.html").read_text()
    assert "sparsest_known.pt" in text
    assert "Cubist Spiral" in text
    examples = Path(__file__).parents[2] / "examples" / "networks"
    kept = examples / "cubist-spiral-95-17-margin-with-biases-22.pt"
    shipped = Path(prunelimits.cli.__file__).parent / "sparsest_known.pt"
    assert shipped.read_bytes() == kept.read_bytes()


def test_the_labels_of_a_file_name_the_classes_on_every_page():
    rows = [f"{i % 7},{-(i // 7)},{('no', '<b>')[i % 2]}" for i in range(60)]
    Path("mine.csv").write_text("\n".join(["a,b,label", *rows]))
    searched("store.sqlite")
    for command in (["view"], ["view", "--beside", str(RESULT)], ["view", "store.sqlite"]):
        assert main([*command, "--data", "mine.csv", "-o", "page.html"]) == 0
        assert content("page.html")["classes"] == ["<b>", "no"]
    assert "<b>no" not in Path("page.html").read_text()
    assert main(["view", "-o", "page.html"]) == 0
    assert content("page.html")["classes"] is None


def test_options_about_a_file_need_one(capsys: pytest.CaptureFixture[str]):
    assert main(["view", "--label", "kind", "-o", "page.html"]) == 1
    assert "--label needs --data" in capsys.readouterr().err
