from __future__ import annotations

import functools
import importlib
import os
import subprocess
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

import prunelimits as pl
from prunelimits.resuming import source_of

METHOD = '''
from dataclasses import dataclass

import torch

import {name}_helpers as helpers
from {name}_helpers import scaled
from prunelimits.pruners import AtInit

POWER = 2
BETAS = [0.9, 0.99]
calls = 0


def magnitude(value):
    # The score.
    return scaled(value.abs() ** POWER) * BETAS[0]


class Base(AtInit):
    factor = 3

    def scores(self, problem, params, masks, noise):
        """Scores."""
        global calls
        calls += 1
        return {{name: self.score(params[name]) for name in masks}}


@dataclass(frozen=True)
class Mine(Base):
    power: int = 1

    def score(self, value):
        return magnitude(value) ** self.power + helpers.shift(value)
'''
HELPERS = """
SHIFT = 0.5


def scaled(value):
    return value * 2


def shift(value):
    return inner(value) + SHIFT


def inner(value):
    return value - 1


def unrelated(value):
    return value
"""


class Modules:
    """A user's two modules in a folder, which can be edited and imported anew."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name
        self.write(METHOD.format(name=name), HELPERS)

    def write(self, method: str, helpers: str) -> None:
        (self.folder / f"{self.name}.py").write_text(method)
        (self.folder / f"{self.name}_helpers.py").write_text(helpers)

    def edit(self, old: str, new: str) -> None:
        texts = [METHOD.format(name=self.name), HELPERS]
        assert sum(text.count(old) for text in texts) == 1
        self.write(*(text.replace(old, new) for text in texts))

    def imported(self) -> types.ModuleType:
        for name in (self.name, f"{self.name}_helpers"):
            sys.modules.pop(name, None)
        importlib.invalidate_caches()
        return importlib.import_module(self.name)


@pytest.fixture
def modules(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[Modules]:
    monkeypatch.syspath_prepend(tmp_path)
    # Or a file edited within a second would be taken from its compiled twin.
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    made = Modules(tmp_path, "a_users_method")
    yield made
    for name in (made.name, f"{made.name}_helpers"):
        sys.modules.pop(name, None)


def test_the_source_is_that_of_the_class_its_bases_and_what_they_refer_to(modules: Modules):
    text = source_of(modules.imported().Mine)
    for part in ("class Mine", "class Base", "def magnitude", "def scaled", "def inner"):
        assert part in text
    assert "unrelated" not in text
    assert "# The score" not in text
    assert "prunelimits.AtInit" in text


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("** self.power", "* self.power"),
        ("power: int = 1", "power: int = 2"),
        ("factor = 3", "factor = 4"),
        ("self.score(params[name])", "-self.score(params[name])"),
        ("value.abs()", "value.square()"),
        ("POWER = 2", "POWER = 3"),
        ("[0.9, 0.99]", "[0.8, 0.99]"),
        ("value * 2", "value * 3"),
        ("value - 1", "value - 2"),
        ("SHIFT = 0.5", "SHIFT = 0.25"),
    ],
)
def test_every_edit_that_decides_the_result_changes_the_source(
    modules: Modules, old: str, new: str
):
    before = source_of(modules.imported().Mine)
    modules.edit(old, new)
    assert source_of(modules.imported().Mine) != before


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("# The score.", "# Another comment."),
        ('"""Scores."""', '"""The scores."""'),
        ("import torch\n", "import torch\n\n\n"),
        ("def unrelated(value):\n    return value", "def unrelated(value):\n    return -value"),
        ("value * 2", "(value\n        * 2)"),
    ],
)
def test_comments_layout_and_unrelated_code_do_not_count(modules: Modules, old: str, new: str):
    before = source_of(modules.imported().Mine)
    modules.edit(old, new)
    assert source_of(modules.imported().Mine) == before


@pytest.mark.slow
def test_the_source_is_the_same_in_every_process_and_after_use(modules: Modules):
    module = modules.imported()
    before = source_of(module.Mine)
    model = pl.MLP((2, 4, 1))
    batch = (torch.ones(3, 2), torch.ones(3, 1))
    pl.prune(model, module.Mine(), keep=9, loss=torch.nn.functional.mse_loss, batches=[batch])
    assert module.calls == 1
    assert source_of(module.Mine) == before
    assert source_of(module.Mine(power=5)) == before
    script = f"import {modules.name} as m; from prunelimits.resuming import source_of as s; "
    for seed in ("1", "2"):
        printed = subprocess.run(
            [sys.executable, "-c", script + "print(s(m.Mine), end='')"],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            cwd=modules.folder,
            capture_output=True,
            text=True,
            check=True,
        )
        assert printed.stdout == before


def test_a_file_that_was_edited_since_it_was_imported_is_not_what_runs(modules: Modules):
    module = modules.imported()
    before = source_of(module.Mine)
    modules.edit("** self.power", "* self.power")
    stale = source_of(module.Mine)
    assert stale not in (before, source_of(modules.imported().Mine))


def test_without_a_file_the_compiled_code_counts():
    def made(text: str) -> Callable[..., object]:
        names: dict[str, Callable[..., object]] = {}
        exec(text, names)
        return names["scores"]

    first = made("def scores(x):\n    return x + 1")
    assert source_of(first) == source_of(made("\n\ndef scores(x):\n    return x + 1"))
    assert source_of(first) != source_of(made("def scores(x):\n    return x + 2"))
    assert source_of(first) != source_of(made("def scores(x):\n    return x - 1"))
    within = "def scores(x):\n    return [v in {'a', 'b', 'c', %s} for v in x]"
    assert source_of(made(within % "1")) != source_of(made(within % "2"))


def test_a_class_whose_methods_come_from_elsewhere(modules: Modules):
    module = modules.imported()
    before = source_of(module.Mine)
    module.Mine.score = lambda self, value: value
    other = source_of(module.Mine)
    assert other != before
    module.Mine.score = lambda self, value: -value
    assert source_of(module.Mine) not in (before, other)


def closed_over(power: float, extra: list[float]) -> Callable[[float], float]:
    count = 0

    def scores(value: float) -> float:
        nonlocal count
        count += 1
        extra.append(value)
        return value**power

    return scores


def test_variables_around_a_function_count_unless_the_code_changes_them():
    first = closed_over(2.0, [])
    before = source_of(first)
    first(1.0)
    assert source_of(first) == before
    assert source_of(closed_over(2.0, [])) == before
    assert source_of(closed_over(3.0, [])) != before


def scaled(value: float, factor: float = 1.0) -> float:
    return factor * value


def shifted(value: float, factor: float = 1.0) -> float:
    return factor + value


class Scorer:
    def __init__(self, power: float) -> None:
        self.power = power

    def __call__(self, value: float) -> float:
        return value**self.power

    def score(self, value: float) -> float:
        return value

    @staticmethod
    def plain(value: float) -> float:
        return value


def test_every_kind_of_function_has_a_source():
    whole = [
        scaled,
        shifted,
        functools.partial(scaled, factor=2.0),
        functools.partial(scaled, factor=3.0),
        functools.partial(shifted, factor=2.0),
        functools.partial(scaled, factor=torch.ones(2)),
        Scorer(1.0).score,
        Scorer,
        lambda value: value,
        lambda value: value + 1,
        functools.cache(scaled),
        functools.cache(shifted),
        sorted,
        torch.relu,
        torch.nn.functional.relu,
        len,
        type("Empty", (), {}),
    ]
    texts = [source_of(value) for value in whole]
    assert len(set(texts)) == len(texts)
    assert not any(" at 0x" in text for text in texts)
    assert source_of(Scorer(1.0)) == source_of(Scorer)


@pytest.mark.parametrize("pruner", pl.pruners.all(), ids=lambda pruner: pruner.__name__)
def test_the_librarys_own_methods_count_by_their_name(pruner: type):
    assert source_of(pruner) == f"prunelimits.{pruner.__name__}"


def test_code_that_refers_to_itself_comes_to_an_end():
    def even(n: int) -> bool:
        return n == 0 or odd(n - 1)

    def odd(n: int) -> bool:
        return n != 0 and even(n - 1)

    assert "def odd" in source_of(even)
