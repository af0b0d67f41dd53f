"""The page over many runs and over a long one: as the library trains, and without growing."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
import torch
from scipy.stats import ks_2samp

import prunelimits as pl
from prunelimits.experiments import PAPER_COMBINATORIAL
from prunelimits.training.ensemble import MLPEnsemble
from prunelimits.viz import play
from prunelimits.viz.pages.page import SESSION
from tests.viz.node import run

if TYPE_CHECKING:
    from playwright.sync_api import Page as Tab

TRAININGS = 200
MINUTES = 10
SEEDS = 5


@pytest.mark.long
@pytest.mark.parametrize("hidden", [(16, 16, 16), (6, 5)])
def test_trainings_end_as_accurate_as_the_library_s(
    hidden: tuple[int, ...], record_property: Callable[[str, object], None]
):
    found = run(
        """
        const settings = { ...defaultSettings(), hidden: input.hidden, samples: 1000, test: 0 };
        Object.assign(settings, { batch: 64, epochs: 50 });
        return Array.from({ length: input.trainings }, (_, seed) => {
          const { train, test } = drawData({ ...settings, seed });
          const session = new Session({ ...settings, seed }, train, test);
          while (!session.training.done) session.training.take();
          return measure(session.network, session.train).accuracy;
        });
        """,
        {"trainings": TRAININGS, "hidden": hidden},
        SESSION,
    )
    x, y = pl.datasets.cubist_spiral(1000)
    recipe = pl.Recipe(epochs=50, batch_size=64)
    accuracies = []
    # A few at a time: those of one call see the samples in one order, those of the page do not.
    for seed in range(TRAININGS // 10):
        start = MLPEnsemble((2, *hidden, 1), models=10, seed=seed)
        accuracies.append(pl.fit(start, x, y, recipe, seed=seed).accuracy)
    expected = torch.cat(accuracies).tolist()
    assert len(found) == len(expected) == TRAININGS
    result = ks_2samp(found, expected)
    means = [sum(values) / TRAININGS for values in (found, expected)]
    record_property("means", means)
    record_property("p", result.pvalue)
    assert result.pvalue > 0.01


@pytest.mark.long
@pytest.mark.timeout(0)
def test_elimination_gets_below_the_paper_s_search_within_three_minutes(
    record_property: Callable[[str, object], None],
):
    runs = run(
        """
        return input.seeds.map((seed) => {
          const settings = { ...defaultSettings(), method: "Elimination", keep: 18, seed };
          const { train, test } = drawData(settings);
          const session = new Session(settings, train, test);
          const begun = process.cpuUsage();
          while (!session.done) session.take();
          const { user, system } = process.cpuUsage(begun);
          const { nonzeros, train: { accuracy } } = session.history.at(-1);
          return { nonzeros, accuracy, seconds: (user + system) / 1e6 };
        });
        """,
        {"seeds": list(range(SEEDS))},
        SESSION,
    )
    record_property("runs", runs)
    (paper, _), _ = PAPER_COMBINATORIAL
    good = [r for r in runs if r["nonzeros"] < paper and r["accuracy"] >= 0.95]
    assert len([r for r in good if r["seconds"] < 180]) >= 3


@pytest.mark.long
@pytest.mark.timeout(60 * MINUTES + 300)
def test_memory_stays_as_it_is_over_ten_minutes_of_training(
    open_page: Callable[..., Tab], record_property: Callable[[str, object], None]
):
    tab = open_page(play(), fragment="#samples=500&hidden=3-3&epochs=10000&batch=32")
    client = tab.context.new_cdp_session(tab)
    sizes = []
    for minute in range(MINUTES):
        if tab.inner_text("#run") != "Pause":
            tab.click("#run")
        until = time.monotonic() + 60
        while time.monotonic() < until:
            time.sleep(2)
            if tab.inner_text("#run") == "Train on":
                tab.click("#run")
        client.send("HeapProfiler.collectGarbage")
        used = client.send("Runtime.getHeapUsage")["usedSize"]
        epoch = tab.get_attribute("#play", "data-epoch")
        sizes.append(used)
        record_property(f"minute {minute + 1}, epoch {epoch}", used)
    assert max(sizes[3:]) < 1.2 * sizes[2] + 2e6
