"""A study as a whole: against single trainings, through interruptions, on other data."""

from __future__ import annotations

import dataclasses
import json
import signal
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module, invalidate_caches
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from prunelimits import pruners
from prunelimits.connectivity import effective_masks
from prunelimits.datasets import cubist_spiral, three_parts
from prunelimits.elimination import Elimination
from prunelimits.experiments import (
    Run,
    RunResult,
    Study,
    read_table,
    run_network,
    run_study,
    trim,
)
from prunelimits.masks import apply, count
from prunelimits.models import MLP, leading_block
from prunelimits.pruners import AbstractPruner
from prunelimits.randomness import derive
from prunelimits.search import StoreError
from prunelimits.training import MLPEnsemble, Recipe, fit

Data = tuple[Tensor, Tensor]


def alone(study: Study, run: Run, data: Data, initial: MLP | None = None) -> RunResult:
    """One run, by one `fit` of one network."""
    widths = (2, *[run.width] * study.hidden_layers, 1)
    path = (run.width, run.recipe, run.repeat)
    start = MLPEnsemble(widths, seeds=[int(derive(study.seed, *path)[0]) >> 1])
    if initial is not None:
        block = leading_block(dict(initial.named_parameters()), widths)
        start = start.replace(params={name: value[None] for name, value in block.items()})
    pruner = study.method(run.method)
    recipe = study.recipes[run.recipe]
    if isinstance(pruner, pruners.ProsPr):
        pruner = dataclasses.replace(pruner, lr=recipe.lr, momentum=recipe.momentum)
    noise = derive(study.seed, *path, run.keep, zlib.crc32(run.method.encode()))
    result = fit(
        start,
        *data,
        recipe,
        seed=int(derive(study.seed, run.repeat)[0]) >> 1,
        pruner=pruner,
        keep=run.keep,
        pruner_seeds=[int(noise[0]) >> 1],
    )
    model, masks = result.ensemble.member(0)
    needed = effective_masks(model, masks, keep_constants=True)
    return RunResult(
        run,
        nonzeros=count(masks),
        effective=count(effective_masks(model, masks)),
        trimmed=count(trim(result.ensemble.replace(masks=needed), *data).masks),
        accuracy=float(result.accuracy),
        parameter_samples=float(result.parameter_samples),
        operations=float(result.operations),
    )


def unlike(first: Sequence[RunResult], second: Sequence[RunResult]) -> list[RunResult]:
    """Results that differ in more than a sample or two on the boundary of float32."""
    return [
        one
        for one, other in zip(first, second, strict=True)
        if one[:3] != other[:3] or abs(one.accuracy - other.accuracy) > 0.01 or one[5:] != other[5:]
    ]


@pytest.mark.slow
def test_parts_equal_runs_one_by_one(study: Study, data: Data, tmp_path: Path):
    results = run_study(study, *data, table=tmp_path / "table.csv")
    assert [result.run for result in results] == list(study.runs())
    assert len({result.accuracy for result in results}) > 10
    some = results[::5]
    assert not unlike(some, [alone(study, result.run, data) for result in some])


def test_from_one_start_repeats_differ_by_the_batches(study: Study, data: Data, tmp_path: Path):
    study = dataclasses.replace(study, widths=(3,), methods=(pruners.SNIP(), pruners.LTH(rounds=2)))
    torch.manual_seed(0)
    initial = MLP((2, 6, 5, 4, 1))
    results = run_study(study, *data, table=tmp_path / "table.csv", initial=initial)
    assert not unlike(results, [alone(study, result.run, data, initial) for result in results])
    first, second = ([r.accuracy for r in results if r.run.repeat == n] for n in (0, 1))
    assert first != second


@pytest.mark.slow
@pytest.mark.parametrize("order", ["backwards", "in threads", "small parts"])
def test_the_order_of_the_parts_changes_nothing(
    study: Study, data: Data, tmp_path: Path, order: str, monkeypatch: pytest.MonkeyPatch
):
    study = dataclasses.replace(study, methods=study.methods[:3], repeats=1)
    whole, other = tmp_path / "whole.csv", tmp_path / "other.csv"
    expected = run_study(study, *data, table=whole)
    if order == "backwards":
        for method in reversed(study.methods):
            for width in reversed(study.widths):
                part = dataclasses.replace(study, methods=(method,), widths=(width,))
                run_study(part, *data, table=other)
    elif order == "small parts":
        monkeypatch.setattr("prunelimits.experiments.part._PART_PARAMETERS", 1)
        monkeypatch.setattr("prunelimits.experiments.part._SMALLEST_PART", 4)
    with ThreadPoolExecutor(2) as pool:
        threads = pool if order == "in threads" else None
        assert run_study(study, *data, table=other, executor=threads, in_flight=3) == expected
    rows = [path.read_text().splitlines()[1:] for path in (whole, other)]
    assert rows[0] == rows[1]


SCRIPT = """
import sys
import torch
from tests_gap import study
from prunelimits.datasets import cubist_spiral
from prunelimits.experiments import run_study

torch.set_num_threads(1)
run_study(study, *cubist_spiral(300), table=sys.argv[1])
"""
STUDY = """
from prunelimits import pruners
from prunelimits.experiments import Study
from prunelimits.training import Recipe

study = Study(
    methods=(pruners.SNIP(), pruners.GMP(rounds=5), pruners.Random()),
    widths=(3, 4, 5),
    budgets=(10, 20),
    recipes=(Recipe(epochs=30, batch_size=50),),
    repeats=4,
)
"""


@pytest.mark.slow
def test_killed_and_resumed_it_gives_the_same_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """`kill -9` as soon as there is something to lose."""
    (tmp_path / "tests_gap.py").write_text(STUDY)
    whole, killed = tmp_path / "whole.csv", tmp_path / "killed.csv"
    command = [sys.executable, "-c", SCRIPT, str(killed)]
    with subprocess.Popen(command, cwd=tmp_path) as process:
        while not killed.exists():
            assert process.poll() is None
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
    monkeypatch.syspath_prepend(tmp_path)
    study: Study = import_module("tests_gap").study
    assert 0 < len(read_table(killed)[0]) < len(study)
    results = run_study(study, *cubist_spiral(300), table=killed)
    assert results == run_study(study, *cubist_spiral(300), table=whole)
    assert killed.read_text() == whole.read_text()


def test_a_time_limit_ends_it_and_progress_tells(study: Study, data: Data, tmp_path: Path):
    told: list[tuple[int, int]] = []
    table = tmp_path / "table.csv"

    def tell(done: int, total: int) -> None:
        told.append((done, total))

    results = run_study(study, *data, table=table, time_limit=0.0, on_progress=tell)
    assert (results, told) == ([], [(0, len(study))])
    study = dataclasses.replace(study, methods=(pruners.Random(),), widths=(3,), repeats=1)
    results = run_study(study, *data, table=table, on_progress=tell)
    assert told[1:] == [(0, 4), (4, 4)]
    assert sorted(results) == read_table(table)[0]


class Cubed(pruners.AtInit):
    """A user's own method."""

    def scores(self, problem, params, masks, noise=None):  # pyright: ignore
        return {name: params[name].abs() ** 3 for name in masks}


def test_own_pruner_depth_and_classes(data: Data, tmp_path: Path):
    x, _ = data
    y = (x[:, 0] > 0).long() + (x[:, 1] > 0)
    study = Study(
        methods=(Cubed(), pruners.Magnitude()),
        widths=(4,),
        budgets=(9,),
        recipes=(Recipe(epochs=1, batch_size=50),),
        hidden_layers=1,
    )
    cubed, magnitude = run_study(study, x, y, table=tmp_path / "table.csv")
    # 2 * 4 + 4 * 3 weights; magnitudes and their cubes rank alike.
    assert cubed.run == Run("Cubed", 4, 9, 0, 0)
    assert cubed[1:] == magnitude[1:]


def test_a_unit_without_inputs_whose_bias_matters_is_not_trimmed(data: Data, tmp_path: Path):
    """One that no input reaches is on no path, but the network needs the constant it adds."""
    x, _ = data
    initial = MLP((2, 2, 1))
    with torch.no_grad():
        initial.layers[0].weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 0.0]]))
        initial.layers[0].bias.copy_(torch.tensor([5.0, 4.0]))
        initial.layers[1].weight.copy_(torch.tensor([[1.0, 2.0]]))
        initial.layers[1].bias.fill_(-13.0)
    study = Study(
        methods=(pruners.Magnitude(),),
        widths=(2,),
        budgets=(3,),
        recipes=(Recipe(epochs=1, batch_size=50, lr=1e-12),),
        hidden_layers=1,
    )
    # relu(x + 5) + 2 relu(4) - 13 = x: without the constant it is negative everywhere.
    y = (x[:, 0] > 0).long()
    (result,) = run_study(study, x, y, table=tmp_path / "table.csv", initial=initial)
    assert result.accuracy > 0.99
    assert (result.nonzeros, result.effective, result.trimmed) == (6, 4, 6)


def refused(
    message: str,
    study: Study,
    data: Data,
    table: Path,
    initial: MLP | None = None,
    error: type[Exception] = ValueError,
):
    before = table.read_bytes() if table.exists() else None
    with pytest.raises(error, match=message):
        run_study(study, *data, table=table, initial=initial)
    assert (table.read_bytes() if table.exists() else None) == before


def test_tables_of_other_studies_are_refused(study: Study, data: Data, tmp_path: Path):
    study = dataclasses.replace(study, methods=(pruners.SNIP(),), widths=(3,), repeats=1)
    table = tmp_path / "table.csv"
    run_study(study, *data, table=table)
    for name, value in {
        "seed": 1,
        "hidden_layers": 2,
        "recipes": study.recipes[:1],
        "methods": (pruners.SNIP(floor=1),),
    }.items():
        named = "SNIP" if name == "methods" else name
        other = dataclasses.replace(study, **{name: value})
        refused(rf"another study \({named} is", other, data, table, error=StoreError)
    refused(r"another study \(data or start is", study, cubist_spiral(200), table, error=StoreError)
    start = MLP((2, 3, 3, 3, 1))
    refused(r"another study \(data or start is", study, data, table, start, error=StoreError)
    content = table.read_text().splitlines(keepends=True)
    for first in ("", "# something\n", "# {}\n", "# []\n"):
        table.write_text(first + "".join(content[1:]))
        refused("does not say what study it is of", study, data, table, error=StoreError)
    # More methods, budgets and repeats go into the same table.
    table.write_text("".join(content))
    more = dataclasses.replace(study, methods=(pruners.Random(),), budgets=(5,), repeats=2)
    assert len(run_study(more, *data, table=table)) == 4
    assert len(read_table(table)[0]) == 4 + 4


def test_what_cannot_run_is_refused_first(study: Study, data: Data, tmp_path: Path):
    table = tmp_path / "table.csv"
    refused(
        r"initial must have widths \(2, 5, 5, 5, 1\) or wider .*, got \(2, 5, 5, 4, 1\)",
        study, data, table, MLP((2, 5, 5, 4, 1)),
    )  # fmt: skip
    refused("initial must have widths", study, data, table, MLP((2, 9, 9, 1)))
    refused("initial must have widths", study, data, table, MLP((3, 9, 9, 9, 1)))
    refused("initial must have widths", study, data, table, MLP((2, 9, 9, 9, 2)))
    huge = dataclasses.replace(study, budgets=(10_000,))
    refused(
        r"budgets must leave something to prune: one at least must be below the 65 weights of the "
        r"widest network, \(2, 5, 5, 5, 1\), got \(10000,\)",
        huge, data, table,
    )  # fmt: skip
    # Which never end, if they are read.
    with pytest.raises(ValueError, match="table must be a file to go on from, got the device"):
        run_study(study, *data, table="/dev/zero")


class Powered(pruners.AtInit):
    power: float = 1.0

    def scores(self, problem, params, masks, noise=None):  # pyright: ignore
        return {name: params[name].abs() ** self.power for name in masks}


Powered = dataclasses.dataclass(frozen=True)(Powered)


def test_methods_of_one_class_are_told_apart_by_their_settings(data: Data, tmp_path: Path):
    recipes = (Recipe(epochs=1, batch_size=50),)
    methods = (Powered(), Powered(power=-1.0), pruners.Magnitude())
    study = Study(methods=methods, widths=(4,), budgets=(9,), recipes=recipes, hidden_layers=1)
    assert study.names == ("Powered(power=1.0)", "Powered(power=-1.0)", "Magnitude")
    assert study.method("Powered(power=-1.0)") == methods[1]
    table = tmp_path / "table.csv"
    first, second, magnitude = run_study(study, *data, table=table)
    assert [r.run.method for r in read_table(table)[0]] == sorted(study.names)
    assert first[1:] == magnitude[1:] != second[1:]
    # Alone it has its class's name, and the same result.
    alone = dataclasses.replace(study, methods=methods[1:])
    assert run_study(alone, *data, table=tmp_path / "alone.csv")[0][1:] == second[1:]
    with pytest.raises(ValueError, match="methods must be different, got Powered, Powered"):
        Study(methods=(Powered(), Powered()))


METHOD = """
from prunelimits.pruners import AtInit

class Mine(AtInit):
    def scores(self, problem, params, masks, noise=None):
        # The score.
        return {name: SIGN * params[name].abs() for name in masks}
"""


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], AbstractPruner]:
    """A user's method in a module, imported anew after every edit."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def imported(sign: str) -> AbstractPruner:
        (tmp_path / "users_method.py").write_text(METHOD.replace("SIGN", sign))
        monkeypatch.delitem(sys.modules, "users_method", raising=False)
        invalidate_caches()
        return import_module("users_method").Mine()

    return imported


def test_a_method_that_was_edited_is_not_taken_for_the_old_one(
    data: Data, tmp_path: Path, mine: Callable[[str], AbstractPruner]
):
    table = tmp_path / "table.csv"

    def study(sign: str) -> Study:
        return Study(
            methods=(mine(sign), pruners.Magnitude()),
            widths=(4,),
            budgets=(9,),
            recipes=(Recipe(epochs=1, batch_size=50),),
            hidden_layers=1,
        )

    first = run_study(study("1"), *data, table=table)
    assert run_study(study("1 "), *data, table=table) == first
    edited = study("-1")
    refused("runs of Mine whose source code was another", edited, data, table, error=StoreError)
    # Its rows taken out, only they are run again.
    lines = table.read_text().splitlines(keepends=True)
    table.write_text("".join(line for line in lines if not line.startswith("Mine,")))
    told: list[tuple[int, int]] = []
    again = run_study(edited, *data, table=table, on_progress=lambda *n: told.append(n))
    assert told == [(1, 2), (2, 2)]
    assert again[1] == first[1]
    assert again[0] != first[0]
    assert run_study(edited, *data, table=table) == again


def test_a_table_of_an_earlier_version_is_read_with_a_warning(
    data: Data, tmp_path: Path, mine: Callable[[str], AbstractPruner]
):
    table = tmp_path / "table.csv"
    study = Study(
        methods=(mine("1"),),
        widths=(4,),
        budgets=(9, 10),
        recipes=(Recipe(epochs=1, batch_size=50),),
        hidden_layers=1,
    )
    first = run_study(study, *data, table=table)
    content = table.read_text()
    description = json.loads(content.splitlines()[0].removeprefix("# "))
    assert len(description.pop("Mine source")) == 64
    lines = [line for line in content.splitlines()[1:] if not line.startswith("Mine,4,10")]
    table.write_text("\n".join([f"# {json.dumps(description)}", *lines, ""]))
    with pytest.warns(UserWarning, match="did not note the source code of Mine"):
        assert run_study(study, *data, table=table) == first
    assert table.read_text() == content


WAITING = """
import sys, time
from tests_gap import study
from prunelimits.datasets import cubist_spiral
from prunelimits.experiments import run_study

def wait(done, total):
    if done:
        print("begun", flush=True)
        sys.stdin.read()

run_study(study, *cubist_spiral(300), table=sys.argv[1], on_progress=wait)
"""


@pytest.mark.slow
def test_two_studies_at_once_on_one_table_lose_nothing(
    tmp_path: Path, data: Data, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "tests_gap.py").write_text(STUDY)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "tests_gap", raising=False)
    study: Study = import_module("tests_gap").study
    spiral, table = cubist_spiral(300), tmp_path / "table.csv"
    other = dataclasses.replace(study, methods=(pruners.Magnitude(),))
    command = [sys.executable, "-c", WAITING, str(table)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, cwd=tmp_path, text=True, **pipes) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        for again in (other, study):
            message = r"table\.csv is being written to by another run"
            refused(message, again, spiral, table, error=StoreError)
        # A reader is not shut out.
        assert read_table(table)[0]
        assert run_study(other, *spiral, table=table, time_limit=0) == []
        process.communicate("go on")
    assert process.returncode == 0
    assert len(read_table(table)[0]) == len(study)
    run_study(other, *spiral, table=table)
    assert len(read_table(table)[0]) == len(study) + len(other)


def test_a_study_that_begins_while_another_ends_goes_on_from_its_runs(
    study: Study, data: Data, tmp_path: Path
):
    table = tmp_path / "table.csv"
    first = dataclasses.replace(study, methods=(pruners.SNIP(),), repeats=1)
    second = dataclasses.replace(study, methods=(pruners.Random(),), repeats=1)
    done: list[int] = []

    def other(*_: int) -> None:
        # Between the second's first look at the table and its lock.
        if not done:
            done.append(len(run_study(first, *data, table=table)))

    results = run_study(second, *data, table=table, on_progress=other)
    assert len(read_table(table)[0]) == done[0] + len(results)


def test_a_link_to_a_table_stays_a_link(study: Study, data: Data, tmp_path: Path):
    study = dataclasses.replace(study, methods=(pruners.SNIP(),), widths=(3,), repeats=1)
    (tmp_path / "link.csv").symlink_to("table.csv")
    results = run_study(study, *data, table=tmp_path / "link.csv")
    assert (tmp_path / "link.csv").is_symlink()
    assert read_table(tmp_path / "table.csv")[0] == sorted(results)


@pytest.mark.parametrize(
    ("error", "message", "options"),
    [
        (ValueError, "time_limit must be at least 0, got nan", {"time_limit": float("nan")}),
        (ValueError, "time_limit must be at least 0, got -1", {"time_limit": -1}),
        (TypeError, "time_limit must be a number, got '5'", {"time_limit": "5"}),
        (ValueError, "in_flight must be at least 1, got 0", {"in_flight": 0}),
        (TypeError, "in_flight must be an integer, got 1.5", {"in_flight": 1.5}),
        (TypeError, "initial must be a prunelimits.MLP or None", {"initial": "net.pt"}),
    ],
)
def test_options_of_no_use_are_refused_by_name(
    study: Study,
    data: Data,
    tmp_path: Path,
    error: type[Exception],
    message: str,
    options: dict[str, Any],
):
    with pytest.raises(error, match=message):
        run_study(study, *data, table=tmp_path / "table.csv", **options)
    assert not list(tmp_path.iterdir())


def test_a_part_holds_one_kind_of_pruner(study: Study):
    """What `part` relies on: runs of one method, width and repeat stand together."""
    seen: list[tuple[str, int, int]] = []
    for run in study.runs():
        key = (run.method, run.width, run.repeat)
        if not seen or seen[-1] != key:
            seen.append(key)
    assert len(seen) == len(set(seen))
    assert isinstance(study.methods[0], AbstractPruner)


@pytest.mark.slow
def test_three_parts_are_measured_as_each_by_itself_and_training_knows_but_one(
    study: Study, data: Data, tmp_path: Path
):
    parts = three_parts(*data, seed=3)
    small = dataclasses.replace(study, methods=(pruners.SNIP(), pruners.GMP(rounds=3)))
    wanted = {"choose": parts.choose, "test": parts.test}
    results = run_study(small, *parts.train, table=tmp_path / "three.csv", **wanted)
    alone = run_study(small, *parts.train, table=tmp_path / "one.csv")
    assert [result[:7] for result in results] == [result[:7] for result in alone]
    assert all(result[7:] == (None, None) for result in alone)
    assert len({(result.choose, result.test) for result in results}) > 3
    # Labels that tell nothing of the inputs change these numbers, and no other one.
    noise = {name: (x, 1 - y) for name, (x, y) in wanted.items()}
    turned = run_study(small, *parts.train, table=tmp_path / "turned.csv", **noise)
    for one, other in zip(results, turned, strict=True):
        assert one[:7] == other[:7]
        assert one.choose is not None
        assert one.test is not None
        if one.choose or one.test:  # neither is 0 where a network has not diverged
            assert other.choose == pytest.approx(1 - one.choose)
            assert other.test == pytest.approx(1 - one.test)
    again = run_study(small, *parts.train, table=tmp_path / "three.csv", time_limit=0, **wanted)
    assert again == results
    with pytest.raises(StoreError, match=r"another study \(data or start is"):
        run_study(small, *parts.train, table=tmp_path / "three.csv", **noise)
    with pytest.raises(StoreError, match=r"another study \(data or start is"):
        run_study(small, *parts.train, table=tmp_path / "three.csv")


def test_parts_that_do_not_fit_are_refused_before_anything_trains(
    study: Study, data: Data, tmp_path: Path
):
    x, y = data
    table = tmp_path / "table.csv"
    with pytest.raises(ValueError, match="choose and test must be given together"):
        run_study(study, x, y, table=table, choose=(x, y))
    with pytest.raises(ValueError, match=r"test: x must have shape \(n, 2\)"):
        run_study(study, x, y, table=table, choose=(x, y), test=(x[:, :1], y))
    with pytest.raises(ValueError, match="choose: y must be labels 0 and 1"):
        run_study(study, x, y, table=table, choose=(x, y + 1), test=(x, y))
    with pytest.raises(ValueError, match="choose: y must be whole labels"):
        run_study(study, x, y, table=table, choose=(x, y + 0.5), test=(x, y))
    with pytest.raises(ValueError, match="test must be two tensors, inputs and labels, got 3"):
        run_study(study, x, y, table=table, choose=(x, y), test=(x, y, y))
    assert not table.exists()


@pytest.mark.parametrize("columns", [1, 3])
def test_numbers_are_measured_by_what_is_explained_of_them(columns: int, tmp_path: Path):
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(200, 2, generator=generator)
    y = torch.stack([(n + 1) * x[:, 0] - x[:, 1] + 3 for n in range(columns)], 1)
    y = y[:, 0] if columns == 1 else y
    quick = Recipe(epochs=30, batch_size=20, lr=0.05)
    method = Elimination(networks=4, beam=3, tries=1, step=0.3, recovery=quick, evolved=0)
    study = Study(methods=(pruners.GMP(rounds=3), pruners.Random(), method), widths=(4,),
                  budgets=(6, 15), recipes=(quick,), hidden_layers=1)  # fmt: skip
    parts = three_parts(x, y, by_class=False)
    results = run_study(study, *parts.train, table=tmp_path / "table.csv", loss="mse",
                        choose=parts.choose, test=parts.test)  # fmt: skip
    assert all(0 <= v <= 1 for r in results for v in (r.accuracy, r.choose, r.test))
    assert max(r.test or 0 for r in results if r.run.method == "Elimination") > 0.9
    table = (tmp_path / "table.csv").read_bytes()
    again = run_study(study, *parts.train, table=tmp_path / "table.csv", loss="mse",
                      choose=parts.choose, test=parts.test)  # fmt: skip
    assert again == results
    assert (tmp_path / "table.csv").read_bytes() == table
    whole = run_study(study, *parts.train, table=tmp_path / "whole.csv", loss="mse")
    for result in whole:
        model, masks = run_network(study, result.run, *parts.train, loss="mse")
        with torch.no_grad():
            params = apply(dict(model.named_parameters()), masks)
            guess = torch.func.functional_call(model, params, (parts.train[0],)).double()
        wanted = parts.train[1].double().reshape(len(guess), -1)
        left = ((guess - wanted) ** 2).sum() / ((wanted - wanted.mean(0)) ** 2).sum()
        assert result.accuracy == pytest.approx(max(0.0, 1 - float(left)), abs=1e-4)


def test_a_table_of_classes_is_none_of_numbers(study: Study, data: Data, tmp_path: Path):
    few = dataclasses.replace(study, methods=(pruners.Random(),), widths=(3,), repeats=1)
    run_study(few, *data, table=tmp_path / "table.csv")
    with pytest.raises(StoreError, match=r"another study \(data or start is"):
        run_study(few, *data, table=tmp_path / "table.csv", loss="mse")
