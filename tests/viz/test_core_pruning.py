"""The pages' numeric core: methods, schedules, quotas and connectivity are the library's."""

from __future__ import annotations

import copy
import itertools
import warnings

import numpy as np
import pytest
import torch
from torch import Tensor

import prunelimits as pl
from prunelimits import quotas
from prunelimits.connectivity import analyze, effective_masks
from prunelimits.pruners import (
    FORCE,
    GMP,
    LTH,
    SET,
    SNIP,
    GraSP,
    IterSNIP,
    Magnitude,
    Method,
    Random,
    RigL,
    SynFlow,
    draw_noise,
)
from prunelimits.training.ensemble import MLPEnsemble
from tests.viz.node import SAMPLES_OF, encoded, flat, run, samples
from tests.viz.test_core_numbers import loss_of

METHODS = (Magnitude(), Random(), SNIP(), GraSP(), SynFlow(), IterSNIP(), FORCE())
WIDTHS = [(2, 16, 16, 1), (2, 8, 8, 8, 1), (3, 10, 4), (2, 5, 1), (2, 16, 16, 16, 3)]


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS, ids=lambda method: type(method).__name__)
def test_a_method_at_once_keeps_the_weights_that_the_library_keeps(method: Method):
    cases, expected = [], []
    for number in range(30):
        torch.manual_seed(number)
        model = pl.MLP(WIDTHS[number % len(WIDTHS)])
        outputs = model.widths[-1]
        batches = [
            (torch.randn(32, model.widths[0]), torch.randint(max(2, outputs), (32,)))
            for _ in range(method.batches or 1)
        ]
        allowed = {n: torch.ones_like(p).bool() for n, p in model.named_parameters()}
        weights = {n: m for n, m in allowed.items() if n.endswith("weight")}
        if isinstance(method, Magnitude) and number % 3 == 2:  # many values alike: ties
            with torch.no_grad():
                for parameter in model.parameters():
                    parameter.copy_((4 * parameter).round() / 4)
        double = copy.deepcopy(model).double()
        exact = [(x.double(), y) for x, y in batches]
        noise = draw_noise(weights)
        total = sum(mask.numel() for mask in weights.values())
        budgets = (total // 5, total // 20, total // 2, 1, 0, total)
        if method.rounds > 1:  # many rounds take the library long
            budgets = budgets[number % 3 :][:1]
        for keep in budgets:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of layers left empty, and of scores all zero
                try:
                    # In float64: else float32's rounding ranks what is all but a tie.
                    masks = pl.prune(double, method, keep=keep, loss=loss_of, batches=exact)
                except ValueError:  # the loss feels no weight
                    continue
            expected.append(flat(pl.masks.with_biases(masks), model))
            drawn = torch.cat([value.flatten() for value in noise.values()]).tolist()
            cases.append(
                {
                    "network": encoded(model),
                    "batches": [samples(x, y) for x, y in batches],
                    "keep": keep,
                    "noise": drawn,
                }
            )
    assert len(cases) >= (170 if method.rounds == 1 else 30)
    found = run(
        SAMPLES_OF
        + f"""
        return input.map(({{ network: encoded, batches, keep, noise }}) => {{
          const network = Network.decode(encoded);
          const random = {{ uniform: () => noise.shift() }};
          pruneAtOnce(network, "{type(method).__name__}", keep, batches.map(samplesOf), random);
          return [...network.kept];
        }});
        """,
        cases,
    )
    wrong = [
        n for n, (kept, right) in enumerate(zip(found, expected, strict=True)) if kept != right
    ]
    assert wrong == []


def test_a_score_for_relu_refuses_another_activation():
    found = run(
        """
        const network = Network.decode(input);
        network.activation = "tanh";
        try {
          pruneAtOnce(network, "SynFlow", 3, [], null);
        } catch (error) {
          return error.message;
        }
        """,
        encoded(pl.MLP((2, 3, 1))),
    )
    assert found == "SynFlow scores ReLU networks only, this one has tanh"


def test_rounds_fall_after_the_library_s_steps():
    methods = {"GMP": GMP(), "RigL": RigL(), "SET": SET()}
    lengths = (1, 7, 49, 50, 150, 195, 200, 399, 750, 1000, 19_500)
    found = run(
        """
        const order = (epoch) => [0];
        return input.lengths.map((steps) => Object.fromEntries(input.methods.map((method) => {
          const network = freshNetwork([2, 4, 1], new Random(0));
          const one = { x: new Float32Array(2), y: new Uint16Array(1), inputs: 2, size: 1 };
          const recipe = { ...PAPER_RECIPE, batchSize: 1, epochs: steps };
          const training = new Training(network, one, recipe, order);
          return [method, DURING[method](training, 5, new Random(1)).when];
        })));
        """,
        {"lengths": lengths, "methods": list(methods)},
    )
    for steps, of_length in zip(lengths, found, strict=True):
        for name, when in of_length.items():
            assert when == methods[name].update_steps(steps), (name, steps)


def survivors_of_library(method: Method, keep: int) -> list[int]:
    """How many weights are left after every round, by the library's own rule."""
    start, budget = torch.tensor([560]), torch.tensor([keep])
    return [int(method.left(start, budget, r / method.rounds)) for r in range(1, method.rounds + 1)]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["GMP", "LTH", "RigL", "SET"])
def test_rounds_leave_what_the_library_leaves(name: str):
    model, _ = MLPEnsemble((2, 16, 16, 16, 1), models=1, seed=0).member(0)
    x, y = pl.datasets.cubist_spiral(64)
    method = {"GMP": GMP(), "LTH": LTH(), "RigL": RigL(), "SET": SET()}[name]
    for keep in (7, 60, 400):
        found = run(
            SAMPLES_OF
            + """
            const network = Network.decode(input.network);
            const start = network.values.slice();
            const data = samplesOf(input.samples);
            const recipe = { ...PAPER_RECIPE, batchSize: 32, epochs: 200 };
            const random = new Random(1);
            const order = () => random.permutation(data.size);
            const training = new Training(network, data, recipe, order);
            const method = DURING[input.name](training, input.keep, new Random(2));
            const byLayer = () => network.widths.slice(1).map((_, i) => {
              let count = 0;
              network.eachWeight((index, layer) => {
                if (layer === i + 1) count += network.kept[index];
              });
              return count;
            });
            const first = byLayer();
            const rounds = [];
            let moved = 0;
            let masks = network.kept.slice();
            let taken = 0;
            while (!method.done) {
              const before = method.round;
              method.take();
              taken++;
              if (method.round === before) continue;
              let born = 0;
              network.eachWeight((i) => { born += network.kept[i] && !masks[i] ? 1 : 0; });
              moved = Math.max(moved, born);
              masks = network.kept.slice();
              const rewound = network.values.every((v, i) => !network.kept[i] || v === start[i]);
              rounds.push({ layers: byLayer(), rewound });
            }
            return { first, rounds, moved, taken, step: training.step };
            """,
            {"network": encoded(model), "samples": samples(x, y), "name": name, "keep": keep},
        )
        left = [sum(row["layers"]) for row in found["rounds"]]
        assert len(left) == method.rounds
        if name in ("GMP", "LTH"):
            assert left == survivors_of_library(method, keep)
            assert sum(found["first"]) == 560
        else:
            shapes = {
                n: tuple(p.shape) for n, p in model.named_parameters() if n.endswith("weight")
            }
            shares = list(quotas.erk(shapes, keep).values())
            assert found["first"] == shares
            assert all(row["layers"] == shares for row in found["rounds"])
            most = sum(int(method.fraction * share + 1e-9) for share in shares)
            assert (most > 0) == (found["moved"] > 0)
            assert found["moved"] <= most
        if name == "LTH":
            assert all(row["rewound"] for row in found["rounds"])
            assert found["taken"] == 5 * 400
        else:
            assert found["step"] == 400


def test_quotas_are_the_library_s():
    generator = np.random.default_rng(0)
    cases = []
    for _ in range(300):
        widths = [int(w) for w in generator.integers(1, 17, generator.integers(2, 7))]
        total = sum(a * b for a, b in itertools.pairwise(widths))
        cases.append({"widths": widths, "keep": int(generator.integers(0, total + 1))})
    found = run("return input.map(({ widths, keep }) => erdosRenyiQuotas(widths, keep));", cases)
    for case, given in zip(cases, found, strict=True):
        widths = case["widths"]
        pairs = itertools.pairwise(widths)
        shapes = {str(n): (width, before) for n, (before, width) in enumerate(pairs)}
        assert given == list(quotas.erk(shapes, case["keep"]).values())


def counted_paths(masks: dict[str, Tensor]) -> int:
    """By products of matrices of Python's integers."""
    weights = [mask.numpy().astype(object) for n, mask in masks.items() if n.endswith("weight")]
    paths = np.ones(weights[0].shape[1], dtype=object)
    for weight in weights:
        paths = weight @ paths
    return int(paths.sum())


def test_effective_masks_and_paths_are_the_library_s():
    generator = torch.Generator().manual_seed(0)
    cases, expected = [], []
    for number in range(1000):
        model = pl.MLP(WIDTHS[number % len(WIDTHS)])
        share = float(torch.rand((), generator=generator)) ** 2
        masks = {
            name: torch.rand(p.shape, generator=generator) < share
            for name, p in model.named_parameters()
        }
        effective = effective_masks(masks)
        paths = counted_paths({n: m.int() for n, m in masks.items()})
        if number % 50 == 0:
            assert analyze(masks).paths == paths
        cases.append(encoded(model, masks))
        expected.append(([int(kept) for kept in flat(effective, model)], str(paths)))
    found = run(
        """
        return input.map((encoded) => {
          const network = Network.decode(encoded);
          const reach = new Reach(network);
          const live = [...network.values].map((_, i) => (reach.parameter(i) === "live" ? 1 : 0));
          return [live, String(countPaths(network))];
        });
        """,
        cases,
    )
    wrong = [
        n for n, (got, right) in enumerate(zip(found, expected, strict=True)) if got != [*right]
    ]
    assert wrong == []


def test_paths_are_counted_without_bound():
    widths = (2, *[16] * 40, 1)
    model = pl.MLP(widths)
    found = run("return String(countPaths(Network.decode(input)));", encoded(model))
    assert int(found) == 2 * 16**40
