"""Pages take a network in every form in which people have one."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import torch

import prunelimits as pl
from prunelimits.elimination import Elimination, eliminate
from prunelimits.search import SearchConfig, combinatorial_search
from prunelimits.viz.pages.frames import named_network

torch.manual_seed(0)
MODEL = pl.MLP((2, 3, 1))
MASKS = pl.prune(MODEL, pl.pruners.Magnitude(floor=1), keep=5)
X = torch.randn(60, 2, generator=torch.Generator().manual_seed(0))
Y = (X[:, 0] > 0).float()
RECIPE = pl.Recipe(epochs=1, batch_size=20)


@pytest.fixture(scope="module")
def searched() -> Any:
    return combinatorial_search(SearchConfig(target=0.4, widths=(2, 2, 1), recipes=(RECIPE,)), X, Y)


@pytest.fixture(scope="module")
def eliminated() -> Any:
    quick = Elimination(networks=4, dense=RECIPE, recovery=RECIPE, evolved=0)
    return eliminate(X, Y, quick, start=(2, 3, 1), target=0.4)


def content(page: Any) -> Any:
    found = re.search(r'<script id="content" type="application/json">(.*?)</script>', page.html)
    assert found is not None
    return json.loads(found[1])


def test_every_form_means_the_same(searched: Any, eliminated: Any):
    for form, label, masks in (
        (MODEL, "?", None),
        ((MODEL,), "?", None),
        ((MODEL, MASKS), "?", MASKS),
        ((MODEL, None), "?", None),
        (("a", MODEL), "a", None),
        (("a", MODEL, MASKS), "a", MASKS),
    ):
        assert named_network("n", form, "?") == (label, MODEL, masks)
    for found in (searched.sparsest, eliminated.sparsest):
        expected = (f"{found.nonzeros} nonzeros", found.model, found.masks)
        assert named_network("n", found, "?") == expected


def test_pages_take_them(searched: Any, eliminated: Any):
    found = eliminated.sparsest
    pages = [
        pl.viz.playground(found),
        pl.viz.playground((MODEL, MASKS)),
        pl.viz.comparison(MODEL, (MODEL, MASKS)),
        pl.viz.comparison(searched.sparsest, found, (X, Y)),
        pl.viz.film([MODEL, (MODEL, MASKS), ("last", MODEL)]),
        pl.viz.play((MODEL, MASKS)),
    ]
    labels = [[network["label"] for network in content(page)["networks"]] for page in pages[:-1]]
    assert labels == [
        [f"{found.nonzeros} nonzeros"],
        ["2-3-1"],
        ["left", "right"],
        [f"{searched.sparsest.nonzeros} nonzeros", f"{found.nonzeros} nonzeros"],
        ["1", "2", "last"],
    ]
    assert content(pages[1])["networks"] == content(pl.viz.playground(MODEL, MASKS))["networks"]
    assert content(pages[-1])["network"]["nonzeros"] == pl.masks.count(MASKS) + 4


def test_a_gallery_of_an_elimination(eliminated: Any):
    shown = content(pl.viz.gallery(eliminated, (X, Y)))
    sizes = [network["nonzeros"] for network in shown["networks"]]
    assert sizes == [network.nonzeros for network in eliminated.networks]
    assert [n["accuracy"] for n in shown["networks"]] == [n.score for n in eliminated.networks]
    assert shown["target"] == 0.4
    assert sizes[shown["first"]] == eliminated.sparsest.nonzeros
    assert shown["measure"] == "accuracy"


def test_a_gallery_of_networks_that_predict_numbers_says_what_they_explain():
    quick = Elimination(networks=4, dense=RECIPE, recovery=RECIPE, evolved=0)
    found = eliminate(X, X.sum(1), quick, start=(2, 3, 1), nonzeros=6, loss="mse")
    page = pl.viz.gallery(found)
    shown = content(page)
    assert shown["measure"] == "R²"
    assert [n["accuracy"] for n in shown["networks"]] == [n.score for n in found.networks]
    config = SearchConfig(target=0.4, widths=(2, 2, 1), recipes=(RECIPE,))
    searched = combinatorial_search(config, X, X.sum(1), loss="mse")
    assert content(pl.viz.gallery(searched))["measure"] == "R²"


@pytest.mark.parametrize(
    ("wrong", "kind", "message"),
    [
        (3, TypeError, "left must be an MLP"),
        ("a", TypeError, "left must be an MLP"),
        ((), TypeError, "left must be an MLP, with a label"),
        ((MODEL, MASKS, 3), TypeError, "left must be an MLP, with a label"),
        ((MASKS, MODEL), TypeError, "the model of left must be an MLP"),
        ((MODEL, 3), TypeError, "masks"),
        (torch.nn.Linear(2, 1), TypeError, "left must be an MLP"),
    ],
)
def test_what_is_no_network_is_refused(wrong: Any, kind: type[Exception], message: str):
    with pytest.raises(kind, match=message):
        pl.viz.comparison(wrong, MODEL)


def test_masks_are_given_once():
    for page in (pl.viz.playground, pl.viz.play):
        with pytest.raises(ValueError, match="masks stand in model already"):
            page((MODEL, MASKS), MASKS)
    with pytest.raises(TypeError, match="result must be a SearchResult or an EliminationResult"):
        pl.viz.gallery([MODEL])
