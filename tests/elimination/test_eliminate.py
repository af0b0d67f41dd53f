"""Elimination from start to end, and after interruptions."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from prunelimits.datasets import cubist_spiral
from prunelimits.elimination import (
    Elimination,
    Round,
    eliminate,
    read_elimination,
    trainer,
)
from prunelimits.elimination.data import EliminationData
from prunelimits.elimination.goal import Goal
from prunelimits.elimination.network_stack import NetworkStack
from prunelimits.elimination.rounds import Rounds
from prunelimits.elimination.state import EliminationState
from prunelimits.masks import count, nonzero_masks, with_biases
from prunelimits.training import MLPEnsemble, Recipe

from .circle import X, Y
from .oracle import outputs
from .small import EVOLVED, QUICK, START, content, run


@pytest.fixture(autouse=True)
def few_generations(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(trainer, "_GENERATIONS", 40)


def test_what_it_reports_is_what_a_plain_loop_measures():
    result = run()
    assert result.finished
    assert result.sparsest is not None
    assert result.sparsest.score >= 0.85
    assert len(result.networks) > 12
    for network in result.networks:
        params = {n: p.detach() for n, p in network.model.named_parameters()}
        accuracy = float(((outputs(params, X)[:, 0] > 0) == (Y == 1)).double().mean())
        assert network.score == pytest.approx(accuracy, abs=1.5 / len(X))
        assert network.nonzeros == count(network.masks)
        for layer, width in enumerate(network.model.widths[1:-1], 1):
            used = network.masks[f"layers.{layer}.weight"].any(0)
            assert int(used.sum()) == width or (width == 1 and network.score <= 0.7)
        kept = nonzero_masks(params)
        assert all(bool((network.masks[name] | ~kept[name]).all()) for name in kept)
        weights = {name: m for name, m in network.masks.items() if name.endswith("weight")}
        assert network.with_biases == count(with_biases(weights, "outgoing"))


def test_the_sparsest_is_the_smallest_at_the_target():
    result = run()
    reaching = [n.nonzeros for n in result.networks if n.score >= 0.85]
    assert result.sparsest is not None
    assert result.sparsest.nonzeros == min(reaching)
    sizes = [n.nonzeros for n in result.front]
    scores = [n.score for n in result.front]
    assert sizes == sorted(set(sizes))
    assert scores == sorted(set(scores))
    assert scores[-1] == max(n.score for n in result.networks)


def test_it_ends_when_nothing_within_reach_is_left():
    last = run().rounds[-1]
    assert last.stage == "parameters"
    # Something was tried below the smallest network that reaches the target.
    assert last.smallest is not None
    assert min(n.nonzeros for n in run().networks) < last.smallest


def test_what_is_out_of_reach_does_not_lead_on():
    y = torch.randint(0, 2, (400,), generator=torch.Generator().manual_seed(0)).float()
    method = dataclasses.replace(QUICK, slack=0.0)
    with pytest.warns(
        UserWarning, match=r"no network reached the target 1; the best score was 0\."
    ):
        result = eliminate(X, y, method, start=START, target=1.0)
    assert [r.stage for r in result.rounds] == ["dense", "units"]
    assert result.sparsest is None
    assert result.finished


def test_where_all_trainings_diverge_nothing_is_found():
    with pytest.warns(UserWarning, match="all trainings diverged: try a lower learning rate"):
        result = run(dataclasses.replace(QUICK, dense=Recipe(epochs=2, batch_size=20, lr=1e30)))
    assert result.finished
    assert result.networks == ()
    assert result.sparsest is None


def test_a_budget_is_reached_and_not_undercut_by_a_round():
    result = run(target=None, nonzeros=20)
    assert result.sparsest is not None
    assert result.sparsest.nonzeros <= 20
    assert result.rounds[-1].nonzeros <= 20
    assert result.finished


def test_stages_follow_each_other_and_work_adds_up():
    rounds = run().rounds
    stages = [r.stage for r in rounds]
    assert stages[0] == "dense"
    assert stages == sorted(stages, key=("dense", "units", "parameters").index)
    assert stages.count("units") > 1
    # Nothing diverges here, so each round costs its networks times its epochs.
    epochs = 0
    for r in rounds:
        epochs += (12 if r.stage == "dense" else 4) * r.trained
        assert r.epochs == epochs
    assert rounds[0].work == 8 * 12 * 400 * (2 * 5 + 5 + 5 * 4 + 4 + 4 + 1)


def test_the_same_seed_gives_the_same_and_another_seed_something_else():
    assert content(run()) == content(run())
    assert content(run()) != content(run(seed=1))


def test_evolution_ends_it_and_makes_no_size_worse():
    plain, evolved = run(), run(EVOLVED)
    *rounds, last = evolved.rounds
    assert [dataclasses.replace(r, seconds=0.0) for r in plain.rounds] == [
        dataclasses.replace(r, seconds=0.0) for r in rounds
    ]
    assert last.stage == "evolution"
    before = {n.nonzeros: n.score for n in plain.networks}
    after = {n.nonzeros: n.score for n in evolved.networks}
    assert before.keys() == after.keys()
    assert all(after[size] >= score for size, score in before.items())
    assert sum(after[size] > score for size, score in before.items()) >= 3
    # One network of every size, but for sizes beyond the smallest of the best score.
    small = {size: score for size, score in before.items() if size < 64}
    enough = min(size for size, score in small.items() if score == max(small.values()))
    assert last.trained == sum(size <= enough for size in small)
    assert last.epochs - rounds[-1].epochs == last.trained * 40 * 32
    more = run(dataclasses.replace(QUICK, evolved=3))
    assert last.trained < more.rounds[-1].trained <= 3 * last.trained


def test_squared_error_is_not_evolved():
    y = (X[:, 0] - 2 * X[:, 1]).clamp_min(0)
    result = eliminate(X, y, EVOLVED, start=(2, 4, 3, 1), loss="mse", target=0.9)
    assert result.finished
    assert result.rounds[-1].stage == "parameters"


class Killed(BaseException):
    pass


@pytest.mark.slow
@pytest.mark.parametrize("after", [1, 2, 3, 7, -2, -1])
def test_a_killed_run_goes_on_as_if_nothing_had_happened(tmp_path: Path, after: int):
    store, undisturbed = tmp_path / "spiral.pt", run(EVOLVED)
    after %= len(undisturbed.rounds) + 1
    seen: list[Round] = []

    def kill(round_: Round) -> None:
        seen.append(round_)
        if len(seen) == after:
            raise Killed

    with pytest.raises(Killed):
        run(EVOLVED, store=store, on_round=kill)
    assert not read_elimination(store).finished
    resumed = run(EVOLVED, store=store, on_round=seen.append)
    assert content(resumed) == content(undisturbed)
    # No round was done twice.
    assert len(seen) == len(undisturbed.rounds)
    assert content(run(EVOLVED, store=store)) == content(undisturbed)


def test_noise_is_the_same_after_an_interruption(tmp_path: Path):
    """One network to start from loses units by noise, and large steps choose by noise."""
    store, method = tmp_path / "spiral.pt", dataclasses.replace(QUICK, step=0.2)
    options = {"start": MLPEnsemble(START, 1, seed=4).member(0)[0]}
    undisturbed = run(method, **options)

    def kill(_: Round) -> None:
        raise Killed

    for _ in undisturbed.rounds:
        with pytest.raises(Killed):
            run(method, **options, store=store, on_round=kill)
    assert content(run(method, **options, store=store)) == content(undisturbed)


def test_networks_and_one_network_can_be_the_start():
    ensemble = MLPEnsemble(START, 5, seed=9)
    from_ensemble = run(start=ensemble)
    assert from_ensemble.rounds[0].trained == 5
    model, _ = ensemble.member(0)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    from_model = run(start=model)
    assert from_model.rounds[0].trained == 1
    assert from_model.rounds[1].trained == QUICK.networks
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    sparsest = from_model.sparsest
    assert sparsest is not None
    placed, masks = sparsest.placed(START)
    assert count(masks) == sparsest.nonzeros
    torch.testing.assert_close(placed(X), sparsest.model(X))


def test_a_trained_network_is_not_trained_again_before_it_shrinks():
    ensemble = MLPEnsemble(START, 2, seed=9)
    result = run(start=ensemble, trained=True, target=0.5)
    assert result.rounds[0].epochs == 0
    params = {name: value[0] for name, value in ensemble.params.items()}
    accuracy = float(((outputs(params, X)[:, 0] > 0) == (Y == 1)).double().mean())
    assert result.rounds[0].score >= accuracy - 1e-9


def test_under_the_outgoing_rule_every_network_found_obeys_it():
    result = run(dataclasses.replace(QUICK, biases="outgoing"))
    for network in result.networks:
        assert network.nonzeros == network.with_biases


def test_wide_networks_are_fewer_and_copied_once_they_are_narrow(tmp_path: Path):
    method = dataclasses.replace(QUICK, networks=40)
    options = {"start": (2, 32, 12, 1), "store": tmp_path / "spiral.pt"}
    result = run(method, **options, target=0.8, time_limit=1e9)
    units = [r for r in result.rounds if r.stage == "units"]
    # 40 * 16 / 32 dense networks. While a layer is wide, no more are trained; then 40 are, each of
    # them an origin of its own.
    assert result.rounds[0].trained == 20
    assert units[0].trained <= 20
    assert max(r.trained for r in units) == max(r.origins for r in units) == 40
    # What falls out of reach then is not made up for.
    assert units[-1].trained < 40
    assert all(n.origin >= 20 for n in result.networks if n.nonzeros < 30)
    # Few are not copied where few are wanted.
    few = run(dataclasses.replace(QUICK, networks=3), start=(2, 32, 1), target=0.8)
    assert max(r.trained for r in few.rounds if r.stage != "parameters") == 3


def test_other_data_can_measure_the_score():
    other_x, other_y = cubist_spiral(150)
    result = run(measure=(other_x, 1 - other_y), target=0.4)
    for network in result.networks:
        right = (network.model(other_x)[:, 0] > 0) == (other_y == 0)
        assert network.score == pytest.approx(float(right.double().mean()), abs=1e-9)
    assert result.samples == 150


def test_several_classes():
    y = (X[:, 0] > 0.5).long() + (X[:, 0] > -0.5).long()
    result = eliminate(X, y, QUICK, start=(2, 6, 3), target=0.9)
    assert result.sparsest is not None
    right = result.sparsest.model(X).argmax(1) == y
    assert result.sparsest.score == pytest.approx(float(right.double().mean()))
    # The default start fits the data.
    assert eliminate(X, y, QUICK, target=0.9, time_limit=1e-9).networks == ()


def test_regression_is_scored_by_the_coefficient_of_determination():
    y = (X[:, 0] - 2 * X[:, 1]).clamp_min(0)
    result = eliminate(X, y, QUICK, start=(2, 4, 3, 1), loss="mse", target=0.9)
    best = max(result.networks, key=lambda n: n.score)
    assert best.score > 0.9
    for network in result.networks:
        params = {n: p.detach() for n, p in network.model.named_parameters()}
        error = (outputs(params, X)[:, 0] - y).square().mean()
        expected = float(1 - error / y.double().var(correction=0))
        assert network.score == pytest.approx(expected, abs=1e-4)


def test_the_random_state_of_the_user_stays_as_it_is():
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    run(time_limit=0.5)
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": None}, "target or nonzeros must be given"),
        ({"target": 1.5}, "target must be above 0 and at most 1, got 1.5"),
        ({"nonzeros": 0}, "nonzeros must be at least 1, got 0"),
        ({"nonzeros": 2}, "nonzeros must be at least 3, a weight in every layer of widths"),
        ({"time_limit": 0}, "time_limit must be above 0, got 0"),
        ({"trained": True}, "trained needs start to be"),
        ({"start": (3, 4, 1)}, r"x must have shape \(n, 3\)"),
        ({"start": (2, 1)}, "start must have a hidden layer"),
    ],
)
def test_what_cannot_be_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        run(**options)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"beam": 0}, ValueError, "beam must be at least 1, got 0"),
        ({"evolved": -1}, ValueError, "evolved must be at least 0, got -1"),
        ({"tries": 1.5}, TypeError, "tries must be an integer"),
        ({"unit_share": 1.0}, ValueError, r"unit_share must be above 0 and below 1"),
        ({"step": 0}, ValueError, r"step must be above 0 and below 1"),
        ({"slack": -1}, ValueError, "slack must be at least 0"),
        ({"biases": "none"}, ValueError, "biases must be one of 'free', 'outgoing'"),
    ],
)
def test_a_method_that_cannot_be_is_refused(options, error, message):
    with pytest.raises(error, match=message):
        Elimination(**options)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"method": []}, TypeError, r"method must be an Elimination or None, got \[\]"),
        ({"method": Elimination}, TypeError, "method must be an Elimination or None, got <class"),
        ({"target": "0.9"}, TypeError, "target must be a number, got '0.9'"),
        ({"target": float("nan")}, ValueError, "target must be above 0 and at most 1, got nan"),
        ({"target": True}, TypeError, "target must be a number, got True"),
        ({"nonzeros": 8.0}, TypeError, "nonzeros must be an integer, got 8.0"),
        ({"seed": "3"}, TypeError, "seed must be an integer, got '3'"),
        ({"trained": 1}, TypeError, "trained must be True or False, got 1"),
        ({"engine": "native"}, TypeError, "engine must be an engine or None, got 'native'"),
        ({"time_limit": "1"}, TypeError, "time_limit must be a number, got '1'"),
        ({"on_round": 3}, TypeError, "on_round must be a function of a Round, or None, got 3"),
        ({"measure": X}, TypeError, "measure must be a sequence of two tensors"),
        ({"measure": (X,)}, ValueError, "measure must be two tensors, inputs and labels, got 1"),
        ({"measure": (X, Y[:9])}, ValueError, "measure: y must have one entry for each of the 400"),
        ({"x": X.numpy()}, TypeError, "x must be a tensor, got an array"),
        ({"x": X.to(torch.complex64)}, TypeError, "x must be a dense tensor of real numbers"),
        ({"x": X * torch.nan}, ValueError, "x must be finite"),
        ({"x": X[:0], "y": Y[:0]}, ValueError, "x must hold at least one sample"),
        ({"loss": "hinge"}, ValueError, "loss must be one of"),
        ({"start": "232"}, TypeError, "start must be a sequence of integers, got '232'"),
        ({"start": (2.0, 3, 1)}, TypeError, r"start\[0\] must be an integer, got 2.0"),
        ({"start": []}, ValueError, "start must hold an input and an output width"),
        ({"start": (2, 0, 1)}, ValueError, r"start\[1\] must be at least 1, got 0"),
        ({"store": 3}, TypeError, "store must be a path, got 3"),
        ({"store": "/"}, ValueError, "store must be a file, got the folder /"),
        # Not as many outputs as a stray label says.
        (
            {"start": None, "y": torch.arange(400) % 2 * 10**9},
            ValueError,
            "y must hold every label from 0 to 1000000000, but none of 400 samples",
        ),
        ({"start": None, "y": torch.full((400,), torch.nan)}, ValueError, "y must be finite"),
        ({"nonzeros": 10**30}, ValueError, "nonzeros must be at most 2147483647"),
        (
            {"start": (2, 3, 1), "nonzeros": 14},
            ValueError,
            r"nonzeros must be at most 13, the weights and biases of start with widths \(2, 3, 1\)",
        ),
        # Of several networks, the largest counts; what is pruned from the start is not there.
        (
            {
                "start": MLPEnsemble(
                    (2, 3, 1),
                    1,
                    masks={
                        "layers.0.weight": torch.eye(3, 2).bool()[None],
                    },
                ),
                "nonzeros": 10,
            },
            ValueError,
            "nonzeros must be at most 9, ",
        ),
        ({"loss": "mse", "y": torch.ones(400)}, ValueError, "y must vary for squared error"),
        (
            {"loss": "mse", "measure": (X, torch.zeros(400))},
            ValueError,
            "measure: y must vary for squared error",
        ),
    ],
)
def test_arguments_are_checked_by_name(options, error: type[Exception], message: str):
    call = {"x": X, "y": Y, "method": QUICK, "start": START, "target": 0.85, **options}
    with pytest.raises(error, match=message):
        eliminate(**call)


def test_a_start_that_is_not_finite_is_refused():
    broken = MLPEnsemble(START, 2)
    broken.params["layers.1.bias"][0, 0] = torch.nan
    with pytest.raises(ValueError, match=r"start must be finite, but 'layers\.1\.bias' holds NaN"):
        run(start=broken)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"dense": 5}, TypeError, "dense must be a Recipe or None, got 5"),
        ({"recovery": {}}, TypeError, "recovery must be a Recipe or None, got {}"),
        ({"networks": 8.0}, TypeError, "networks must be an integer, got 8.0"),
        ({"slack": float("nan")}, ValueError, "slack must be at least 0"),
        ({"slack": "0"}, TypeError, "slack must be a number, got '0'"),
        ({"step": float("nan")}, ValueError, "step must be above 0 and below 1, got nan"),
        ({"biases": None}, ValueError, "biases must be one of 'free', 'outgoing', got None"),
        ({"evolved": -1}, ValueError, "evolved must be at least 0, got -1"),
    ],
)
def test_numbers_of_a_method_are_checked(options, error: type[Exception], message: str):
    with pytest.raises(error, match=message):
        Elimination(**options)


def test_numpys_numbers_become_pythons():
    method = Elimination(networks=np.int64(4), slack=np.float32(0.5), beam=np.int8(3))
    assert method == Elimination(networks=4, slack=0.5, beam=3)
    assert {type(method.networks), type(method.beam)} == {int}
    assert type(method.slack) is float


def test_networks_far_larger_than_the_smallest_are_left_behind_when_parameters_begin_to_go():
    data = EliminationData.of(X, Y, None, START, None)
    masks = {n: m.clone() for n, m in MLPEnsemble((2, 8, 8, 1), 2, seed=1).masks.items()}
    # One network of two units a layer beside one of eight: 15 parameters and 105.
    for name, mask in masks.items():
        if name != "layers.2.bias":
            mask[1, 2:] = name == "layers.2.weight"
    masks["layers.1.weight"][1, :, 2:] = False
    masks["layers.2.weight"][1, :, 2:] = False
    start = MLPEnsemble((2, 8, 8, 1), 2, seed=1, masks=masks)
    method = dataclasses.replace(QUICK, unit_share=0.01, networks=2)
    trainer_ = trainer.Trainer(data, 0, None)
    rounds = Rounds(method, trainer_, Goal(1.0, None), 0, start, True)
    state = rounds.next(EliminationState())
    assert state.front.keys() == {15, 105}
    # Nothing reaches the target, so both end the removal of units as they were.
    state = rounds.next(state)
    assert state.losing_units is None
    assert list(state.waiting) == [15]


@pytest.mark.parametrize("target", [0.85, None])
def test_a_network_that_falls_out_of_reach_by_losing_units_stays_as_it_was(
    monkeypatch: pytest.MonkeyPatch, target: float | None
):
    data = EliminationData.of(X, Y, None, START, None)
    method = dataclasses.replace(QUICK, slack=0.1)
    start = MLPEnsemble(START, method.networks, seed=0)
    goal = Goal(target, None if target else 1)
    rounds = Rounds(method, trainer.Trainer(data, 0, None), goal, 0, start, trained=False)
    before = rounds.next(EliminationState())
    reach = before.rounds[0].score if target is None else target
    train, trained = trainer.Trainer.train, list[NetworkStack]()

    def with_other_scores(*arguments):
        result = train(*arguments)
        # Below what is reached, within the slack, and above.
        score = torch.tensor([-0.2, -0.05, 0.05, 0.2])[torch.arange(len(result.networks)) % 4]
        trained.append(dataclasses.replace(result.networks, score=reach + score.double()))
        return result._replace(networks=trained[-1])

    def members(networks: NetworkStack | None) -> set[tuple[int, int]]:
        if networks is None:
            return set()
        return set(zip(networks.origin.tolist(), networks.nonzeros().tolist(), strict=True))

    monkeypatch.setattr(trainer.Trainer, "train", with_other_scores)
    after = rounds.next(before)
    (smaller,) = trained
    fallen = set(smaller.origin[smaller.score < reach - 0.1].tolist())
    assert fallen
    expected = {pair for pair in members(before.losing_units) if pair[0] in fallen}
    expected |= {pair for pair in members(smaller) if pair[0] not in fallen}
    assert members(after.losing_units) | members(after.lost_units) == expected


@pytest.mark.parametrize(
    ("samples", "left"), [(400, 400), (2048, 2048), (2049, 1025), (9000, 2048)]
)
def test_activations_are_measured_on_two_thousand_samples_at_most(samples: int, left: int):
    x, y = X.repeat(23, 1)[:samples], Y.repeat(23)[:samples]
    data = EliminationData.of(x, y, None, START, None)
    assert len(trainer.Trainer(data, 0, None).sample) == left


def test_a_network_with_zeros_starts_with_just_what_is_not_zero():
    model, _ = MLPEnsemble(START, 1, seed=4).member(0)
    with torch.no_grad():
        model.layers[0].weight[0, 0] = 0
        model.layers[1].weight[1:3, 2] = 0
    nonzeros = sum(int(value.count_nonzero()) for value in model.parameters())
    first = run(start=model, trained=True, target=0.5).rounds[0]
    right = (model(X)[:, 0] > 0) == (Y == 1)
    assert first.score == pytest.approx(float(right.double().mean()))
    assert first.nonzeros == nonzeros


def test_copies_of_the_starting_networks_are_numbered_on_from_them(
    monkeypatch: pytest.MonkeyPatch,
):
    data = EliminationData.of(X, Y, None, START, None)
    start = MLPEnsemble(START, 3, seed=0)
    rounds = Rounds(QUICK, trainer.Trainer(data, 0, None), Goal(0.5, None), 0, start, trained=False)
    train, origins = trainer.Trainer.train, list[list[int]]()

    def recording(*arguments):
        origins.append(sorted(arguments[1].origin.tolist()))
        return train(*arguments)

    monkeypatch.setattr(trainer.Trainer, "train", recording)
    rounds.next(rounds.next(EliminationState()))
    assert origins == [[0, 1, 2], list(range(3, 3 + QUICK.networks))]
