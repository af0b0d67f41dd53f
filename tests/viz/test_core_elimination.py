"""The pages' numeric core: elimination removes the weight whose absence costs least."""

from __future__ import annotations

import copy

import pytest
import torch

import prunelimits as pl
from prunelimits.viz.pages.page import SESSION
from tests.viz.node import SAMPLES_OF, encoded, run, samples
from tests.viz.test_core_numbers import loss_of, task


def test_the_weight_that_is_missed_least_is_found_by_trying_all():
    cases, expected = [], []
    for number in range(12):
        model, masks, x, y = task(number)
        cases.append({"network": encoded(model, masks), "samples": samples(x, y)})
        losses: dict[int, float] = {}
        place = 0
        for name, parameter in model.named_parameters():
            for index in range(parameter.numel()):
                if name.endswith("weight") and bool(masks[name].flatten()[index]):
                    tried = copy.deepcopy(model).double()
                    with torch.no_grad():
                        for other, value in tried.named_parameters():
                            value *= masks[other]
                        tried.get_parameter(name).view(-1)[index] = 0
                        losses[place] = float(loss_of(tried(x.double()), y))
                place += 1
        expected.append(min(losses, key=lambda at: (losses[at], at)))
    found = run(
        SAMPLES_OF
        + """
        return input.map(({ network, samples }) => {
          const decoded = Network.decode(network);
          const before = decoded.kept.slice();
          const index = leastMissed(decoded, new Absences(decoded, samplesOf(samples)));
          if (decoded.kept.some((kept, i) => kept !== before[i])) throw new Error("changed");
          return index;
        });
        """,
        cases,
    )
    assert found == expected


ELIMINATED = """
const settings = { ...defaultSettings(), data: "gaussians", samples: 200, hidden: [6, 5] };
Object.assign(settings, { epochs: 20, batch: 16, method: "Elimination", ...input });
const { train, test } = drawData(settings);
const session = new Session(settings, train, test);
"""


@pytest.mark.slow
def test_weights_go_until_the_exact_budget_and_what_is_left_is_connected():
    for keep in (8, 1, 0, 47):
        found = run(
            ELIMINATED
            + """
            const left = [keptWeights(session.network)];
            while (!session.done) {
              session.take();
              const now = keptWeights(session.network);
              if (now !== left.at(-1)) left.push(now);
            }
            const cut = new Reach(session.network).parameters("cut").length;
            return { left, cut, epoch: session.epoch, last: session.history.at(-1) };
            """,
            {"keep": keep},
            SESSION,
        )
        assert found["left"][0] == 47
        assert found["left"][-1] == keep
        assert found["epoch"] >= 20
        # One weight or none joins nothing through three layers.
        if keep >= 8:
            assert found["cut"] == 0
            assert found["last"]["train"]["accuracy"] > 0.95
        # From large to small; only by hand would weights come back.
        assert found["left"] == sorted(found["left"], reverse=True)


@pytest.mark.slow
def test_what_is_changed_by_hand_is_what_elimination_goes_on_from():
    for early in (True, False):
        found = run(
            ELIMINATED
            + """
            const { network, method } = session;
            while (session.epoch < (input.early ? 5 : 22)) session.take();
            const index = weightIndices(network).find((i) => network.kept[i]);
            session.edit([{ index, value: network.values[index], kept: 0 }]);
            const touched = network.kept.slice();
            let back = 0;
            while (!session.done) {
              session.take();
              network.eachWeight((i) => { back += network.kept[i] > touched[i] ? 1 : 0; });
            }
            return { left: keptWeights(network), back };
            """,
            {"keep": 8, "early": early},
            SESSION,
        )
        assert found == {"left": 8, "back": 0}


def test_a_unit_s_mean_moves_into_the_next_biases():
    model = pl.MLP((2, 6, 5, 1))
    torch.manual_seed(0)
    x = torch.randn(64, 2)
    given = {"network": encoded(model), "samples": samples(x, torch.zeros(64))}
    values, kept = run(
        SAMPLES_OF
        + """
        const without = withoutUnit(Network.decode(input.network), 2, 3, 0.25);
        return [[...without.values], [...without.kept]];
        """,
        given,
    )
    wanted = copy.deepcopy(model)
    with torch.no_grad():
        wanted.get_parameter("layers.2.bias").add_(
            0.25 * wanted.get_parameter("layers.2.weight")[:, 3]
        )
    torch.testing.assert_close(
        torch.tensor(values), torch.cat([p.detach().flatten() for p in wanted.parameters()])
    )
    assert kept.count(0) == 1
    left, mean = run(
        SAMPLES_OF
        + """
        const network = Network.decode(input.network);
        const probe = samplesOf(input.samples);
        const passes = new Passes(network.widths, probe.size);
        passes.load(probe, Uint32Array.from({ length: probe.size }, (_, i) => i), 0, probe.size);
        passes.forward(network, probe.size);
        const less = withFewerUnits(network, probe, 0.3);
        return [usedUnits(less).map((units) => units.length), meansOf(passes.answers[1], 6)];
        """,
        given,
    )
    # 0.3 of 11 units, rounded up.
    assert sum(left) == 7
    assert min(left[1:3]) >= 1
    expected = torch.relu(model.layers[0](x)).mean(0)
    torch.testing.assert_close(torch.tensor(mean), expected.detach(), rtol=1e-5, atol=1e-6)


def test_no_weight_is_found_where_none_is_left():
    model = pl.MLP((2, 3, 1))
    none = {name: torch.zeros_like(p).bool() for name, p in model.named_parameters()}
    given = {"network": encoded(model, none), "samples": samples(torch.ones(1, 2), torch.ones(1))}
    body = """
    const network = Network.decode(input.network);
    return leastMissed(network, new Absences(network, samplesOf(input.samples)));
    """
    assert run(SAMPLES_OF + body, given) is None


def test_elimination_says_how_far_it_is_and_why_it_stopped():
    found = run(
        ELIMINATED
        + """
        const stages = [], shares = [];
        while (!session.done) {
          session.take();
          const { stage, of, text, share } = session.stage;
          if (stages.at(-1)?.stage !== stage) stages.push({ stage, of, text });
          const all = (stage - 1 + share) / of;
          if (all !== shares.at(-1)) shares.push(all);
          if (!session.done && session.ending) throw new Error("ended early");
        }
        const { history, ending, network } = session;
        const left = network.nonzeros();
        return { stages, shares, ending, left, accuracy: history.at(-1).train.accuracy };
        """,
        {"keep": 8},
        SESSION,
    )
    assert [stage["stage"] for stage in found["stages"]] == [1, 2, 3, 4]
    assert {stage["of"] for stage in found["stages"]} == {4}
    assert found["stages"][0]["text"] == "trains 10 networks"
    assert found["stages"][1]["text"] == "removes units, 10 of 10 networks still lose some"
    assert found["stages"][2]["text"].endswith("left, down to 8")
    assert found["shares"] == sorted(found["shares"])
    assert 0 <= found["shares"][0] < 0.1
    assert 0.95 < found["shares"][-1] <= 1
    assert len(found["shares"]) > 20
    right = f"{100 * found['accuracy']:.1f} % of the training data right"
    assert found["ending"].startswith(
        f"it stopped at the 8 weights to keep: with its biases {found['left']} nonzeros, {right}"
    )
    assert "smaller networks that were trained" in found["ending"]
