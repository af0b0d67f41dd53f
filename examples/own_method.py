"""A pruning method of one's own in the figure of the gap, in a minute instead of hours.

Run: python examples/own_method.py
The results of the nine methods at width 16 come with the library. Only one's own method is trained,
into a copy of that table, and drawn beside them. Writes my_gap.csv and my_gap.png.

The same on the command line, where this file is in the current folder:

    prunelimits gap --kept --table my_gap.csv --methods GMP LTH SNIP own_method:Spread --pictures .
"""

import argparse
from dataclasses import dataclass

import torch

import prunelimits as pl
from prunelimits.experiments import (
    PAPER_BUDGETS,
    PAPER_METHODS,
    Study,
    begin_with_kept,
    run_study,
    smallest,
)


@dataclass(frozen=True)
class Spread(pl.pruners.AtInit):
    """Magnitude, but a unit with few inputs left is spared: the size beside its row's mean size.

    Attributes:
        power: How much the row's mean counts; 0 is magnitude pruning.
    """

    power: float = 1.0

    def scores(
        self,
        problem: pl.types.Problem,
        params: pl.types.Params,
        masks: pl.types.Masks,
        noise: pl.types.Params | None = None,
    ) -> pl.types.Scores:
        """A score of each weight; all tensors, no `if` on their values: it runs under vmap."""
        scores = {}
        for name, mask in masks.items():
            size = torch.where(mask, params[name].abs(), 0.0)
            scores[name] = size / size.mean(1, keepdim=True).clamp(min=1e-12) ** self.power
        return scores


def main() -> None:
    """Trains the method, draws the gap, and prints the smallest networks."""
    from prunelimits.viz import gap_figure, save_figure

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--budgets", type=int, nargs="+", default=list(PAPER_BUDGETS))
    options = parser.parse_args()

    study = Study(
        methods=(*PAPER_METHODS, Spread()),
        widths=(16,),
        budgets=tuple(options.budgets),
    )
    begin_with_kept("my_gap.csv")
    x, y = pl.datasets.cubist_spiral()

    def tell(done: int, total: int) -> None:
        print(f"{done:,} of {total:,} runs are there")

    results = run_study(study, x, y, table="my_gap.csv", on_progress=tell)
    print("smallest network from width 16, by nonzeros")
    print("method       at 95 %   at 99.5 %")
    for name in study.names:
        own = [result for result in results if result.run.method == name]
        reached = [smallest(own, target) for target in (0.95, 0.995)]
        sizes = ["-" if found is None else str(found.nonzeros) for found in reached]
        print(f"{name:10} {sizes[0]:>9} {sizes[1]:>11}")
    save_figure(gap_figure({"width 16": results}), "my_gap.png")
    print("drawn in my_gap.png")


if __name__ == "__main__":
    main()
