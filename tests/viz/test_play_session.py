"""The page that trains, without its document: data, settings, and sessions from a seed."""

from __future__ import annotations

import numpy as np
import pytest

import prunelimits as pl
from prunelimits.viz.pages.page import SESSION
from tests.viz.node import run

SMALL = {"samples": 200, "hidden": [6, 5], "epochs": 12, "batch": 32}

SESSION_OF = """
const sessionOf = (changes) => {
  const settings = { ...defaultSettings(), ...changes };
  const { train, test } = drawData(settings);
  return new Session(settings, train, test);
};
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cubist", "spiral"])
@pytest.mark.parametrize("size", [50, 333, 2000, 49_982])
def test_the_spirals_are_the_library_s(name: str, size: int):
    found = run(
        "return DATASETS[input.name](input.size, null);", {"name": name, "size": size}, SESSION
    )
    if (name, size) == ("cubist", 49_982):
        x, y = pl.datasets.cubist_spiral()  # the published points
    else:
        x, y = {"cubist": pl.datasets.cubist_spiral, "spiral": pl.datasets.spiral}[name](size)
    np.testing.assert_allclose([point["x"] for point in found], x.numpy(), atol=2e-5)
    assert [point["label"] for point in found] == y.tolist()


@pytest.mark.parametrize("name", ["circles", "xor", "gaussians"])
def test_other_data_have_two_classes_in_the_plane_that_a_network_can_learn(name: str):
    found = run(
        SESSION_OF
        + """
        const session = sessionOf({ data: input, samples: 400, epochs: 60, batch: 32, seed: 5 });
        while (!session.done) session.take();
        const { train, test, history } = session;
        return { x: [...train.x, ...test.x], y: [...train.y, ...test.y], last: history.at(-1) };
        """,
        name,
        SESSION,
    )
    assert len(found["y"]) == 400
    assert sum(found["y"]) == 200
    assert np.abs(found["x"]).max() < 4
    assert found["last"]["train"]["accuracy"] > 0.97
    assert found["last"]["test"]["accuracy"] > 0.93


def test_noise_and_the_test_share_do_what_they_say():
    clean, noisy = run(
        """
        return [0, 0.3].map((noise) => {
          const { train, test } = drawData({ ...defaultSettings(), noise, test: 0.25, seed: 3 });
          return { train: train.size, test: test.size, x: [...train.x, ...test.x] };
        });
        """,
        None,
        SESSION,
    )
    assert (clean["train"], clean["test"]) == (1500, 500)
    assert len(noisy["x"]) == 4000
    variances = [float(np.var(data["x"])) for data in (clean, noisy)]
    assert variances[1] - variances[0] == pytest.approx(0.09, abs=0.02)


@pytest.mark.parametrize("method", ["none", "GMP", "LTH", "RigL", "SET"])
def test_a_seed_gives_the_same_run_and_another_seed_another(method: str):
    first, again, other = run(
        SESSION_OF
        + """
        return input.seeds.map((seed) => {
          const session = sessionOf({ ...input.small, method: input.method, keep: 20, seed });
          while (!session.done) session.take();
          const { network, history, epoch, lastEpoch } = session;
          const [values, left] = [[...network.values], keptWeights(network)];
          return { values, left, history, epoch, lastEpoch };
        });
        """,
        {"seeds": [7, 7, 8], "small": SMALL, "method": method},
        SESSION,
    )
    assert first == again
    assert first["values"] != other["values"]
    assert first["left"] == (47 if method == "none" else 20)
    assert first["epoch"] == first["lastEpoch"] == (60 if method == "LTH" else 12)
    assert first["history"][-1]["train"]["loss"] < first["history"][0]["train"]["loss"]


def test_a_session_prunes_at_once_and_trains_on_within_the_masks():
    found = run(
        SESSION_OF
        + """
        const session = sessionOf(input);
        while (!session.done) session.take();
        return [...Object.keys(AT_ONCE)].map((method, i) => {
          session.prune(method, 30 - i);
          const left = keptWeights(session.network);
          const kept = [...session.network.kept];
          session.trainOn();
          while (!session.done) session.take();
          const same = kept.every((flag, index) => flag === session.network.kept[index]);
          return { left, same, epoch: session.epoch };
        });
        """,
        SMALL,
        SESSION,
    )
    assert [step["left"] for step in found] == [30 - i for i in range(7)]
    assert all(step["same"] for step in found)
    assert [step["epoch"] for step in found] == [12 * (i + 2) for i in range(7)]


def test_a_budget_beyond_what_is_left_is_refused():
    reasons = run(
        SESSION_OF
        + """
        const reasons = [];
        const attempt = (action) => {
          try { action(); } catch (error) { reasons.push(error.message); }
        };
        const session = sessionOf(input);
        session.prune("Magnitude", 10);
        attempt(() => session.prune("Magnitude", 11));
        attempt(() => sessionOf({ ...input, method: "GMP", keep: 48 }));
        attempt(() => sessionOf({ ...input, test: 1 }));
        return reasons;
        """,
        SMALL,
        SESSION,
    )
    assert reasons == [
        "the network has 10 weights left, fewer than the 11 to keep",
        "the network has 47 weights left, fewer than the 48 to keep",
        "no sample is left to train on: lower the test share",
    ]


def test_settings_stand_in_an_address_and_come_back():
    fragment, back, plain = run(
        """
        const settings = { ...defaultSettings(), ...input };
        const fragment = settingsToFragment(settings);
        const plain = settingsToFragment(defaultSettings());
        return [fragment, settingsFromFragment(`#${fragment}`), plain];
        """,
        {"hidden": [3, 4], "lr": 0.001, "data": "xor", "method": "RigL", "keep": 9, "seed": 12},
        SESSION,
    )
    assert fragment == "data=xor&hidden=3-4&lr=0.001&seed=12&method=RigL&keep=9"
    assert (back["hidden"], back["lr"], back["method"], back["seed"]) == ([3, 4], 0.001, "RigL", 12)
    assert plain == ""


@pytest.mark.parametrize(
    ("fragment", "reason"),
    [
        ("samples=ten", 'samples must be a whole number from 50 to 50000, got "ten"'),
        ("lr=-1", 'lr must be a number from 0.00001 to 10, got "-1"'),
        ("lr=Infinity", "lr must be a number from"),
        ("lr=0x10", "lr must be a number from"),
        ("hidden=16-17", "hidden must be one to 5 widths from 1 to 16, such as 16-16-16"),
        ("hidden=1-1-1-1-1-1", "hidden must be one to 5 widths"),
        ("hidden=", "hidden must be one to 5 widths"),
        ("method=constructor", "method must be one of none, Magnitude"),
        ("__proto__=1", 'there is no setting "__proto__"'),
        ("seed=1&seed=2", "seed is given twice"),
        ("data=" + "x" * 100_000, 'got "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…"'),
    ],
)
def test_a_malformed_address_is_refused_with_a_reason(fragment: str, reason: str):
    body = """
    try { settingsFromFragment(input); } catch (error) { return error.message; }
    return "taken";
    """
    assert reason in run(body, f"#{fragment}", SESSION)


def test_a_film_keeps_what_happened_and_stays_short():
    labels = run(
        SESSION_OF
        + """
        const session = sessionOf({ ...input, epochs: 300 });
        for (let i = 0; i < 120; i++) do session.take(); while (session.epoch < i + 1);
        session.prune("Magnitude", 20);
        for (let i = 0; i < 5; i++) session.edit([{ index: 0, value: i, kept: 1 }]);
        while (!session.done) session.take();
        return session.film.frames.map(({ label }) => label);
        """,
        SMALL,
        SESSION,
    )
    assert labels[0] == "epoch 0"
    assert labels[-1] == "epoch 300"
    assert 40 < len(labels) <= 100
    assert labels.count("epoch 120: Magnitude keeps 20") == 1
    assert labels.count("epoch 120: by hand") == 1  # of many changes the last
    epochs = [int(label.split()[1].strip(":")) for label in labels]
    assert epochs == sorted(epochs)
