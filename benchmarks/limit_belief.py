"""When the published prediction of a pruning limit can be believed: a condition, and its test.

Measures on each network of `belief_networks.py` what `prunelimits.limits.belief` judges by, without
pruning, and then what pruning does: docs/results/limits-belief.csv, a row a network, taken up where
it was left. The condition was chosen on those "found on"; the others were not looked at before.

Run it by `python benchmarks/limit_belief.py`, with `--data wine spiral` for these alone; it needs
scikit-learn and mlxtend, and takes an hour. `python benchmarks/limit_verdict_tables.py` puts its
tables into docs/limit-verdict.md.
"""

from __future__ import annotations

import argparse
import time
import warnings

from belief_networks import Setting, prepared, settings
from kept_rows import add_rows, read_rows
from limit_networks import RESULTS
from limit_study import larger, shortened

from prunelimits.limits import (
    Hessian,
    default_names,
    exact_spectrum,
    lanczos_spectrum,
    loss_spread,
    magnitude_sweep,
    pruning_limit,
    published_prediction,
    published_removed,
    smeared_spectrum,
)
from prunelimits.problem import problem_of

TABLE = RESULTS / "limits-belief.csv"
# Lanczos steps by which the published prediction is made too: it must not depend on them.
STEPS = (60, 80, 128, 200)
KEY = ("group", "data", "model", "penalty", "seed")
COLUMNS = (
    *(*KEY, "weights", "epsilon", "gradient", "curvature", "linear", "quadratic"),
    *("predicted", "least", "most", "constructive", "published", "smeared"),
    *("within", "above_dense", "one_point", "rise", "accuracy", "seconds"),
)


def measured(setting: Setting) -> dict[str, object]:
    """What the condition is made of, all predictions, and what pruning does."""
    began = time.perf_counter()
    own = prepared(setting)
    epsilon = loss_spread(*problem_of(own.model, own.loss, own.train))
    train, test = larger(own.train), larger(own.test)
    problem, params = problem_of(own.model, own.loss, train)
    hessian = Hessian(problem, params, default_names(own.model), masks=own.masks)
    small = hessian.size <= 1000
    # As `prunelimits limit` has it.
    spectrum = exact_spectrum(hessian) if small else lanczos_spectrum(hessian, probes=4, steps=100)
    with warnings.catch_warnings():
        # With a penalty the loss alone is at no minimum.
        warnings.simplefilter("ignore")
        limit = pruning_limit(
            own.model, own.loss, train, epsilon=epsilon, spectrum=spectrum, masks=own.masks
        )
    others = [] if small else [lanczos_spectrum(hessian, probes=1, steps=n) for n in STEPS]
    answers = [published_prediction(o, limit.magnitudes, epsilon).removed for o in others]
    answers = answers or [limit.predicted.removed]
    steps = sorted({*(step / 200 for step in range(200)), limit.predicted.removed})
    sweep = magnitude_sweep(
        problem, params, limit.prunable, removed=steps, test=test, masks=own.masks
    )
    assert sweep.test is not None
    place = int((sweep.removed <= limit.predicted.removed + 1e-9).sum()) - 1
    return {
        "weights": limit.weights,
        "epsilon": epsilon,
        "gradient": limit.gradient_norm,
        "curvature": float(spectrum.nodes.abs().max()),
        "linear": limit.linear_change / epsilon,
        "quadratic": limit.quadratic_change / epsilon,
        "predicted": limit.predicted.removed,
        "least": min(answers),
        "most": max(answers),
        "constructive": limit.constructive.removed,
        "published": limit.published_removed,
        "smeared": published_removed(smeared_spectrum(spectrum), limit.magnitudes, epsilon),
        "within": sweep.removed_within(epsilon),
        "above_dense": sweep.removed_above_dense(),
        "one_point": sweep.removed_before_loss_of(0.01),
        "rise": float(sweep.train.loss[place] - sweep.train.loss[0]) / epsilon,
        "accuracy": float(sweep.test.accuracy[0]),
        "seconds": time.perf_counter() - began,
    }


def main() -> None:
    """What is missing from the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    names = sorted({setting.data for setting in settings()})
    parser.add_argument("--data", nargs="+", default=names, choices=names)
    arguments = parser.parse_args()
    done = {tuple(row[c] for c in KEY) for row in read_rows(TABLE)}
    for s in settings():
        key = (s.group, s.data, s.model, f"{s.penalty} {s.strength:g}", str(s.seed))
        if key in done or s.data not in arguments.data:
            continue
        row = dict(zip(KEY, key, strict=True)) | measured(s)
        add_rows(TABLE, [{c: shortened(row[c]) for c in COLUMNS}])
        print(*key, f"{row['seconds']:.0f} s", flush=True)


if __name__ == "__main__":
    main()
