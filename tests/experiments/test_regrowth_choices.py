"""The ideas that regrowth is compared with do what they say."""

from __future__ import annotations

from pathlib import Path

import pytest
import real_tasks
import regrowth_choice_tables as tables
import regrowth_choices as choices
import torch
from real_rows import Row

from prunelimits import MLPEnsemble
from prunelimits.datasets import gaussians
from prunelimits.elimination import Regrowth, regrow
from prunelimits.elimination.data import EliminationData
from prunelimits.elimination.network_stack import NetworkStack
from prunelimits.training import Recipe

TASK = real_tasks.RealTask("blobs", lambda _: gaussians(200, classes=3), (6, 4), 2, 16, (8,))
PARTS = TASK.parts(Path(), 0)
QUICK = {
    "starts": 4, "cycles": 1, "finalists": 2, "beam": 2, "head": 4,
    "recovery": Recipe(epochs=1, batch_size=16),
}  # fmt: skip


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    ideas = {
        name: choices.Idea(idea.kind, QUICK | idea.settings, idea.times)
        for name, idea in choices.IDEAS.items()
    }
    monkeypatch.setattr(choices, "IDEAS", ideas)


def test_as_it_is_is_the_method_itself(quick: None):
    row = choices.row(TASK, PARTS, 0, 8, choices.AS_IT_IS)
    method = Regrowth(**QUICK, first=TASK.recipe(1), last=TASK.recipe(5))
    result = regrow(
        *PARTS.train, method, keep=8, start=TASK.widths(PARTS), measure=PARTS.choose,
        seed=choices.start_seed(0, 8),
    )  # fmt: skip
    assert row.cost == result.work
    assert row.choose == (round(result.network.score * row.choose_rows),)
    assert row.nonzeros == (result.network.nonzeros,)


@pytest.mark.slow
def test_every_idea_keeps_as_many_weights_and_is_another_run(quick: None):
    found = {name: choices.row(TASK, PARTS, 0, 8, name) for name in choices.IDEAS}
    assert len({row.cost for row in found.values()}) == len(found)
    outputs = 3
    for row in found.values():
        # Weights, and the biases of ten hidden units and the outputs at most.
        assert outputs < row.nonzeros[0] <= 8 + 10 + outputs
        assert 0 <= row.test[0] <= row.test_rows == len(PARTS.test[0])


def test_starts_cut_by_obc_keep_what_is_asked_for():
    data = EliminationData.of(*PARTS.train, PARTS.choose, TASK.widths(PARTS), None)
    method = Regrowth(starts=3, head=2, first=TASK.recipe(1))
    run = choices.FromOBC(method, data, 8, 0, None)
    starts = run.starts(TASK.widths(PARTS))
    assert len(starts) == 3
    assert (run.weights(starts) <= 16).all()
    assert run.work > 0


def test_second_order_scores_by_a_plain_loop():
    x = PARTS.train[0][:40]
    ensemble = MLPEnsemble(TASK.widths(PARTS), seeds=[0, 1])
    generator = torch.Generator().manual_seed(0)
    masks = {
        name: torch.rand(value.shape, generator=generator) < 0.7
        for name, value in ensemble.params.items()
    }
    masks = {name: m | name.endswith("bias") for name, m in masks.items()}
    networks = NetworkStack.unmeasured(
        MLPEnsemble.from_params(
            ensemble.widths, {n: v * masks[n] for n, v in ensemble.params.items()}, masks
        )
    )
    scores = choices.surgeon_scores(networks, x)
    for member in range(2):
        h, place = x, 0
        for layer in range(3):
            weight = networks.params[f"layers.{layer}.weight"][member]
            bias = networks.params[f"layers.{layer}.bias"][member]
            ridge = choices.DAMPING * float(h.square().mean())
            for unit in range(len(weight)):
                kept = networks.masks[f"layers.{layer}.weight"][member, unit].nonzero()[:, 0]
                own = h[:, kept].double()
                inverse = torch.linalg.inv(own.T @ own / len(own) + ridge * torch.eye(len(kept)))
                variance = (own @ weight[unit, kept].double()).var(correction=0)
                for number, entry in enumerate(kept.tolist()):
                    expected = weight[unit, entry].double() ** 2 / inverse[number, number]
                    found = scores[member, place + unit * weight.shape[1] + entry]
                    if variance > 1e-6:
                        assert float(found) == pytest.approx(float(expected / variance), rel=1e-2)
            place += weight.numel()
            assert (scores[member, place : place + len(bias)] == 1).all()
            place += len(bias)
            h = torch.relu(h @ weight.T + bias)
    assert place == scores.shape[1]


def test_what_is_taught_are_the_dense_networks_mean_logits():
    (train, choose), cost = choices.taught(TASK, PARTS, 0)
    assert train.shape == (len(PARTS.train[0]), 3)
    assert choose.shape == (len(PARTS.choose[0]), 3)
    torch.testing.assert_close(train.mean(1), torch.zeros(len(train)), atol=1e-5, rtol=0)
    assert float(train.std()) == pytest.approx(1, abs=1e-5)
    parameters = 2 * 6 + 6 + 6 * 4 + 4 + 4 * 3 + 3
    samples = 10 * (len(train) // 16) * 16
    assert cost == choices.TEACHERS * parameters * samples
    # They were learnt.
    assert float((train.argmax(1) == PARTS.train[1]).double().mean()) > 0.6


def test_the_table_compares_place_by_place_on_whole_splits():
    def row(split: int, keep: int, name: str, choose: int, test: int, cost: float) -> Row:
        return Row("Vowel", split, name, 1, 0, keep, cost, (9,), (9,), (choose,), (test,),
                   100, 200, 1.0)  # fmt: skip

    kept = [
        row(2, 25, choices.AS_IT_IS, 50, 100, 8.0), row(2, 50, choices.AS_IT_IS, 70, 140, 8.0),
        row(2, 25, "no growth", 40, 90, 4.0), row(2, 50, "no growth", 66, 138, 4.0),
        # A split that is not whole.
        row(3, 25, choices.AS_IT_IS, 90, 190, 8.0),
    ]  # fmt: skip
    study = [row(2, 25, "LTH", 1, 1, 2.0), row(2, 50, "LTH", 1, 1, 1.0)]
    _, _, first, second = tables.ideas(kept, study).splitlines()
    assert first == "| as it is | 60.0% |  | 60.0% |  | 6 |"
    assert second == "| no growth | 53.0% | -7.0 | 57.0% | -3.0 | 3 |"


def test_the_places_are_the_studys():
    for name, keep in choices.PLACES:
        assert keep in real_tasks.task_named(name).budgets


def test_rows_of_labels_are_measured_by_labels_where_logits_are_taught(quick: None):
    row = choices.row(TASK, PARTS, 0, 8, "taught by dense networks")
    # A share of the choosing rows, not an R².
    assert 0 < row.choose[0] <= row.choose_rows
