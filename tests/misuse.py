"""Wrong values for every argument of every public name, and what becomes of a call with one.

`misuses(name, folder)` changes one argument of the valid call at a time. Values in `wrong` are of
another kind than the argument's: they must be refused by its name. Those in `doubtful` may mean
something: they may be accepted. As a script (`python -m tests.misuse [PART OF A NAME]`) it lists
every call that ends otherwise.
"""

from __future__ import annotations

import inspect
import math
import re
import signal
import sys
import tempfile
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import numpy as np
import torch
import torch._dynamo  # or an alarm interrupts its import, which leaves a broken half
from torch import Tensor, nn

from prunelimits.resuming import StoreError
from prunelimits.types import Problem

from .public_calls import PUBLIC_CALLS, resolve
from .public_methods import PUBLIC_METHODS

SECONDS = 10

# Records that functions return: plain data, which checks nothing.
RECORDS = {
    "connectivity.Call",
    "connectivity.ConnectivityReport",
    "connectivity.DisconnectionBounds",
    "connectivity.LayerReport",
    "connectivity.ParameterKind",
    "datasets.Parts",
    "elimination.EliminatedNetwork",
    "elimination.EliminationResult",
    "elimination.RegrownModule",
    "elimination.RegrowthResult",
    "elimination.Round",
    "experiments.Median",
    "experiments.BudgetSummary",
    "experiments.Run",
    "experiments.RunResult",
    "limits.Estimate",
    "limits.LanczosCost",
    "limits.LanczosState",
    "limits.Belief",
    "limits.Measured",
    "limits.Prediction",
    "limits.PruningLimit",
    "limits.PruningSweep",
    "limits.Spectrum",
    "pruners.Coverage",
    "pruners.Moves",
    "pruners.Pruned",
    "pruners.PruningPlan",
    "pruners.State",
    "search.FoundNetwork",
    "search.PhaseSummary",
    "search.Progress",
    "search.SearchResult",
    "search.SizeSummary",
    "training.Cost",
    "training.Evaluation",
    "training.FitResult",
}
# Arguments that a function does not use, or uses as they come.
FREE: dict[str, set[str]] = {
    "check_points": {"name"},
    "check_bool": {"name"},  # of what the mask is for, in the message
    "lamp": {"problem", "noise"},
    "magnitude": {"problem", "noise"},
    "random": {"problem"},
    "synflow": {"noise"},
    "prospr": {"noise"},
    "obc": {"noise"},
    "obs": {"noise"},
    "obd": {"noise"},
    "snip": {"noise"},
    "grasp": {"noise"},
    "wanda": {"noise"},
}


# Counts of what is done one after the other, with no bound but patience.
ENDLESS = {"generations"}

# What a message may name instead of an argument: a part of it, or what it does not fit.
PARTS = {
    "problem": {"batches", "loss"},
    "params": {"masks"},
    "widths": {"params"},
    "model": {"masks", "params", "keep", "optimizer", "train"},
    "network": {"masks"},
    # Entries that a kept run has and others that are asked for are told by their own names.
    "recorded": {"belongs"},
    "wanted": {"belongs"},
    "content": {"path"},
    "masks": {"survivors", "weights"},
    "shapes": {"flat"},
    "weights": {"params", "masks"},
}


class Misuse(NamedTuple):
    """A call with one wrong argument.

    Attributes:
        argument: Which.
        what: The value, in words.
        call: The call.
        refused: Whether it must be refused.
    """

    argument: str
    what: str
    call: Callable[[], object]
    refused: bool


class Outcome(NamedTuple):
    """How a call ended: `kind` is accepted, named, unnamed, deep, internal or slow."""

    kind: str
    error: str


def names() -> list[str]:
    """The public names and methods whose arguments are tried."""
    functions = [name for name in PUBLIC_CALLS if name.removeprefix("prunelimits.") not in RECORDS]
    return [*functions, *(f"prunelimits.{name}" for name in PUBLIC_METHODS)]


def _case(name: str, folder: Path) -> tuple[Callable[..., object], dict[str, Any]]:
    """A function or method, and valid arguments, both made anew."""
    if method := PUBLIC_METHODS.get(name.removeprefix("prunelimits.")):
        return method(_fresh(folder))
    return resolve(name), PUBLIC_CALLS[name](_fresh(folder))


def misuses(name: str, folder: Path) -> Iterator[Misuse]:
    """Every misuse of a public name; the calls are made anew each time they are called."""
    function, _ = _case(name, folder)
    short = name.rpartition(".")[2]
    for argument, parameter in inspect.signature(function).parameters.items():
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            continue
        if argument in FREE.get(short, ()):
            continue
        valid = _case(name, folder)[1].get(argument, parameter.default)
        annotation = str(parameter.annotation)
        wrong, doubtful = _values(annotation, valid)
        if argument in ENDLESS:
            doubtful = {what: value for what, value in doubtful.items() if "10**" not in what}
        for refused, values in ((True, wrong), (False, doubtful)):
            for what, value in values.items():

                def call(argument: str = argument, value: object = value) -> object:
                    function, arguments = _case(name, folder)
                    return function(**{**arguments, argument: value})

                yield Misuse(argument, what, call, refused)


def outcome(misuse: Misuse) -> Outcome:
    """What becomes of a call."""
    signal.signal(signal.SIGALRM, _stop)
    signal.alarm(SECONDS)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            misuse.call()
    except TimeoutError:
        return Outcome("slow", "")
    except Exception as error:
        signal.alarm(0)
        text = f"{type(error).__name__}: {str(error)[:160]}"
        told = isinstance(
            error, TypeError | ValueError | IndexError | OSError | ImportError | StoreError
        )
        words = {misuse.argument, *PARTS.get(misuse.argument, ())}
        if told and any(re.search(rf"(?<![a-z]){word}(?![a-z])", str(error)) for word in words):
            return Outcome("named", text)
        frames = traceback.extract_tb(error.__traceback__)
        place = f" ({frames[-1].filename.rpartition('/')[2]}:{frames[-1].lineno})"
        if not told:
            return Outcome("internal", text + place)
        deep = "/prunelimits/" not in frames[-1].filename
        return Outcome("deep" if deep else "unnamed", text + place)
    finally:
        signal.alarm(0)
    return Outcome("accepted", "")


def _stop(number: int, frame: FrameType | None) -> None:
    raise TimeoutError


def _fresh(folder: Path) -> Path:
    return Path(tempfile.mkdtemp(dir=folder))


def _values(annotation: str, valid: Any) -> tuple[dict[str, object], dict[str, object]]:
    """Values of another kind than an argument's, and doubtful ones, by what to call them."""
    wrong: dict[str, object] = {
        "None": None,
        "a text": "text",
        "a number": 2.5,
        "NaN": math.nan,
        "an object": object(),
        "a complex number": 1j,
        "a list of objects": [object()],
        "a dict": {"a": 1},
        "bytes": b"text",
    }
    doubtful: dict[str, object] = {}
    if "None" in annotation or valid is None:
        del wrong["None"]
    # Named kinds of numbers, as what they stand for.
    annotation = annotation.replace("Keep", "int | Mapping[str, float]")
    annotation = re.sub(r"\bTime\b", "int | float", annotation)
    kind = annotation.replace(" | None", "").strip()
    if "Callable" in kind.partition("[")[0]:
        doubtful |= {"one that gives None": lambda *_, **__: None}
        wrong |= {"an integer": 3}
    elif kind == "int" or kind == "int | Tensor":
        wrong |= {"True": True, "a text of digits": "3", "infinity": math.inf}
        wrong |= {} if "Tensor" in kind else {"a tensor": torch.tensor(3)}
        doubtful |= {"-1": -1, "0": 0, "10**30": 10**30, "10**5000": 10**5000, "NumPy": np.int64(3)}
    elif kind == "float":
        del wrong["a number"]
        wrong |= {"True": True, "a text of digits": "0.5", "infinity": math.inf, "-inf": -math.inf}
        wrong |= {"a tensor": torch.tensor(0.5)}
        doubtful |= {"-1": -1.0, "0": 0.0, "1e300": 1e300, "NumPy": np.float32(0.5), "int": 1}
    elif kind == "bool":
        wrong |= {"0": 0, "1": 1, "a tensor": torch.tensor(True)}
    elif kind == "bytes":
        del wrong["bytes"]
        doubtful |= {"empty": b""}
    elif kind == "str" or "Path" in kind:
        del wrong["a text"]
        wrong |= {"an integer": 3}
        if "Path" in kind:
            del wrong["bytes"]
            doubtful |= {"a folder": "/", "nothing": "", "a null": "a\0b", "bytes": b"text"}
    elif kind in ("Masks", "Params", "Scores", "Mapping[str, Tensor]"):
        wrong |= _wrong_tensors_by_name(valid, kind)
        doubtful |= {"an empty dict": {}}
        if isinstance(valid, dict) and valid:
            name, tensor = next((n, t) for n, t in valid.items() if t.dim())
            changed = {"another shape": tensor[None], "meta": tensor.to("meta")}
            changed |= {"complex": tensor.to(torch.complex64), "no axes": torch.ones(())}
            doubtful |= {what: {**valid, name: value} for what, value in changed.items()}
            doubtful |= {"another name": {**valid, "nope": tensor}}
    elif kind == "Tensor" and isinstance(valid, Tensor):
        wrong |= {"a list": valid.tolist(), "sparse": valid.to_sparse(), "meta": valid.to("meta")}
        wrong |= {"complex": valid.to(torch.complex64)}
        doubtful |= {"an array": valid.numpy(), "empty": valid[:0], "another shape": valid[None]}
        doubtful |= {
            "flat": valid.flatten()[:3],
            "NaN entries": torch.full_like(valid.double(), math.nan),
        }
        doubtful |= {"no axes": torch.tensor(1.0), "integers": valid.long(), "bools": valid.bool()}
    elif isinstance(valid, torch.Generator) or "Generator" in kind:
        wrong |= {"0": 0, "a NumPy one": np.random.default_rng(0)}
    elif re.fullmatch(r"(Sequence|Iterable|Collection|list|tuple)\[int.*\]", kind):
        wrong |= {"floats": [2.0, 1.0], "texts": ["2", "1"], "bools": [True, True], "digits": "21"}
        doubtful |= {
            "empty": [],
            "negative": [-1, -1],
            "zeros": [0, 0, 0],
            "an array": np.array([2, 2, 1]),
        }
        doubtful |= {
            "huge": [10**30, 10**30],
            "a list": [2, 2, 1],
            "many": [2] * 2000,
            "a set": {2, 1},
        }
    elif re.match(r"(Sequence|Iterable|Collection|list|tuple|Mapping)\b", kind):
        wrong |= {"an integer": 3}
        doubtful |= {"empty": type(valid)() if isinstance(valid, dict | list | tuple) else []}
        if "Tensor" in kind:
            x, y = torch.randn(4, 2), torch.ones(4)
            wrong |= {"numbers": [1, 2], "a single": [(x,)], "texts": [("a", "b")]}
            doubtful |= {
                "nothing": [(x, None)],
                "arrays": [(x.numpy(), y.numpy())],
                "empty batches": [(x[:0], y[:0])],
                "complex": [(x.to(torch.complex64), y)],
                "NaN entries": [(x * math.nan, y)],
                "another shape": [(torch.randn(4, 3), y)],
                "meta": [(x.to("meta"), y.to("meta"))],
                "sparse": [(x.to_sparse(), y)],
            }
        if "str" in kind:
            doubtful |= {"another name": ["nope"], "one text": "text"}
            del wrong["a text"]
    elif isinstance(valid, nn.Module) or "Module" in kind:
        wrong |= {"a list": [nn.Linear(2, 1)], "a class": nn.Linear, "an integer": 3}
        doubtful |= _doubtful_modules()
    elif isinstance(valid, Problem) or kind == "Problem":
        wrong |= {"a tuple": (1, 2, 3), "a module": nn.Linear(2, 1)}
        if isinstance(valid, Problem):
            doubtful |= _doubtful_problems(valid)
    else:
        wrong |= {"an integer": 3, "a list": [valid], "a class": type(valid)}
        if isinstance(valid, str | int | float | None):
            del wrong["a class"]
        if kind.startswith("int |"):
            doubtful |= {"an integer": wrong.pop("an integer"), "10**5000": 10**5000}
            wrong |= {"True": True, "a text of digits": "3"}
        if kind == "object" or kind.startswith("type"):
            wrong = {}
    if any(part in annotation for part in ("str |", "| str", "str]", "str,")) and "a text" in wrong:
        doubtful["a text"] = wrong.pop("a text")
    if "dict" in annotation or "Mapping" in annotation:
        doubtful["a dict"] = wrong.pop("a dict", {"a": 1})
    for other, what in (("float", "a number"), ("int", "a number")):
        if other in kind and kind not in ("int", "int | Tensor") and what in wrong:
            doubtful[what] = wrong.pop(what)
    return wrong, doubtful


def _wrong_tensors_by_name(valid: Any, kind: str) -> dict[str, object]:
    result: dict[str, object] = {"an integer": 3, "numbers as names": {1: torch.ones(2).bool()}}
    if not isinstance(valid, dict) or not valid:
        return {**result, "texts": {"layers.0.weight": "text"}}
    name, tensor = next((n, t) for n, t in valid.items() if t.dim())
    result |= {"a list": list(valid.values())}
    if any(not isinstance(value, Tensor) for value in valid.values()):
        return result
    changed: dict[str, object] = {
        "None": None,
        "texts": "text",
        "lists": tensor.tolist(),
        "arrays": tensor.detach().numpy(),
        "sparse": tensor.detach().to_sparse(),
    }
    if kind == "Masks":
        changed |= {"floats": tensor.float(), "meta": tensor.to("meta")}
    return {**result, **{what: {**valid, name: value} for what, value in changed.items()}}


def _doubtful_modules() -> dict[str, object]:
    meta = nn.Sequential(nn.Linear(2, 4, device="meta"), nn.ReLU(), nn.Linear(4, 1, device="meta"))
    broken = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 1))
    with torch.no_grad():
        broken[0].weight.fill_(math.nan)
    return {
        "no parameters": nn.ReLU(),
        "meta": meta,
        "complex": nn.Sequential(nn.Linear(2, 1, dtype=torch.complex64)),
        "with NaN": broken,
        "lazy": nn.LazyLinear(2),
        "another": nn.Bilinear(2, 2, 2),
    }


def _doubtful_problems(valid: Problem) -> dict[str, object]:
    x, y = valid.batches[0]
    return {
        "no batches": valid._replace(batches=[]),
        "empty batches": valid._replace(batches=[(x[:0], y[:0])]),
        "numbers for batches": valid._replace(batches=[1]),  # type: ignore[list-item]
        "loss gives None": valid._replace(loss=lambda *_: None),  # type: ignore[arg-type,return-value]
        "loss has axes": valid._replace(loss=lambda outputs, _: outputs),
        "loss is a float": valid._replace(loss=lambda *_: 1.0),  # type: ignore[arg-type,return-value]
        "no loss": valid._replace(loss=None),  # type: ignore[arg-type]
    }


def main(part: str = "") -> None:
    total: Counter[str] = Counter()
    for name in names():
        if part not in name + ".":
            continue
        with tempfile.TemporaryDirectory() as folder:
            try:
                for misuse in misuses(name, Path(folder)):
                    kind, error = outcome(misuse)
                    bad = kind == "accepted" and misuse.refused
                    kind = "accepted wrongly" if bad else kind
                    total[kind] += 1
                    if kind not in ("accepted", "named"):
                        short = name.removeprefix("prunelimits.")
                        line = f"{kind:9} {short}({misuse.argument}={misuse.what}) {error}\n"
                        sys.stdout.write(line)
                        sys.stdout.flush()
            except Exception as error:
                sys.stdout.write(f"BROKEN {name} {error!r:.300}\n")
    sys.stdout.write(f"{dict(total)}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
