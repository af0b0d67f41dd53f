"""The search as a whole, against plain loops, through interruptions and over executors."""

from __future__ import annotations

import dataclasses
import multiprocessing
import random
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from torch import Tensor

from prunelimits.datasets import cubist_spiral
from prunelimits.enumeration import ModelMasks, every_widths
from prunelimits.masks import count
from prunelimits.models import MLP
from prunelimits.search import (
    EveryWidths,
    Progress,
    SearchConfig,
    Store,
    StoreError,
    StructuredWidths,
    combinatorial_search,
    make_task,
    phase_under_way,
    ranked_networks,
    read_result,
)
from prunelimits.training import MLPEnsemble, Recipe, TorchEngine, evaluate
from tests.processes import Running

Data = tuple[Tensor, Tensor]
Contents = Callable[[Path], dict[str, list[tuple[object, ...]]]]


def remeasure(model: MLP, x: Tensor, y: Tensor) -> float:
    """Accuracy in float64, one sample at a time, without any of the library's own evaluation."""
    state = {name: value.double() for name, value in model.state_dict().items()}
    layers = len(state) // 2
    correct = 0
    for sample, label in zip(x.double(), y, strict=True):
        for layer in range(layers):
            sample = state[f"layers.{layer}.weight"] @ sample + state[f"layers.{layer}.bias"]
            if layer < layers - 1:
                sample = sample.clamp(min=0)
        correct += bool(sample.item() > 0) == bool(label)
    return correct / len(x)


def test_phase_two_tries_every_mask(config: SearchConfig, data: Data):
    result = combinatorial_search(config, *data)
    masks = ModelMasks((2, 3, 2, 1))
    (phase,) = result.phases
    assert (phase.phase.number, phase.networks, phase.trainings) == (2, len(masks), 4 * len(masks))
    assert phase.trained == phase.trainings
    assert {s.nonzeros: s.networks for s in phase.sizes} == masks.counts_by_nonzeros()
    assert all(s.trainings == 4 * s.networks for s in phase.sizes)
    for found, size in zip(result.best, phase.sizes, strict=True):
        assert (found.nonzeros, found.accuracy) == (size.nonzeros, size.accuracy)
        assert count(found.masks) == found.nonzeros
        assert masks.index(found.masks) == found.rank
        assert (size.reached > 0) == (size.accuracy >= config.target)
        # In float32 a sample on the boundary may fall on the other side.
        assert remeasure(found.model, *data) == pytest.approx(
            found.accuracy, abs=1.1 / len(data[0])
        )
    assert result.sparsest is not None
    assert result.sparsest.nonzeros == min(s.nonzeros for s in phase.sizes if s.reached)


def test_with_a_margin_accuracy_is_what_lies_beyond_it(config: SearchConfig, data: Data):
    plain, strict = (
        combinatorial_search(dataclasses.replace(config, margin=margin), *data)
        for margin in (0.0, 0.3)
    )
    for found in strict.best:
        params = {n: p.detach().unsqueeze(0) for n, p in found.model.named_parameters()}
        ensemble = MLPEnsemble.from_params(found.model.widths, params)
        measured = float(evaluate(ensemble, *data, margin=0.3).accuracy)
        assert found.accuracy == pytest.approx(measured, abs=1.1 / len(data[0]))
    sizes = zip(plain.phases[0].sizes, strict.phases[0].sizes, strict=True)
    assert all(strictly.accuracy <= plainly.accuracy for plainly, strictly in sizes)


def test_phase_one_chooses_the_smallest_widths_at_the_target(config: SearchConfig, data: Data):
    wide = dataclasses.replace(config, widths=None, hidden_layers=2, width=3, target=0.55)
    result = combinatorial_search(wide, *data)
    one, two = result.phases
    assert one.networks == 9
    assert one.trained == one.trainings == 36
    reached = [size for size in one.sizes if size.reached]
    assert reached, "the target must be within reach for this test to say anything"
    smallest = MLP(two.phase.widths)
    assert sum(p.numel() for p in smallest.parameters()) == reached[0].nonzeros
    assert two.networks == len(ModelMasks(two.phase.widths))


def test_phase_one_alone_serves_any_target(config: SearchConfig, data: Data, tmp_path: Path):
    path = tmp_path / "widths.sqlite"
    wide = dataclasses.replace(config, widths=None, hidden_layers=2, width=3, target=0.55)
    result = combinatorial_search(wide, *data, store=path, first_phase_only=True)
    assert [phase.phase.number for phase in result.phases] == [1]
    for target in (0.5, 0.55, 1.0):
        with Store(path, write=False) as store:
            judged = read_result(store, target=target)
        expected = [n for n in result.best if n.accuracy >= target]
        assert (judged.sparsest and judged.sparsest.nonzeros) == (
            expected[0].nonzeros if expected else None
        )
    with pytest.raises(ValueError, match="first_phase_only cannot be combined"):
        combinatorial_search(config, *data, first_phase_only=True)


def test_every_widths_at_once(config: SearchConfig, data: Data):
    every = dataclasses.replace(config, widths=None, every_widths=True, max_nonzeros=16, width=8)
    result = combinatorial_search(every, *data)
    (phase,) = result.phases
    spaces = every_widths(16)
    assert phase.phase == EveryWidths(max_nonzeros=16, hidden_layers=3)
    assert phase.trained == 4 * sum(space.count for space in spaces)
    for found in result.best:
        assert count(found.masks) == found.nonzeros
        assert ModelMasks(found.model.widths, "network").index(found.masks) >= 0


def test_without_winner_there_is_no_second_phase(config: SearchConfig, data: Data):
    wide = dataclasses.replace(config, widths=None, hidden_layers=1, width=2, target=1.0)
    result = combinatorial_search(wide, *data)
    assert [phase.phase.number for phase in result.phases] == [1]
    assert result.sparsest is None
    assert result.most_accurate is not None


def test_stopping_at_the_target_gives_the_same_answer(config: SearchConfig, data: Data):
    wide = dataclasses.replace(config, widths=None, hidden_layers=2, width=4, target=0.55)
    whole = combinatorial_search(wide, *data)
    short = combinatorial_search(wide, *data, stop_at_target=True)
    assert sum(p.trained for p in short.phases) < sum(p.trained for p in whole.phases)
    assert short.phases[1].phase.widths == whole.phases[1].phase.widths
    assert short.sparsest is not None
    assert whole.sparsest is not None
    assert short.sparsest.nonzeros == whole.sparsest.nonzeros
    assert short.sparsest.accuracy == whole.sparsest.accuracy


def test_order_changes_nothing_in_the_end(
    config: SearchConfig, data: Data, tmp_path: Path, contents: Contents
):
    paths = [tmp_path / "fewest.sqlite", tmp_path / "shuffled.sqlite"]
    combinatorial_search(config, *data, store=paths[0])
    seen: list[int] = []

    def note(progress: Progress) -> None:
        with Store(paths[1], write=False) as store:
            seen.append(len(store.finished(config.first_phase)))

    combinatorial_search(config, *data, store=paths[1], order="shuffled", on_progress=note)
    assert seen == list(range(len(seen)))
    assert contents(paths[0]) == contents(paths[1])


def test_progress_counts_trainings_and_names_the_best(config: SearchConfig, data: Data):
    seen: list[Progress] = []
    result = combinatorial_search(config, *data, on_progress=seen.append)
    assert [p.trained for p in seen] == sorted({p.trained for p in seen})
    assert (seen[0].trained, seen[0].nonzeros) == (0, None)
    assert seen[-1].trained == seen[-1].trainings == result.phases[0].trainings
    assert result.sparsest is not None
    assert seen[-1].nonzeros == result.sparsest.nonzeros
    assert seen[-1].accuracy == result.sparsest.accuracy


def test_a_time_limit_ends_the_search_and_the_next_call_goes_on(
    config: SearchConfig, data: Data, tmp_path: Path, contents: Contents
):
    paths = [tmp_path / "parts.sqlite", tmp_path / "whole.sqlite"]
    first = combinatorial_search(config, *data, store=paths[0], time_limit=1e-9)
    assert first.phases[0].trained == 0
    combinatorial_search(config, *data, store=paths[0])
    combinatorial_search(config, *data, store=paths[1])
    assert contents(paths[0]) == contents(paths[1])


def test_an_interrupted_search_goes_on(
    config: SearchConfig, data: Data, tmp_path: Path, contents: Contents
):
    paths = [tmp_path / "interrupted.sqlite", tmp_path / "whole.sqlite"]
    combinatorial_search(config, *data, store=paths[1])

    def interrupt(progress: Progress) -> None:
        if progress.trained:
            raise KeyboardInterrupt

    interruptions = 0
    while True:
        try:
            combinatorial_search(config, *data, store=paths[0], on_progress=interrupt)
        except KeyboardInterrupt:
            interruptions += 1
            # A call on a store with finished shards is told so at once.
            with Store(paths[0], write=False) as store:
                assert len(store.finished(config.first_phase)) >= 1
            combinatorial_search(config, *data, store=paths[0])
        else:
            break
        if interruptions > 1:
            break
    assert contents(paths[0]) == contents(paths[1])


SCRIPT = """
from prunelimits.datasets import cubist_spiral
from prunelimits.search import SearchConfig, combinatorial_search
from prunelimits.training import Recipe
recipes = tuple(Recipe(epochs=16, batch_size=10, lr=lr) for lr in (0.05, 0.1))
# About 150 shards in the first phase, then 230 in the second or few, as the first one decides.
phase = dict(width=12, hidden_layers=2) if arguments[1] == "1" else dict(widths=(2, 3, 3, 1))
config = SearchConfig(target=0.5, recipes=recipes, shard_size=4, **phase)
tell.send("begin")
combinatorial_search(config, *cubist_spiral(300), store=arguments[0])
tell.send("end")
"""


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("phase", ["1", "2"])
def test_killed_ten_times_it_ends_as_if_undisturbed(tmp_path: Path, contents: Contents, phase: str):
    """`kill -9` at random moments, between and within transactions."""
    whole, killed = tmp_path / "whole.sqlite", tmp_path / "killed.sqlite"

    def run(path: Path, seconds: float | None) -> float | None:
        """How long the search took, None if it was killed after `seconds`."""
        process = Running(SCRIPT, str(path), phase)
        assert process.hear() == "begin"
        began = time.monotonic()
        process.wait(seconds)
        process.kill(signal.SIGKILL)
        return time.monotonic() - began if process.hear() == "end" else None

    alone = run(whole, None)
    assert alone is not None
    generator = random.Random(phase)
    runs = [run(killed, generator.uniform(0.01, 0.06) * alone) for _ in range(10)]
    assert runs.count(None) >= 5, "most runs must have been killed in the middle"
    assert run(killed, None) is not None
    assert contents(killed) == contents(whole)


@pytest.fixture(params=["threads", "processes"])
def executor(request: pytest.FixtureRequest) -> Iterator[Executor]:
    if request.param == "threads":
        with ThreadPoolExecutor(2) as pool:
            yield pool
    else:
        # The torch engine's results, and its name in the store, go with its number of threads.
        with ProcessPoolExecutor(
            2,
            multiprocessing.get_context("spawn"),
            initializer=torch.set_num_threads,
            initargs=(torch.get_num_threads(),),
        ) as pool:
            yield pool


@pytest.mark.slow
def test_any_executor_gives_the_same_store(
    config: SearchConfig, data: Data, tmp_path: Path, executor: Executor, contents: Contents
):
    here, there = tmp_path / "here.sqlite", tmp_path / "there.sqlite"
    combinatorial_search(config, *data, store=here)
    combinatorial_search(config, *data, store=there, executor=executor, in_flight=3)
    assert contents(here) == contents(there)


def test_a_search_starts_from_a_shared_initialisation(config: SearchConfig, data: Data):
    one = dataclasses.replace(config, seeds=1)
    initial = MLPEnsemble((2, 4, 4, 1), seeds=[3]).member(0)[0]
    shared = combinatorial_search(one, *data, initial=initial)
    own = combinatorial_search(one, *data)
    assert [n.accuracy for n in shared.best] != [n.accuracy for n in own.best]


def test_the_caller_s_world_stays_as_it_was(config: SearchConfig, data: Data):
    torch.manual_seed(5)
    state, threads = torch.random.get_rng_state(), torch.get_num_threads()
    initial = MLP((2, 4, 4, 1))
    torch.random.set_rng_state(state)
    before = [tensor.clone() for tensor in (*data, *initial.parameters())]
    one = dataclasses.replace(config, seeds=1, held_out=0.2)
    combinatorial_search(one, *data, initial=initial)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.get_num_threads() == threads
    after = (*data, *initial.parameters())
    assert all(torch.equal(old, new) for old, new in zip(before, after, strict=True))
    assert all(parameter.grad is None for parameter in initial.parameters())


def test_the_result_is_read_from_the_store(config: SearchConfig, data: Data, tmp_path: Path):
    path = tmp_path / "search.sqlite"
    result = combinatorial_search(config, *data, store=path)
    with Store(path, write=False) as store:
        read = read_result(store)
    assert read.config == config
    assert read.phases == result.phases
    assert [(n.nonzeros, n.accuracy) for n in read.best] == [
        (n.nonzeros, n.accuracy) for n in result.best
    ]


def test_an_empty_store_has_no_result(tmp_path: Path):
    store = Store(tmp_path / "a.sqlite", write=True)
    with store, pytest.raises(ValueError, match="holds no search yet"):
        read_result(store)


def test_another_configuration_or_data_is_refused(
    config: SearchConfig, data: Data, tmp_path: Path, contents: Contents
):
    path = tmp_path / "search.sqlite"
    combinatorial_search(config, *data, store=path)
    before = contents(path)
    with pytest.raises(StoreError, match=r"seeds is 2, asked for 3"):
        combinatorial_search(dataclasses.replace(config, seeds=3), *data, store=path)
    with pytest.raises(StoreError, match=r"data or start is another \([0-9a-f]{12}\.\.\., asked"):
        combinatorial_search(config, data[0] + 1, data[1], store=path)
    assert contents(path) == before


X, Y = torch.linspace(0, 1, 600).view(300, 2), torch.arange(300) % 2


@pytest.mark.parametrize(
    ("changes", "x", "y", "options", "message"),
    [
        ({}, X[:0], Y[:0], {}, "at least one sample"),
        ({}, X * torch.nan, Y, {}, "x must be finite, got nan"),
        ({}, X, Y[:7], {}, r"got \(300, 2\) and \(7,\)"),
        ({}, X, Y - 1, {}, "y must be labels 0 and 1"),
        ({}, X, Y + 0.5, {}, "y must be"),
        ({}, X[:, 0], Y, {}, r"x must have shape \(n, inputs\)"),
        ({}, X[:40], Y[:40], {}, "batch_size must be at most 40, the samples to train on, got 50"),
        (
            {"widths": (3, 2, 1)},
            X,
            Y,
            {},
            r"widths must start with 2 and end with 1, .* got \(3, 2, 1\)",
        ),
        ({"max_nonzeros": 5}, X, Y, {}, "no masks of widths 2-3-2-1 with 0 to 5 nonzeros"),
        ({}, X, Y, {"order": "random"}, "order must be one of 'fewest'"),
        ({}, X, Y, {"in_flight": 0}, "in_flight must be at least 1, got 0"),
        ({}, X, Y, {"time_limit": -1.0}, "time_limit must be above 0, got -1.0"),
        ({}, X, Y, {"initial": MLP((2, 4, 4, 1))}, "seeds must be 1 with a shared init"),
        ({"seeds": 1}, X, Y, {"initial": MLP((2, 2, 2, 1))}, "initial must have widths"),
        ({"seeds": 1}, X, Y, {"initial": MLP((2, 9, 1))}, "or wider hidden ones, got"),
        ({"seeds": 1}, X, Y, {"initial": MLP((2, 4, 1))}, "initial must have widths"),
    ],
)
def test_bad_input_is_named_and_leaves_no_file(
    config: SearchConfig,
    tmp_path: Path,
    changes: dict[str, object],
    x: Tensor,
    y: Tensor,
    options: dict[str, object],
    message: str,
):
    asked = dataclasses.replace(config, **changes)
    with pytest.raises(ValueError, match=message):
        combinatorial_search(asked, x, y, store=tmp_path / "a.sqlite", **options)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"target": 0.0}, ValueError, "target must be above 0 and at most 1, got 0.0"),
        ({"target": 1.1}, ValueError, "target must be above 0 and at most 1, got 1.1"),
        ({"target": float("nan")}, ValueError, "target must be"),
        ({"target": "0.9"}, TypeError, "target must be a number, got '0.9'"),
        ({"target": 0.9, "seed": "3"}, TypeError, "seed must be an integer, got '3'"),
        ({"target": 0.9, "seeds": True}, TypeError, "seeds must be an integer, got True"),
        ({"target": 0.9, "every_widths": 1}, TypeError, "every_widths must be True or False"),
        ({"target": 0.9, "recipes": Recipe()}, TypeError, "recipes must be a sequence of recipes"),
        ({"target": 0.9, "recipes": [3]}, TypeError, r"recipes\[0\] must be a Recipe, got 3"),
        ({"target": 0.9, "widths": ()}, ValueError, "widths needs an input and an output width"),
        ({"target": 0.9, "widths": (2, 2.0, 1)}, TypeError, r"widths\[1\] must be an integer"),
        ({"target": 0.9, "halving": ((1,),)}, ValueError, "halving must hold pairs"),
        ({"target": 0.9, "halving": 3}, TypeError, "halving must be a sequence of pairs"),
        ({"target": 0.9, "inputs": "some"}, ValueError, "inputs must be one of 'all', 'any'"),
        ({"target": 0.9, "min_nonzeros": 9, "max_nonzeros": 8}, ValueError, "min_nonzeros must"),
        ({"target": 0.9, "max_nonzeros": 8.5}, TypeError, "max_nonzeros must be an integer"),
        (
            {"target": 0.9, "first_per_count": {4: 1}},
            ValueError,
            "first_per_count's layer must be from 0 to 3",
        ),
        (
            {"target": 0.9, "first_per_count": {1: 1}, "symmetry": "network"},
            ValueError,
            "first_per_count must be left out with symmetry='network'",
        ),
        ({"target": 0.9, "width": 0}, ValueError, "width must be at least 1, got 0"),
        ({"target": 0.9, "seeds": 1.5}, TypeError, "seeds must be an integer, got 1.5"),
        ({"target": 0.9, "held_out": 1.0}, ValueError, "held_out must be"),
        ({"target": 0.9, "recipes": ()}, ValueError, "recipes must hold at least one"),
        ({"target": 0.9, "widths": (2, 0, 1)}, ValueError, r"widths\[1\] must be at least 1"),
        ({"target": 0.9, "widths": (2, 17, 1)}, ValueError, "width must be at least the widest"),
        ({"target": 0.9, "every_widths": True}, ValueError, "every_widths needs max_nonzeros"),
        (
            {"target": 0.9, "every_widths": True, "max_nonzeros": 20, "widths": (2, 3, 1)},
            ValueError,
            r"widths cannot be combined with every_widths, got \(2, 3, 1\)",
        ),
        ({"target": 0.9, "symmetry": "all"}, ValueError, "symmetry must be one of 'layer'"),
        ({"target": 0.9, "margin": -0.1}, ValueError, "margin must be at least 0, got -0.1"),
        ({"target": 0.9, "margin": "wide"}, TypeError, "margin must be a number"),
        ({"target": 0.9, "subset_order": "first"}, ValueError, "subset_order must be one of"),
        (
            {"target": 0.9, "subset_order": "published", "symmetry": "network"},
            ValueError,
            "subset_order must be left out with symmetry='network'",
        ),
        (
            {"target": 0.9, "first_phase_max_nonzeros": 0},
            ValueError,
            "first_phase_max_nonzeros must be at least 1, got 0",
        ),
        (
            {"target": 0.9, "first_phase_max_nonzeros": 30, "widths": (2, 3, 1)},
            ValueError,
            "first_phase_max_nonzeros cannot be combined with widths",
        ),
        (
            {
                "target": 0.9,
                "first_phase_max_nonzeros": 30,
                "every_widths": True,
                "max_nonzeros": 20,
            },
            ValueError,
            "first_phase_max_nonzeros cannot be combined with every_widths, got 30",
        ),
    ],
)
def test_a_description_is_checked(
    arguments: dict[str, object], error: type[Exception], message: str
):
    with pytest.raises(error, match=message):
        SearchConfig(**arguments)


def test_a_description_survives_json():
    config = SearchConfig(
        target=0.9, widths=(2, 3, 1), first_per_count={1: 3}, recipes=(Recipe(epochs=3),)
    )
    assert SearchConfig.from_json(config.to_json()) == config
    later = SearchConfig(target=0.9, subset_order="published", first_phase_max_nonzeros=30)
    assert SearchConfig.from_json(later.to_json()) == later
    # What earlier versions wrote stays the same search.
    assert "subset_order" not in config.to_json()
    assert "first_phase_max_nonzeros" not in config.to_json()
    assert "margin" not in config.to_json()


def test_a_first_phase_without_networks_is_told(data: Data):
    config = SearchConfig(target=0.9, width=2, hidden_layers=1, first_phase_max_nonzeros=4)
    with pytest.raises(ValueError, match=r"first_phase_max_nonzeros must be at least 5, .* got 4"):
        combinatorial_search(config, *data)


def test_the_engine_that_worked_is_recorded(config: SearchConfig, data: Data):
    engine = TorchEngine()
    result = combinatorial_search(config, *data, engine=engine)
    (made_by,) = result.made_by
    assert made_by.startswith(engine.name)


def test_a_phase_whose_tables_are_too_large_is_refused_before_anything_is_trained(
    monkeypatch: pytest.MonkeyPatch,
):
    def too_large(*_: object) -> None:
        raise MemoryError("its tables would take 900 GB")

    monkeypatch.setattr(ranked_networks.WidthSpace, "keys", too_large)
    phase, task = StructuredWidths(2, 1), make_task(*cubist_spiral(50))
    with pytest.raises(ValueError, match=r"phase 1, .* cannot be searched: its tables would take"):
        phase_under_way.listed_space(phase, task)
