r"""Keeps the networks of a gap study: of each method, width and budget the most accurate.

Of the first repeat alone, which is the published study, unless --repeats says more.

    python benchmarks/gap_archive.py docs/results/gap-random.csv --widths 16
    python benchmarks/gap_archive.py docs/results/gap-bench-995.csv --widths 6 --repeats 5 \
        --initial bench-995.pt --methods GMP RigL
    python benchmarks/gap_archive.py docs/results/gap-anew.csv --widths 3 4 5 6 7 8 32 --train

A table keeps what runs measured, not their networks, so the runs of one method, width and repeat
are trained again, together as they were. What is then as accurate as its row in the table is added
to docs/results/gap-networks.npz; what is not, as with another engine or instruction set, is named
and left out. With --train the runs that the table lacks are trained, and both are kept, the rows
and the best networks; it goes on where the table ends. The file holds numbers alone, a few hundred
bytes a network.
"""

from __future__ import annotations

import argparse
import io
import json
import math
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import product
from pathlib import Path
from typing import NamedTuple
from zipfile import BadZipFile

import numpy as np
import torch
from command_line import at_least_one

import prunelimits as pl
from prunelimits.experiments import PAPER_METHODS, Run, RunResult, Study, read_table, write_table
from prunelimits.experiments.kept import describe, read_kept
from prunelimits.experiments.part import fit_part, fitted_results, parts
from prunelimits.models import parameter_shapes
from prunelimits.pruners import AbstractPruner
from prunelimits.resuming import WriterLock, write_whole
from prunelimits.training.task import make_task
from prunelimits.types import Masks

# The arrays of an archive: of what kind of numbers, and how many axes.
ARRAYS = {"labels": ("U", 1), "widths": ("i", 2), "masks": ("u", 1), "values": ("f", 1)}
ARCHIVE = Path(__file__).parent.parent / "docs" / "results" / "gap-networks.npz"


class Kept(NamedTuple):
    """A trained network of a study, and the run that it is of.

    Attributes:
        table: Name of the study's table.
        run: Which run.
        widths: Inputs, hidden units, outputs.
        bits: Which parameters it keeps, layer by layer, weights before biases, eight to a byte.
        values: What these are.
    """

    table: str
    run: Run
    widths: tuple[int, ...]
    bits: np.ndarray
    values: np.ndarray

    @classmethod
    def of(cls, table: str, run: Run, model: pl.MLP, masks: Masks) -> Kept:
        """A network as it is kept."""
        named = dict(model.named_parameters())
        mask = torch.cat([masks[name].flatten() for name in named])
        value = torch.cat([parameter.detach().flatten() for parameter in named.values()])
        bits = np.packbits(mask.numpy())
        return cls(table, run, model.widths, bits, value[mask].numpy().astype(np.float32))

    def network(self) -> tuple[pl.MLP, Masks]:
        """The network, and what it keeps."""
        shapes = parameter_shapes(self.widths)
        sizes = [math.prod(shape) for shape in shapes.values()]
        mask = torch.from_numpy(np.unpackbits(self.bits, count=sum(sizes)).astype(bool))
        flat = torch.zeros(sum(sizes))
        flat[mask] = torch.from_numpy(self.values)
        state, masks = (
            {
                name: part.reshape(shape)
                for (name, shape), part in zip(shapes.items(), some.split(sizes), strict=True)
            }
            for some in (flat, mask)
        )
        model = pl.MLP(self.widths)
        model.load_state_dict(state)
        return model, masks


def write_archive(path: Path, networks: Iterable[Kept]) -> None:
    """All networks in one file: names, masks as bits, and the values that are kept."""
    kept = sorted(networks, key=lambda one: one[:2])
    content = io.BytesIO()
    np.savez_compressed(
        content,
        labels=np.array([",".join(map(str, (one.table, *one.run))) for one in kept]),
        widths=np.array([one.widths for one in kept]),
        masks=np.concatenate([one.bits for one in kept]),
        values=np.concatenate([one.values for one in kept]),
    )
    write_whole(content.getvalue(), path)


def read_archive(path: Path = ARCHIVE) -> list[Kept]:
    """The networks of an archive, in the order of their tables and runs.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If it is no such archive, or damaged.
    """
    labels, every, bits, values = _arrays(path)
    networks: list[Kept] = []
    # Where the next network's masks and values begin.
    bit, value = 0, 0
    for label, widths in zip(labels.tolist(), every.tolist(), strict=True):
        table, run = _run_of(path, label)
        if len(widths) < 2 or min(widths) < 1:
            raise ValueError(f"{path} must have widths of at least 1, got {widths} for {label}")
        size = sum(math.prod(shape) for shape in parameter_shapes(tuple(widths)).values())
        packed = bits[bit : bit + -(-size // 8)]
        bit += len(packed)
        if len(packed) * 8 < size:
            raise ValueError(f"{path} must have a mask for every network, got none for {label}")
        nonzeros = int(np.unpackbits(packed, count=size).sum())
        own = values[value : value + nonzeros]
        value += len(own)
        if len(own) != nonzeros or not np.isfinite(own).all():
            raise ValueError(f"{path} must have a finite value for all that {label} keeps")
        networks.append(Kept(table, run, tuple(widths), packed, own))
    if bit < len(bits) or value < len(values):
        raise ValueError(f"{path} must have masks and values of its networks alone, got more")
    return networks


def _arrays(path: Path) -> list[np.ndarray]:
    """Labels, widths, masks as bits, and values: of the kinds that `write_archive` writes."""
    content, found = path.read_bytes(), list[np.ndarray]()
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            for name, (kind, axes) in ARRAYS.items():
                array = file[name]
                if array.dtype.kind != kind or array.ndim != axes:
                    raise ValueError(f"{name} is of {array.dtype} and shape {array.shape}")
                found.append(array)
    # What NumPy raises for a file of another kind, for a damaged one, and for an array alone.
    except (ValueError, KeyError, EOFError, TypeError, BadZipFile, zlib.error) as error:
        raise ValueError(f"{path} is no archive of networks: {error}") from error
    if len(found[0]) != len(found[1]):
        raise ValueError(
            f"{path} must have widths for every label, got {len(found[1])} for {len(found[0])}"
        )
    return found


def _run_of(path: Path, label: str) -> tuple[str, Run]:
    table, *run = label.split(",")
    if len(run) != 5 or not all(number.isdecimal() for number in run[1:]):
        raise ValueError(f"{path} must label networks by table and run, got {label!r}")
    return table, Run(run[0], *map(int, run[1:]))


def best_runs(
    results: Iterable[RunResult], widths: Iterable[int], methods: Iterable[str], repeats: int
) -> dict[Run, RunResult]:
    """The most accurate run of each method, width and budget, of equals the first."""
    best: dict[tuple[str, int, int], RunResult] = {}
    for result in sorted(results):
        method, width, keep, _, repeat = result.run
        if width in widths and method in methods and repeat < repeats:
            old = best.get((method, width, keep))
            if old is None or result.accuracy > old.accuracy:
                best[method, width, keep] = result
    return {result.run: result for result in best.values()}


def retrained(
    table: Path, best: dict[Run, RunResult], method: str, initial: pl.MLP | None
) -> Iterator[list[Kept]]:
    """Runs of one method trained again, part by part; what comes out otherwise is named.

    Raises:
        StoreError: If the table is of another start, other recipes or other settings.
    """
    budgets: dict[int, set[int]] = defaultdict(set)
    for result in read_table(table)[0]:
        budgets[result.run.width].add(result.run.keep)
    task = make_task(*pl.datasets.cubist_spiral(), initial=initial)
    for width, repeat in sorted({(run.width, run.repeat) for run in best}):
        study = Study(
            methods=_methods(method),
            widths=(width,),
            # As the table was made: what is trained together decides the last digits.
            budgets=tuple(sorted(budgets[width])),
            repeats=repeat + 1,
        )
        # Another start, recipe or setting than the table's would be trained in vain.
        read_kept(table, describe(study, task))
        for part in parts(study, task):
            wanted = [run for run in best if run in part.runs]
            if part.runs[0].repeat != repeat or not wanted:
                continue
            fitted = fit_part(task, part)
            found: list[Kept] = []
            for run in wanted:
                place = part.runs.index(run)
                accuracy = float(fitted.accuracy[place])
                if accuracy == best[run].accuracy:
                    found.append(Kept.of(table.stem, run, *fitted.ensemble.member(place)))
                else:
                    print(f"{run}: {accuracy:.4%}, NOT as in the table")
            print(method, width, repeat, f"{len(found)} of {len(wanted)}", flush=True)
            yield found


def _methods(name: str) -> tuple[AbstractPruner, ...]:
    return tuple(pruner for pruner in PAPER_METHODS if type(pruner).__name__ == name)


def train(table: Path, study: Study, initial: pl.MLP | None, archive: Path) -> None:
    """Trains the runs that the table lacks, and keeps their rows and the best networks.

    Raises:
        StoreError: If the table is of another start, other recipes or other settings.
    """
    task = make_task(*pl.datasets.cubist_spiral(), initial=initial)
    with WriterLock(table):
        known, described = read_kept(table, describe(study, task))
        for part in parts(study, task, known.keys()):
            fitted = fit_part(task, part)
            results = fitted_results(task, part, fitted)
            method, width, *_, repeat = part.runs[0]
            others: list[Kept] = []
            rivals: list[Kept] = []
            for kept in read_archive(archive) if archive.exists() else []:
                if (kept.table, *kept.run[:2]) != (table.stem, method, width):
                    others.append(kept)
                # A part that was cut short may have left networks without rows.
                elif kept.run in known:
                    rivals.append(kept)
            best = best_runs(
                [*results, *(known[kept.run] for kept in rivals)], [width], [method], repeat + 1
            )
            rivals = [kept for kept in rivals if kept.run in best]
            found = [
                Kept.of(table.stem, run, *fitted.ensemble.member(place))
                for place, run in enumerate(part.runs)
                if run in best
            ]
            known |= {result.run: result for result in results}
            write_archive(archive, [*others, *rivals, *found])
            write_table(known.values(), table, study=json.dumps(described))
            print(method, width, repeat, f"{len(results)} runs", flush=True)


def main() -> None:
    """Trains again, and adds to the archive what is as in the table, part by part."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("table", type=Path)
    parser.add_argument("--widths", type=at_least_one, nargs="+", default=[16])
    names = [type(pruner).__name__ for pruner in PAPER_METHODS]
    parser.add_argument("--methods", nargs="+", default=names, choices=names)
    parser.add_argument(
        "--repeats", type=at_least_one, default=1, help="of the table that are looked at"
    )
    parser.add_argument("--initial", type=Path, default=None)
    parser.add_argument("--train", action="store_true", help="what the table lacks, and add it")
    parser.add_argument("--archive", type=Path, default=ARCHIVE)
    arguments = parser.parse_args()
    initial = None if arguments.initial is None else pl.load(arguments.initial)[0]
    if arguments.train:
        for width, method in product(arguments.widths, arguments.methods):
            study = Study(methods=_methods(method), widths=(width,), repeats=arguments.repeats)
            train(arguments.table, study, initial, arguments.archive)
        return
    results, _ = read_table(arguments.table)
    old = read_archive(arguments.archive) if arguments.archive.exists() else []
    known = {kept[:2]: kept for kept in old}
    for method in arguments.methods:
        best = best_runs(results, arguments.widths, [method], arguments.repeats)
        left = {run: r for run, r in best.items() if (arguments.table.stem, run) not in known}
        for found in retrained(arguments.table, left, method, initial):
            known |= {kept[:2]: kept for kept in found}
            write_archive(arguments.archive, known.values())


if __name__ == "__main__":
    main()
