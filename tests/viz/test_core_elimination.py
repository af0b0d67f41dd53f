"""The pages' numeric core: elimination removes the weight whose absence costs least."""

from __future__ import annotations

import copy

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


def test_weights_go_one_by_one_until_the_budget_while_it_trains():
    found = run(
        """
        const settings = { ...defaultSettings(), data: "gaussians", samples: 200, hidden: [6, 5] };
        Object.assign(settings, { epochs: 20, batch: 16, method: "Elimination", keep: 8 });
        const { train, test } = drawData(settings);
        const session = new Session(settings, train, test);
        const left = [keptWeights(session.network)];
        while (!session.done) {
          session.take();
          const now = keptWeights(session.network);
          if (now !== left.at(-1)) left.push(now);
        }
        return { left, epoch: session.epoch, last: session.history.at(-1) };
        """,
        None,
        SESSION,
    )
    assert found["left"] == list(range(47, 7, -1))
    assert found["epoch"] == 20
    assert found["last"]["train"]["accuracy"] > 0.95


def test_no_weight_is_found_where_none_is_left():
    model = pl.MLP((2, 3, 1))
    none = {name: torch.zeros_like(p).bool() for name, p in model.named_parameters()}
    given = {"network": encoded(model, none), "samples": samples(torch.ones(1, 2), torch.ones(1))}
    body = """
    const network = Network.decode(input.network);
    return leastMissed(network, new Absences(network, samplesOf(input.samples)));
    """
    assert run(SAMPLES_OF + body, given) is None
