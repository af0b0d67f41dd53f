"""What successive halving loses, measured: trainings run to their end and stopped early alike.

Trains random shards of a space fully and notes every training's accuracy on the way. Halving is
then replayed on these numbers, so that one run serves every choice of rungs: since a network trains
the same whether others beside it are stopped or not, the replay stops just those that the search
would. For each choice it prints

- epochs: what a training costs on average, of 50;
- at the target: how many of the trainings that reach the target in the end were kept, with the
  95 % Clopper-Pearson interval of that share;
- best per mille: the same of those trainings that end among the best thousandth of their shard.

Run it by `python benchmarks/halving.py 2 7 3 3 1 --max-nonzeros 44 --trainings 100000 --target
0.95 --store rungs.npy`. The same command goes on where it was, and when all is trained only prints.
With --table, the counts go into a file, under the name of the store, and with --ranks those of how
early a training that will reach the target can be told from the others of its shard: its rank by
accuracy after so many epochs, as a share, in the median and at nine of ten.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from command_line import at_least_one, table_path
from kept_rows import add_rows, read_rows
from numpy.typing import NDArray
from scipy.stats import binomtest

from prunelimits.datasets import cubist_spiral
from prunelimits.search import SearchConfig, make_task
from prunelimits.search.shard import ShardJob, initial_ensemble, most_accurate, shard_ranks
from prunelimits.training import Recipe, fit

RECIPE = Recipe()
EPOCHS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, RECIPE.epochs)
HALVINGS = (
    ((2, 0.2), (12, 0.05)),
    ((2, 0.3), (12, 0.05)),
    ((2, 0.3), (20, 0.05)),
    ((5, 0.1),),
    ((5, 0.5),),
    ((10, 0.1),),
    ((20, 0.1),),
)
Halving = tuple[tuple[int, float], ...]


def train(config: SearchConfig, trainings: int, store: Path) -> NDArray[np.int32]:
    """Correct samples of random shards at each of `EPOCHS`, `(shards, trainings, epochs)`."""
    task = make_task(*cubist_spiral())
    phase = config.first_phase
    space = phase.space(task.inputs, task.outputs)
    size = len(shard_ranks(config, space, 0)) * config.seeds
    # The last shard may be short, and is left out.
    whole = space.count * config.seeds // size
    shards = np.random.default_rng(config.seed).permutation(whole)[: -(-trainings // size)]
    correct = np.empty((0, size, len(EPOCHS)), dtype=np.int32)
    if store.exists():
        correct = np.load(store)
    steps_per_epoch = len(task.x) // RECIPE.batch_size
    for shard in shards[len(correct) :].tolist():
        job = ShardJob(config, phase, shard, None)
        ensemble = initial_ensemble(task, job, shard_ranks(config, space, shard), [0])
        counts: list[NDArray[np.int32]] = []
        start = 0
        for epochs in EPOCHS:
            stop = epochs * steps_per_epoch
            result = fit(ensemble, task.x, task.y, RECIPE, seed=0, start=start, stop=stop)
            counts.append((result.accuracy * len(task.x)).round().int().numpy())
            ensemble, start = result.ensemble, stop
        correct = np.concatenate([correct, np.stack(counts, axis=1)[None]])
        np.save(store, correct)
        print(f"{len(correct) * size:,} of {len(shards) * size:,} trainings", flush=True)
    return correct


def kept(correct: NDArray[np.int32], halving: Halving) -> NDArray[np.bool_]:
    """Which trainings of a shard, `(trainings, epochs)`, halving lets run to their end."""
    members = torch.arange(len(correct))
    for epochs, share in halving:
        here = torch.from_numpy(correct[:, EPOCHS.index(epochs)])
        members = members[most_accurate(here[members], share)]
    result = np.zeros(len(correct), dtype=np.bool_)
    result[members.numpy()] = True
    return result


def cost(halving: Halving) -> float:
    """Epochs that a training takes on average."""
    total, running, last = 0.0, 1.0, 0
    for epochs, share in (*halving, (RECIPE.epochs, 1.0)):
        total += running * (epochs - last)
        running, last = running * share, epochs
    return total


def recall(found: int, all_: int) -> str:
    """A share with its 95 % Clopper-Pearson interval."""
    if not all_:
        return "none to find"
    interval = binomtest(found, all_).proportion_ci(0.95, method="exact")
    return f"{found:,} of {all_:,}: {found / all_:.1%} ({interval.low:.1%} to {interval.high:.1%})"


def counts(
    correct: NDArray[np.int32], reached: NDArray[np.bool_], best: NDArray[np.bool_], name: str
) -> list[dict[str, object]]:
    """What each halving keeps, a row each."""
    found: list[dict[str, object]] = []
    for halving in HALVINGS:
        stay = np.stack([kept(shard, halving) for shard in correct])
        found.append(
            {
                "run": name,
                "rungs": " ".join(f"{epochs} {share:g}" for epochs, share in halving),
                "epochs": f"{cost(halving):.2f}",
                "trainings": reached.size,
                "shard": reached.shape[1],
                "reached": int(reached.sum()),
                "reached_kept": int((stay & reached).sum()),
                "best": int(best.sum()),
                "best_kept": int((stay & best).sum()),
            }
        )
    return found


def ranks(
    correct: NDArray[np.int32], reached: NDArray[np.bool_], name: str
) -> list[dict[str, object]]:
    """Where the trainings that reach the target stand in their shard on the way, a row an epoch.

    A rank is the share of the shard that is more accurate, half of those that are level included.
    """
    found: list[dict[str, object]] = []
    for place, epochs in enumerate(EPOCHS):
        own: list[float] = []
        for shard, at_target in zip(correct[:, :, place], reached, strict=True):
            for value in shard[at_target]:
                above, level = int((shard > value).sum()), int((shard == value).sum())
                own.append((above + (level - 1) / 2) / len(shard))
        if own:
            middle, most = np.quantile(own, (0.5, 0.9))
            found.append(
                {
                    "run": name,
                    "epochs": epochs,
                    "trainings": len(own),
                    "median": f"{middle:.5f}",
                    "nine_of_ten": f"{most:.5f}",
                }
            )
    return found


def options() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, add_help=True)
    parser.add_argument("widths", type=at_least_one, nargs="+")
    parser.add_argument("--min-nonzeros", type=at_least_one)
    parser.add_argument("--max-nonzeros", type=at_least_one)
    parser.add_argument("--seeds", type=at_least_one, default=1)
    parser.add_argument("--shard-size", type=at_least_one, default=4096)
    parser.add_argument("--trainings", type=at_least_one, default=100_000)
    parser.add_argument("--target", type=float, default=0.95)
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--table", type=table_path)
    parser.add_argument("--ranks", type=Path)
    return parser.parse_args()


def main() -> None:
    """Trains or reads, and prints."""
    arguments = options()
    config = SearchConfig(
        target=arguments.target,
        widths=tuple(arguments.widths),
        recipes=(RECIPE,),
        seeds=arguments.seeds,
        min_nonzeros=arguments.min_nonzeros,
        max_nonzeros=arguments.max_nonzeros,
        symmetry="network",
        shard_size=arguments.shard_size,
    )
    correct = train(config, arguments.trainings, arguments.store)
    final = correct[:, :, -1]
    reached = final >= config.target * len(cubist_spiral()[0])
    best = np.zeros_like(reached)
    each = max(1, round(final.shape[1] / 1000))
    np.put_along_axis(best, np.argsort(-final, axis=1, kind="stable")[:, :each], True, axis=1)
    print(f"{final.size:,} trainings in shards of {final.shape[1]:,}, target {config.target:.4g}")
    rows, name = counts(correct, reached, best, arguments.store.stem), arguments.store.stem
    for row in rows:
        print(f"{row['rungs']}: {row['epochs']} epochs")
        print(f"  at the target    {recall(row['reached_kept'], row['reached'])}")
        print(f"  best per mille   {recall(row['best_kept'], row['best'])}")
    for path, new in ((arguments.table, rows), (arguments.ranks, ranks(correct, reached, name))):
        if name not in [row["run"] for row in read_rows(path)]:
            add_rows(path, new)


if __name__ == "__main__":
    main()
