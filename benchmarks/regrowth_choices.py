"""What regrowth would be if its steps were others: ideas decided by rows that chose nothing.

    python benchmarks/regrowth_choices.py docs/results/regrowth-choices.csv --packages FOLDER

Every idea is tried at six places of the study of real tasks, with its recipes and seeds: where the
starts come from, what is compared, how candidates are proposed, what is taught. FOLDER: see
real_tasks.py. The table has the columns of the study and goes on where it ends; `python
benchmarks/real_tables.py` makes the page's tables of it.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import time
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import torch
from command_line import at_least_one, table_path
from real_methods import LONG
from real_rows import Row, append, read_rows
from real_tasks import RealTask, task_named
from real_trainings import right_of, start_seed
from torch import Tensor
from typing_extensions import override

from prunelimits import MLPEnsemble, fit, pruners
from prunelimits.datasets import Parts
from prunelimits.elimination import Regrowth
from prunelimits.elimination.candidates import candidates
from prunelimits.elimination.data import EliminationData
from prunelimits.elimination.network_stack import NetworkStack
from prunelimits.elimination.regrowing_mlps import MLPRegrowing, dense_weights
from prunelimits.elimination.result import EliminatedNetwork
from prunelimits.elimination.settling import settle
from prunelimits.elimination.units import activations
from prunelimits.training import evaluate

PLACES = tuple(
    (task, keep)
    for task, budgets in (("Vowel", (25, 100)), ("Vehicle", (10, 40)), ("digits", (25, 100)))
    for keep in budgets
)
FIRST_SPLIT = 2
"""The method's settings were chosen on the splits before it."""
AS_IT_IS = "as it is"
TEACHERS = 4
"""Dense networks, each trained as long as the longest trainings of the study."""
DAMPING = 1e-4
"""Of second-order scores, times the mean square of an input."""


class ByTraining(MLPRegrowing):
    """Networks are compared by their loss on the rows to train on alone."""

    @override
    def score(self, networks: NetworkStack, losses: Tensor) -> Tensor:
        return (-losses).nan_to_num(nan=-torch.inf)


class FromOBC(MLPRegrowing):
    """Starts are trained dense, then cut by OBC, which corrects the weights that stay."""

    @override
    def starts(self, widths: tuple[int, ...]) -> NetworkStack:
        keep = min(math.ceil(self.method.head * self.keep), dense_weights(widths) - 1)
        seeds = [self.word(1, number) for number in range(self.method.starts)]
        x, y = self.data.x, self.data.y
        result = fit(MLPEnsemble(widths, seeds=seeds), x, y, self.recipes.first,
                     loss=self.data.loss, seed=self.word(2))  # fmt: skip
        self._work += round(float(result.parameter_samples.sum()))
        params: dict[str, list[Tensor]] = {}
        masks: dict[str, list[Tensor]] = {}
        for member in (~result.diverged).nonzero()[:, 0].tolist():
            model, _ = result.ensemble.member(member)
            cut = pruners.prune_with_weights(model, pruners.OBC(), keep=keep, batches=[(x, y)])
            for name, value in model.named_parameters():
                params.setdefault(name, []).append(cut.params.get(name, value.detach()))
                whole = torch.ones_like(value, dtype=torch.bool)
                masks.setdefault(name, []).append(cut.masks.get(name, whole))
        ensemble = MLPEnsemble.from_params(
            widths, {n: torch.stack(v) for n, v in params.items()},
            {n: torch.stack(v) for n, v in masks.items()},
        )  # fmt: skip
        networks = settle(NetworkStack.unmeasured(ensemble), "outgoing")
        return self._next(networks, self.recipes.recovery)


class SecondOrder(MLPRegrowing):
    """Candidates lack the weights whose removal costs their unit least, by optimal brain surgery.

    The score of a weight is `w^2 / [H^-1]_ii`, `H` the mean square of the unit's kept inputs, as a
    share of the variance of the unit's sum.
    """

    @override
    def candidates(
        self, networks: NetworkStack, count: int, noise: torch.Generator
    ) -> NetworkStack:
        method, trainer = self.removal, self.trainer
        return candidates(networks, count, method, trainer, noise, surgeon_scores)


def surgeon_scores(networks: NetworkStack, x: Tensor) -> Tensor:
    """Scores of all parameters, `(models, entries)`; those of biases, which never go, are one."""
    incoming = x.T.expand(len(networks), *x.T.shape)
    found: list[Tensor] = []
    for layer, h in enumerate([incoming, *activations(networks, x)]):
        weight, mask = (
            some[f"layers.{layer}.weight"] for some in (networks.params, networks.masks)
        )
        square = torch.bmm(h, h.transpose(1, 2)) / h.shape[2]
        ridge = DAMPING * square.diagonal(dim1=1, dim2=2).mean(1).clamp_min(1e-12)
        # Of every unit its own inputs alone; the others stand as units of the identity.
        both = mask.unsqueeze(2) & mask.unsqueeze(3)
        hessian = torch.where(both, square.unsqueeze(1), 0.0)
        added = torch.where(mask, ridge[:, None, None], 1.0)
        inverse = torch.linalg.inv(hessian + torch.diag_embed(added)).diagonal(dim1=2, dim2=3)
        total = torch.bmm(weight, h).var(2, correction=0).clamp_min(1e-12)
        found.append((weight.square() / inverse / total.unsqueeze(2)).clamp_min(1e-30).flatten(1))
        found.append(torch.ones(weight.shape[:2]))
    return torch.cat(found, 1)


class Distilled(MLPRegrowing):
    """Networks learn the logits of dense ones; the last choice is by the labels all the same."""

    labels: Tensor

    @override
    def chosen(self, found: NetworkStack) -> NetworkStack:
        measured = evaluate(found.ensemble(), self.data.measure_x, self.labels)
        ties = measured.accuracy == measured.accuracy.max()
        one = found[found.score.masked_fill(~ties, -torch.inf).argmax()[None]]
        return dataclasses.replace(one, score=measured.accuracy.max()[None])


def taught(task: RealTask, parts: Parts, split: int) -> tuple[list[Tensor], float]:
    """The dense networks' mean logits on the rows to train on and to choose by, and their cost.

    Less each row's mean, which no class depends on, and of variance one.
    """
    widths = task.widths(parts)
    starts = MLPEnsemble(widths, seeds=[start_seed(split, start, 0) for start in range(TEACHERS)])
    result = fit(starts, *parts.train, task.recipe(LONG), seed=split)
    members = [result.ensemble.member(number)[0] for number in range(TEACHERS)]
    logits = [
        torch.stack([model(x).detach() for model in members]).mean(0)
        for x in (parts.train[0], parts.choose[0])
    ]
    if widths[-1] > 1:
        logits = [some - some.mean(1, keepdim=True) for some in logits]
    scale = logits[0].std()
    return [some / scale for some in logits], float(result.parameter_samples.sum())


@dataclass(frozen=True)
class Idea:
    """Another way.

    Attributes:
        kind: What runs.
        settings: What of `Regrowth` is another.
        times: Times the task's epochs that the starts train.
    """

    kind: type[MLPRegrowing] = MLPRegrowing
    settings: dict[str, float] = field(default_factory=dict)
    times: int = 1

    def method(self, task: RealTask) -> Regrowth:
        """The method on a task."""
        method = Regrowth(**self.settings)  # pyright: ignore[reportArgumentType]
        return dataclasses.replace(method, first=task.recipe(self.times), last=task.recipe(LONG))


IDEAS = {
    AS_IT_IS: Idea(),
    "no growth": Idea(settings={"cycles": 0}),
    "no growth, beam of 32, four of a start": Idea(
        settings={"cycles": 0, "beam": 32, "per_origin": 4}
    ),
    "no growth, beam of 32, steps of a twentieth": Idea(
        settings={"cycles": 0, "beam": 32, "per_origin": 4, "step": 0.05}
    ),
    "compared by the rows to train on": Idea(ByTraining),
    "starts trained five times as long": Idea(times=LONG),
    "starts not pruned": Idea(settings={"head": 1e6}),
    "starts cut by OBC": Idea(FromOBC),
    "second-order candidates": Idea(SecondOrder),
    "taught by dense networks": Idea(Distilled),
}


def row(task: RealTask, parts: Parts, split: int, keep: int, name: str) -> Row:
    """What an idea comes to at a place."""
    began = time.monotonic()
    (x, y), choose, test = parts
    idea, widths, cost = IDEAS[name], task.widths(parts), 0.0
    if idea.kind is Distilled:
        (y, measured), cost = taught(task, parts, split)
        data = EliminationData.of(x, y, (choose[0], measured), widths, "mse")
    else:
        data = EliminationData.of(x, y, choose, widths, None)
    run = idea.kind(idea.method(task), data, keep, start_seed(split, keep), None)
    if isinstance(run, Distilled):
        run.labels = choose[1]
    best_one = EliminatedNetwork.of(run.chosen(run.best_networks(run.starts(widths))))
    kept, right = (best_one.nonzeros,), round(best_one.score * len(choose[0]))
    return Row(task.name, split, name, 1, 0, keep, cost + run.work, kept, kept, (right,),
               (right_of(best_one.model, test),), len(choose[0]), len(test[0]),
               round(time.monotonic() - began, 1))  # fmt: skip


def main() -> None:
    """Tries what the table does not hold yet, split after split."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("table", type=table_path)
    parser.add_argument("--packages", type=Path, default=Path())
    parser.add_argument("--splits", type=at_least_one, default=3)
    parser.add_argument("--ideas", nargs="+", default=list(IDEAS), choices=list(IDEAS))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    done = {(r.task, r.split, r.keep, r.method) for r in read_rows(arguments.table)}
    splits = range(FIRST_SPLIT, FIRST_SPLIT + arguments.splits)
    for split, (name, keep), idea in product(splits, PLACES, arguments.ideas):
        if (name, split, keep, idea) in done:
            continue
        task = task_named(name)
        found = row(task, task.parts(arguments.packages, split), split, keep, idea)
        append([found], arguments.table)
        shares = found.choose[0] / found.choose_rows, found.test[0] / found.test_rows
        print(name, split, keep, f"{idea}: {shares[0]:.3f} {shares[1]:.3f}", f"({found.seconds} s)",
              flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
