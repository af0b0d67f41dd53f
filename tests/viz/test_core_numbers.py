"""The pages' numeric core: answers, gradients and trainings are those of PyTorch."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch.nn import functional

import prunelimits as pl
from prunelimits.training.ensemble import MLPEnsemble
from prunelimits.training.plan import sample_order
from tests.viz.node import SAMPLES_OF, encoded, flat, run, samples

WIDTHS = [(2, 7, 1), (2, 5, 4, 1), (3, 6, 5, 4, 3), (2, 8, 8, 8, 1), (4, 9, 5), (2, 16, 16, 4)]


def task(number: int, size: int = 40) -> tuple[pl.MLP, dict, torch.Tensor, torch.Tensor]:
    """A network with random values and masks, and data for it."""
    generator = torch.Generator().manual_seed(number)
    widths = WIDTHS[number % len(WIDTHS)]
    model = pl.MLP(widths)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    masks = {
        name: torch.rand(p.shape, generator=generator) < (0.7 if number % 2 else 2)
        for name, p in model.named_parameters()
    }
    x = torch.randn(size, widths[0], generator=generator)
    y = torch.randint(max(2, widths[-1]), (size,), generator=generator)
    return model, masks, x, y


def loss_of(outputs: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    if outputs.shape[1] == 1:
        return functional.binary_cross_entropy_with_logits(outputs[:, 0], y.to(outputs.dtype))
    return functional.cross_entropy(outputs, y)


def test_answers_losses_and_gradients_are_those_of_torch():
    cases, expected = [], []
    for number in range(24):
        model, masks, x, y = task(number)
        cases.append({"network": encoded(model, masks), "samples": samples(x, y)})
        double = pl.MLP(model.widths).double()
        with torch.no_grad():
            for name, parameter in double.named_parameters():
                parameter.copy_(model.state_dict()[name].double() * masks[name])
        outputs = double(x.double())
        loss = loss_of(outputs, y)
        loss.backward()
        gradients = {name: p.grad for name, p in double.named_parameters()}
        guesses = (outputs[:, 0] > 0).long() if outputs.shape[1] == 1 else outputs.argmax(1)
        correct = (guesses == y).double().mean()
        expected.append(
            (outputs.T.flatten().tolist(), float(loss.detach()), flat(gradients, double), correct)
        )
    answers = run(
        SAMPLES_OF
        + """
        return input.map(({ network: encoded, samples }) => {
          const network = Network.decode(encoded);
          const data = samplesOf(samples);
          const order = Uint32Array.from({ length: data.size }, (_, i) => i);
          const passes = new Passes(network.widths, data.size);
          const gradient = new Float32Array(network.values.length);
          const loss = passes.gradient(network, data, order, 0, data.size, gradient);
          const measured = measure(network, data);
          return { outputs: [...passes.answers.at(-1)], loss, gradient: [...gradient], measured };
        });
        """,
        cases,
    )
    for answer, (outputs, loss, gradient, correct) in zip(answers, expected, strict=True):
        np.testing.assert_allclose(answer["outputs"], outputs, rtol=1e-4, atol=1e-4)
        assert answer["loss"] == pytest.approx(loss, rel=1e-5)
        np.testing.assert_allclose(answer["gradient"], gradient, rtol=2e-4, atol=2e-5)
        assert answer["measured"]["loss"] == pytest.approx(loss, rel=1e-5)
        assert answer["measured"]["accuracy"] == pytest.approx(float(correct))


RECIPES = [
    pl.Recipe(
        epochs=10, batch_size=30, lr=0.1, momentum=0.0, weight_decay=0.0, schedule="constant"
    ),
    pl.Recipe(epochs=10, batch_size=30, schedule="cosine"),
    pl.Recipe(epochs=10, batch_size=30, lr=0.1, weight_decay=1e-2, schedule="step"),
]


def test_a_training_follows_fit_step_by_step():
    cases, expected = [], []
    for number, recipe in enumerate(RECIPES * 2):
        masked = number >= len(RECIPES)
        ensemble = MLPEnsemble((2, 16, 16, 16, 1), models=1, seed=number)
        if masked:
            generator = torch.Generator().manual_seed(number)
            masks = {
                name: torch.rand(mask.shape, generator=generator) < 0.4
                for name, mask in ensemble.masks.items()
            }
            ensemble = ensemble.replace(masks=masks)
        x, y = pl.datasets.cubist_spiral(301)  # the last sample of each epoch is dropped
        model, kept = ensemble.member(0)
        recipe_of_page = {
            {"batch_size": "batchSize", "weight_decay": "weightDecay"}.get(name, name): value
            for name, value in dataclasses.asdict(recipe).items()
        }
        orders = [sample_order(len(x), 5, epoch).tolist() for epoch in range(recipe.epochs)]
        cases.append(
            {
                "network": encoded(model, kept),
                "samples": samples(x, y),
                "recipe": recipe_of_page,
                "orders": orders,
            }
        )
        stops = (1, 2, 10, 50, 100)
        states = [
            pl.fit(ensemble, x, y, recipe, seed=5, stop=stop).ensemble.member(0)[0]
            for stop in stops
        ]
        expected.append([flat(dict(state.named_parameters()), state) for state in states])
    answers = run(
        SAMPLES_OF
        + """
        return input.map(({ network: encoded, samples, recipe, orders }) => {
          const network = Network.decode(encoded);
          const training = new Training(network, samplesOf(samples), recipe, (e) => orders[e]);
          const states = [];
          while (!training.done) {
            training.take();
            if ([1, 2, 10, 50, 100].includes(training.step)) {
              states.push([...network.values].map((_, i) => network.effect(i)));
            }
          }
          return states;
        });
        """,
        cases,
    )
    for states, wanted in zip(answers, expected, strict=True):
        assert len(states) == len(wanted) == 5
        for state, right in zip(states, wanted, strict=True):
            np.testing.assert_allclose(state, right, rtol=1e-3, atol=2e-5)


def test_the_slopes_of_every_activation_are_differences_of_the_loss():
    model, _, x, y = task(1)
    found = run(
        SAMPLES_OF
        + """
        return ["relu", "tanh", "linear"].map((activation) => {
          const { widths, values: single, kept } = Network.decode(input.network);
          const network = new Network("", widths, Float64Array.from(single), kept, activation);
          const { values } = network;
          const data = samplesOf(input.samples);
          const order = Uint32Array.from({ length: data.size }, (_, i) => i);
          const passes = new Passes(widths, data.size, Float64Array);
          const gradient = new Float64Array(values.length);
          const loss = () => passes.gradient(network, data, order, 0, data.size, gradient);
          const differences = Array.from(values, (value, index) => {
            const at = (step) => {
              values[index] = value + step;
              return loss();
            };
            const difference = (at(1e-6) - at(-1e-6)) / 2e-6;
            values[index] = value;
            return difference;
          });
          loss();
          return { gradient: [...gradient], differences };
        });
        """,
        {"network": encoded(model), "samples": samples(x, y)},
    )
    for of_one in found:
        np.testing.assert_allclose(of_one["gradient"], of_one["differences"], atol=1e-6)
        assert np.abs(of_one["gradient"]).max() > 0.01


def test_a_seed_gives_the_same_numbers_and_another_others():
    first, again, other = run(
        """
        return input.map((seed) => {
          const random = new Random(seed);
          const order = [...random.permutation(50)];
          const normals = Array.from({ length: 4000 }, () => random.normal());
          return { order, normals, uniform: Array.from({ length: 4000 }, () => random.uniform()) };
        });
        """,
        [3, 3, 4],
    )
    assert first == again
    assert first["order"] != other["order"]
    assert sorted(first["order"]) == list(range(50))
    assert abs(np.mean(first["normals"])) < 0.06
    assert np.std(first["normals"]) == pytest.approx(1, abs=0.04)
    assert 0 <= min(first["uniform"]) < 0.01
    assert 0.99 < max(first["uniform"]) < 1
    assert np.histogram(first["uniform"], 10, (0, 1))[0].min() > 320
