"""What a search has found, read from its store."""

from __future__ import annotations

import dataclasses
import json
from typing import Any, get_args

import numpy as np

from prunelimits.arguments import checked_choice, checked_instance, checked_integer, checked_number
from prunelimits.masks import count
from prunelimits.resuming import StoreError
from prunelimits.saving import from_bytes
from prunelimits.search.config import SearchConfig
from prunelimits.search.found import FoundNetwork, PhaseSummary, SearchResult, SizeSummary
from prunelimits.search.ranked_networks import AbstractSpace
from prunelimits.search.shard import (
    DIVERGED,
    MILLIONTHS,
    STOPPED,
    Candidate,
    initial_seeds,
    shard_ranks,
)
from prunelimits.search.spaces import Phase
from prunelimits.search.store import Store
from prunelimits.training import Loss
from prunelimits.training.data import default_loss


def read_result(store: Store, *, target: float | None = None) -> SearchResult:
    """The state of the search that a store belongs to.

    Args:
        store: Open, for reading or writing.
        target: Judge the same trainings by another target accuracy.

    Raises:
        TypeError: If `store` is no `Store`, or `target` no number.
        StoreError: If the store cannot be read.
        ValueError: If no search has begun in it, or the target is not in (0, 1].
    """
    checked_instance("store", store, Store, "a Store")
    if target is not None:
        checked_number("target", target, above=0, most=1)
    description = store.description()
    if not description:
        raise ValueError(f"{store.path} holds no search yet")
    try:
        return _read(store, description, target)
    # What edited or damaged content can raise: no JSON, other fields, indices out of range.
    except (
        ValueError, TypeError, KeyError, IndexError, OverflowError, AttributeError, RecursionError,
    ) as error:  # fmt: skip
        raise StoreError(
            f"{store.path} is damaged: its content does not fit together ({error}); "
            "start a new store"
        ) from error


def _read(store: Store, description: dict[str, str], target: float | None) -> SearchResult:
    config = SearchConfig.from_json(description["search"])
    if config.to_json() != description["search"] or set(description) != {"search", "data"}:
        raise ValueError("its description is not that of a search")
    data: dict[str, Any] = json.loads(description["data"])
    judged = config if target is None else dataclasses.replace(config, target=target)
    samples = checked_integer("samples", data["samples"], 1)
    loss: Loss = data.get("loss", default_loss(data["d_out"]))
    checked_choice("loss", loss, get_args(Loss))
    most = MILLIONTHS if loss == "mse" else samples
    phases: list[PhaseSummary] = []
    best: dict[int, FoundNetwork] = {}
    for phase in store.phases():
        space = phase.space(data["d_in"], data["d_out"])
        phases.append(_summarise(store, judged, space, phase, most))
        _check_best(phases[-1], store.best(phase), most)
        for candidate in store.best(phase):
            found = _found(store, config, space, phase, candidate, data, most)
            old = best.get(found.nonzeros)
            if old is None or found.accuracy > old.accuracy:
                best[found.nonzeros] = found
    seconds, made_by = store.effort()
    return SearchResult(
        config=judged,
        samples=samples,
        loss=loss,
        data=data["sha256"],
        initial=data["initial"],
        phases=tuple(phases),
        best=tuple(best[size] for size in sorted(best)),
        seconds=seconds,
        made_by=tuple(made_by),
    )


def _found(
    store: Store,
    config: SearchConfig,
    space: AbstractSpace,
    phase: Phase,
    candidate: Candidate,
    data: dict[str, Any],
    most: int,
) -> FoundNetwork:
    model, masks = from_bytes(candidate.network, f"a network in {store.path}")
    if not masks or count(masks) != candidate.nonzeros:
        raise ValueError(f"the network of {candidate.nonzeros} nonzeros has another number of them")
    checked_integer("rank", candidate.rank, 0, space.count - 1)
    checked_integer("recipe", candidate.recipe, 0, len(config.recipes) - 1)
    checked_integer("repeat", candidate.repeat, 0, config.seeds - 1)
    seed = None
    if data["initial"] is None:
        keys = space.keys([candidate.rank])
        seed = int(initial_seeds(config, phase, keys, candidate.recipe, candidate.repeat)[0])
    return FoundNetwork(
        candidate.nonzeros,
        candidate.correct / most,
        phase,
        candidate.rank,
        config.recipes[candidate.recipe],
        candidate.repeat,
        seed,
        model,
        masks,
    )


def _check_best(summary: PhaseSummary, best: list[Candidate], most: int) -> None:
    """Raises if the best networks of a phase are not those of its trainings."""
    accuracies = {candidate.nonzeros: candidate.correct / most for candidate in best}
    for size in summary.sizes:
        trained = size.trainings > size.diverged + size.stopped
        if trained != (size.nonzeros in accuracies):
            raise ValueError(f"the best network of {size.nonzeros} nonzeros is missing or too many")
        if trained and accuracies.pop(size.nonzeros) != size.accuracy:
            raise ValueError(f"the best network of {size.nonzeros} nonzeros is another")
    if accuracies:
        raise ValueError(f"no network of {min(accuracies)} nonzeros was trained")


def _summarise(
    store: Store,
    config: SearchConfig,
    space: AbstractSpace,
    phase: Phase,
    most: int,
) -> PhaseSummary:
    each = len(config.recipes) * config.seeds
    largest = int(space.nonzeros([space.count - 1])) if space.count else 0
    networks, reached, diverged, stopped = (np.zeros(largest + 1, dtype=np.int64) for _ in range(4))
    most_correct = np.zeros(largest + 1, dtype=np.int64)
    for shard, numbers in store.shards(phase):
        ranks = shard_ranks(config, space, shard)
        if len(numbers) != len(ranks) * each or not len(ranks):
            raise ValueError(f"shard {shard} holds {len(numbers)} trainings")
        correct = numbers.reshape(len(ranks), each)
        sizes = space.nonzeros(ranks).numpy()
        np.add.at(networks, sizes, 1)
        np.add.at(reached, sizes, (correct / most >= config.target).sum(1))
        np.add.at(diverged, sizes, (correct == DIVERGED).sum(1))
        np.add.at(stopped, sizes, (correct <= STOPPED).sum(1))
        np.maximum.at(most_correct, sizes, correct.max(1))
    return PhaseSummary(
        phase=phase,
        networks=space.count,
        trainings=space.count * each,
        trained=int(networks.sum()) * each,
        sizes=tuple(
            SizeSummary(
                nonzeros=int(size),
                networks=int(networks[size]),
                trainings=int(networks[size]) * each,
                reached=int(reached[size]),
                diverged=int(diverged[size]),
                stopped=int(stopped[size]),
                accuracy=int(most_correct[size]) / most,
            )
            for size in np.flatnonzero(networks)
        ),
    )
