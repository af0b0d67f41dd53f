"""What the last value of a notebook's cell shows: pictures and tables, and short texts."""

from __future__ import annotations

import io
import warnings
from html.parser import HTMLParser

import pytest
import torch

import prunelimits as pl
from prunelimits.html_table import html_table
from prunelimits.search import SearchConfig, SearchResult, combinatorial_search


class Cells(HTMLParser):
    """The texts of all cells of a table, row by row; fails where tags do not fit together."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.open: list[str] = []
        self.feed(html)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag == "br":
            return
        self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1] in ("td", "th"):
            self.rows[-1][-1] += data


@pytest.fixture(scope="module")
def result() -> SearchResult:
    recipes = (pl.Recipe(epochs=1, lr=0.1),)
    config = SearchConfig(target=0.55, widths=(2, 2, 1), recipes=recipes)
    return combinatorial_search(config, *pl.datasets.cubist_spiral(500))


def test_a_figure_shows_a_picture():
    image = pytest.importorskip("PIL.Image")
    from prunelimits.viz import accuracy_figure, network_figure

    model = pl.MLP((2, 3, 1))
    for figure in (network_figure(model, resolution=8), accuracy_figure([(3, 0.5), (5, 0.9)])):
        shown = image.open(io.BytesIO(figure._repr_png_()))
        inches = figure.get_size_inches().tolist()
        assert shown.size == tuple(pytest.approx(100 * side, abs=1) for side in inches)
        assert len(shown.convert("RGB").getcolors(2**24)) > 50


def test_a_report_shows_its_table_and_is_short_as_text():
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
    report = pl.connectivity.analyze(model, inputs=torch.zeros(1, 3))
    rows = Cells(report._repr_html_()).rows
    assert rows[0][:3] == ["layer", "weights kept", "effective"]
    assert [row[0] for row in rows[1:]] == ["0", "2", "all"]
    assert rows[-1][1:3] == ["20 / 20", "20"]
    assert "26 kept, 26 effective" in report._repr_html_()
    assert repr(report).startswith(
        "<ConnectivityReport: 26 nonzeros, 26 effective; sparsity 0.00 %"
    )
    assert len(repr(report)) < 200


def test_a_search_shows_its_sizes_and_is_short_as_text(result: SearchResult):
    rows = Cells(result._repr_html_()).rows[1:]
    sizes = result.phases[0].sizes
    assert [int(row[1]) for row in rows] == [size.nonzeros for size in sizes]
    assert [row[-1] for row in rows] == [f"{size.accuracy:.2%}" for size in sizes]
    assert len(repr(result)) < 200
    assert str(result.phases[0].trained) in repr(result)
    best = result.most_accurate
    assert best is not None
    assert repr(best).startswith(f"<FoundNetwork: {best.nonzeros} nonzeros, accuracy")
    assert len(repr(best)) < 150


def test_an_elimination_shows_its_front_and_is_short_as_text():
    x = torch.randn(60, 2, generator=torch.Generator().manual_seed(0))
    recipe = pl.Recipe(epochs=1, batch_size=20)
    quick = pl.elimination.Elimination(networks=4, dense=recipe, recovery=recipe, evolved=0)
    y = (x[:, 0] > 0).float()
    result = pl.elimination.eliminate(x, y, quick, start=(2, 3, 1), target=0.4)
    rows = Cells(result._repr_html_()).rows
    assert rows[0] == ["nonzeros", "widths", "score"]
    assert [int(row[0]) for row in rows[1:]] == [n.nonzeros for n in result.front]
    assert [row[2] for row in rows[1:]] == [f"{n.score:.2%}" for n in result.front]
    assert repr(result).startswith("<EliminationResult: sparsest at 40 %: ")
    assert len(repr(result)) < 200


def test_a_limit_and_a_fit_are_short_and_show_their_numbers():
    torch.manual_seed(0)
    x, y = pl.datasets.cubist_spiral(200)
    fitted = pl.fit(pl.MLPEnsemble((2, 3, 1), models=2, seed=0), x, y, pl.Recipe(epochs=2))
    best, worst = float(fitted.accuracy.max()), float(fitted.accuracy.min())
    start = f"<FitResult: 2 networks 2-3-1, accuracy {worst:.2%} to {best:.2%}, loss"
    assert repr(fitted).startswith(start)
    assert len(repr(fitted)) < 150

    def loss(outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.binary_cross_entropy_with_logits(outputs.squeeze(1), labels)

    model, _ = fitted.ensemble.member(0)
    batches = list(zip(x.split(50), y.split(50), strict=True))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # two epochs lead to no minimum
        limit = pl.limits.pruning_limit(model, loss, batches, epsilon=0.1)
    rows = Cells(limit._repr_html_()).rows
    predictions = (limit.predicted, limit.exact, limit.constructive)
    assert [row[1] for row in rows[1:]] == [f"{p.removed:.2%}" for p in predictions]
    assert "of 9 weights" in repr(limit)
    assert len(repr(limit)) < 200
    problem, params = pl.problem_of(model, loss, batches)
    sweep = pl.limits.magnitude_sweep(problem, params, limit.prunable)
    assert repr(sweep).startswith("<PruningSweep: ")
    assert "of 9 weights removed" in repr(sweep)


def test_text_in_a_table_is_no_markup():
    html = html_table("<b>", ["<script>"], [["a & b"]], ["<i>"])
    assert "<script>" not in html
    assert Cells(html).rows == [["<script>"], ["a & b"]]
