"""The numbers in the sentences of the results' pages are those of the files in docs/results.

Tables are made from these files and have tests of their own. Here are sentences: each is written
anew from the files, and has to be on its page.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from statistics import median

import gap_width_tables
import paper_figures
import pytest
import tie_table
import torch

from prunelimits.experiments import summarise
from tests.experiments.kept_numbers import (
    RESULTS,
    at_size,
    check,
    limits,
    of,
    page,
    percent,
    rows,
    runs,
    trainings,
)


def of_the_searches() -> Iterator[str]:
    every = [f"every-widths-30{seed}" for seed in ("", "-seed-1", "-seed-2")]
    small = sum(trainings(name, 0, 28) for name in every)
    large = sum(trainings(name, 29, 30) for name in every)
    found = [sum(trainings(n, *sizes, "reached") for n in every) for sizes in ((0, 28), (29, 30))]
    assert found == [2, 3]
    yield (
        f"Of the {small:,} trainings of at most 28 two reach 95 %, of the {large:,} at 29 and 30 "
        "three"
    )
    yield f"All {trainings(every[0], 0, 30):,} four-layer networks of any widths"
    yield f"the {trainings(every[0], 0, 28):,} with at most 28 among them"

    subsets = ("appendix-d", "published-subset")
    tried = sum(trainings(name, 0, 45) for name in subsets)
    best = max(
        float(r["accuracy"]) for name in subsets for r in rows(name) if int(r["nonzeros"]) <= 45
    )
    assert not sum(trainings(name, 0, 45, "reached") for name in subsets)
    expected = limits(0, tried)[1] * tried / 2
    yield f"none with so few among {tried:,} trainings of at most 45, both together"
    yield f"the best of these has {percent(best)}: a search of this size may have up to"
    yield f"up to {expected:.1f} on average (95 % limit)"
    yield f"with a chance of at most {1 - math.exp(-expected):.0%}".replace("%", " %")

    reached = trainings("below-45", 44, 44, "reached")
    ended = trainings("below-45", 0, 44) - trainings("below-45", 0, 44, "stopped")
    one_in = trainings("below-45", 44, 44) * 0.37 / reached
    short = math.ceil(0.995 * 49_982) - round(float(at_size("below-45", 41)["accuracy"]) * 49_982)
    assert reached == 12
    yield f"All {trainings('below-45', 0, 44):,} networks of widths (2, 7, 3, 3, 1)"
    yield f"let {ended:,} of them run to the end"
    yield f"{short} samples of 49,982 short of the target"
    yield f"if halving kept 37 % of those that would, about one in {round(one_in, -3):,.0f} does"

    wide = [at_size("phase-one", size) for size in (37, 54)]
    assert [row["reached"] for row in wide] == ["0", "1"]  # at 99.5 %
    yield f"of the {wide[1]['trainings']} trainings of 54 parameters one reached 99.5 %"
    yield f"the best of our {wide[0]['trainings']} has {percent(float(wide[0]['accuracy']))}"


def of_the_gap() -> Iterator[str]:
    ends = {
        method: sum(r.accuracy < 0.55 for r in own) / len(own)
        for method in gap_width_tables.METHODS
        for own in [of("gap-random", method, 16)]
    }
    assert 0.28 < ends.pop("GMP") < 0.38
    assert min(ends.values()) >= 0.5
    yield "A third of GMP's runs and at least half of every other method's end below 55 %"

    lth = runs("gap-lth")
    there = sorted(r.nonzeros for r in lth if r.accuracy >= 0.95)
    (smallest,) = (r for r in lth if r.accuracy >= 0.95 and r.nonzeros == there[0])
    near = max((r for r in lth if r.nonzeros == 41), key=lambda r: r.accuracy)
    assert len(there) == 3
    yield (
        f"three of the {len(lth)} runs reach 95 %, the smallest with {smallest.nonzeros} nonzeros "
        f"({percent(smallest.accuracy)}), and one has {percent(near.accuracy)} with 41"
    )

    more = [*runs("gap-iterative-snip"), *of("gap-random", "IterSNIP", 16)]
    iterative = list({r.run: r for r in more}.values())
    starts = {r.run[3:] for r in iterative}
    good = {r.run[3:] for r in iterative if r.accuracy >= 0.95}
    near = max((r for r in iterative if r.nonzeros <= 78), key=lambda r: r.accuracy)
    chances = [gap_width_tables.reaching(iterative, t, 10**6) for t in (0.95, 0.995)]
    yield f"Of {len(starts)} starts {len(good)} reach 95 % at one budget or another"
    missed = (1 - len(good) / len(starts)) ** 9
    yield f"so nine starts miss it with a chance of {missed:.0%}".replace("%", " %")
    yield (
        (f"would reach 95 % with a chance of about {chances[0]} and 99.5 % with {chances[1]}")
        .replace("8%", "8 %")
        .replace("9%", "9 %")
    )
    yield (
        f"Of the {len(iterative):,} runs that the table counts the nearest to the paper's has "
        f"{near.nonzeros} nonzeros at {percent(near.accuracy)}"
    )

    def smallest_of_studies(method: str) -> list[int]:
        own = [r for r in of("gap-random", method, 16) if r.accuracy >= 0.95]
        studies = {r.run.repeat for r in own}
        return [min(r.nonzeros for r in own if r.run.repeat == n) for n in studies]

    spread = max(
        max(found) - min(found)
        for method in gap_width_tables.METHODS
        if (found := smallest_of_studies(method))
    )
    yield f"sizes at 95 % differ by up to {spread} nonzeros from study to study"

    once = [r for r in runs("gap-random") if r.run.repeat == 0]
    for target, said in ((0.95, "{0} from width {1}"), (0.995, "{0} from widths {1} and {2}")):
        size = min(r.nonzeros for r in once if r.accuracy >= target)
        near = {r.run.width for r in once if r.accuracy >= target and r.nonzeros == size}
        yield said.format(size, *sorted(near))


def of_the_fixed_starts() -> Iterator[str]:
    gmp = [r for r in of("gap-fixed-95", "GMP", 16) if r.accuracy >= 0.95 and r.nonzeros == 28]
    yield f"GMP 95 % with 28 from width 16, of which {gmp[0].effective} lie on a path"
    at_26 = [r for r in of("gap-fixed-995", "GMP", 6) if r.run.keep == 26]
    (lucky,) = (r for r in at_26 if r.accuracy >= 0.995)
    yield (
        f"of GMP's {len(at_26)} runs with 26 weights from width 6 one reaches 99.5 %, that with "
        f"{lucky.nonzeros} nonzeros"
    )
    (best,) = (r for r in rows("search-at-995") if int(r["reached"]))
    total = trainings("search-at-995", 0, 99)
    yield (
        f"finds {best['nonzeros']} nonzeros at {percent(float(best['accuracy']))} "
        f"({total:,} trainings"
    )
    most = max(rows("search-at-95"), key=lambda row: float(row["accuracy"]))
    yield f"has {most['nonzeros']} nonzeros and {percent(float(most['accuracy']))} ("

    small, all_of_it = (trainings("bench-995-masks", 0, most) for most in (38, 39))
    yield f"None of {small:,} of at most 38 leaves room for up to {limits(0, small)[1] * small:.1f}"
    yield f"one of {all_of_it:,} for up to {limits(1, all_of_it)[1] * all_of_it:.1f}"
    best_38 = at_size("bench-995-masks", 38)
    yield f"Among the same {int(best_38['networks']):,} masks of 38 nonzeros"
    yield f"our best has {percent(float(best_38['accuracy']))}"
    gmp = of("gap-bench-995", "GMP", 6)
    few = sum(r.nonzeros <= 39 for r in gmp)
    low, high = (100 * limit for limit in limits(1, few))
    yield f"one of GMP's {len(gmp)} runs ends with 39 nonzeros"
    yield f"one of GMP's {few} runs of at most 39 nonzeros"
    yield f"({100 / few:.1f} %, 95 % interval {low:.3f} % to {high:.1f} %, beside"
    low, high = (100 * limit for limit in limits(1, all_of_it))
    yield f"beside {100 / all_of_it:.3f} %, {low:.5f} % to {high:.3f} %"
    for method, number in (("LTH", 1), ("GMP", 2)):
        own = of("gap-bench-95", method, 3)
        hits = sum(r.accuracy >= 0.95 and r.nonzeros <= 26 for r in own)
        assert (hits, len(own)) == (number, 540)
    yield "539 of LTH's 540 runs and 538 of GMP's are larger than the search's network or miss 95 %"


def of_trimming() -> Iterator[str]:
    left: dict[str, int] = {}
    for method in gap_width_tables.METHODS:
        best = [summary.best for summary in summarise(of("gap-random", method, 16))]
        left[method] = round(100 * sum(r.trimmed for r in best) / sum(r.nonzeros for r in best))
    gone = 100 - left.pop("GMP")
    yield f"removes {gone} % of GMP's nonzeros"
    yield f"and {100 - max(left.values())} to {100 - min(left.values())} % of the others'"
    for target, said in (
        (0.95, "at 95 % the pruners' best of 45 is left with {0} nonzeros ({1})"),
        (0.995, "at 99.5 % {1}'s is left with {0}"),
    ):
        found = [r for r in runs("gap-random") if r.run.width == 16 and r.accuracy >= target]
        smallest = min(found, key=lambda r: r.trimmed)
        yield said.format(smallest.trimmed, smallest.run.method)


def of_the_figures() -> Iterator[str]:
    values = [float(v) for r in rows("figure-5") for name, v in r.items() if name != "nonzeros"]
    half = sum(abs(value - 0.5) < 5e-4 for value in values) / len(values)
    high = sum(value >= 0.95 for value in values)
    yield (
        f"Of the trainings from BENCH-995 {half:.0%}".replace("%", " %")
        + f" end at 50 %, and {high} of {len(values):,} reach 95 %"
    )
    lines = paper_figures.networks().splitlines()[2:]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    sizes = [int(line[3].split("(")[0].strip("[ ")) for line in cells]
    stray, small = ([int(line[place]) for line in cells] for place in (4, 6))
    assert (len(cells), sum(n == 0 for n in stray), sum(n > 0 for n in small)) == (11, 1, 6)
    most = max(n / size for n, size in zip(stray, sizes, strict=True))
    yield f"on no path in all but one of the eleven, up to {most:.0%}".replace("%", " %")
    yield "small weights in six"
    anew = {width: [min(r.nonzeros for r in runs(name) if r.accuracy >= 0.95
                        and r.run.width == width and not r.run.repeat)
                    for name in ("gap-anew", "gap-random")] for width in (7, 8)}  # fmt: skip
    yield (
        f"at 95 % has {anew[7][0]} and {anew[8][0]} nonzeros instead of {anew[7][1]} and "
        f"{anew[8][1]}"
    )
    signs = [float(r["alike"]) for r in rows("sign-pattern")
             if r["start"] == "its signs, magnitudes drawn anew" and r["alike"]]  # fmt: skip
    yield f"masks are somewhat alike ({min(signs):.2f} to {max(signs):.2f})"
    orders = [r for r in rows("sign-pattern") if r["start"] == "the start itself, other batches"]
    sizes = [r["smallest"] for r in orders]
    assert sorted(sizes) == ["", "25", *["26"] * 4]
    yield f"leaves a likeness of {median(float(r['alike']) for r in orders):.2f}"


def of_the_bound() -> Iterator[str]:
    yield "38 or 40 points evenly spread over both arms"
    yield f"at most {49_982 - math.ceil(0.95 * 49_982):,} errors"
    yield f"with 99.5 % at most {49_982 - math.ceil(0.995 * 49_982):,}"


@pytest.mark.parametrize(
    ("name", "sentences"),
    [
        ("results.md", of_the_searches),
        pytest.param("gap.md", of_the_gap, marks=pytest.mark.slow),
        pytest.param("gap.md", of_the_fixed_starts, marks=pytest.mark.slow),
        pytest.param("gap.md", of_trimming, marks=pytest.mark.slow),
        ("paper-figures.md", of_the_figures),
        ("lower-bound.md", of_the_bound),
    ],
)
def test_a_sentence_says_what_the_files_do(name: str, sentences: Callable[[], Iterator[str]]):
    check(name, sentences())


def test_no_logit_of_the_pruned_networks_from_the_paper_s_starts_is_zero():
    for path in (RESULTS / "networks").glob("gap-bench-*.pt"):
        content = torch.load(path, weights_only=True)["state_dict"]
        state = {key: value.double() for key, value in content.items()}
        x, _ = tie_table.cubist_spiral(dtype=torch.float64)
        assert not (tie_table.logits(state, x) == 0).any()


def test_the_paper_s_numbers_of_runs_are_sums_of_their_parts():
    """As gap.md divides them: pruning, phase one and phase two, from each of the two starts."""
    for start, masks, most in (("995", "bench-995", 83_958), ("95", "bench-95", 12_774)):
        parts = (
            len(runs(f"gap-bench-{start}")),
            trainings(f"{masks}-widths", 0, 10**4),
            trainings(f"{masks}-masks", 0, 10**4),
        )
        assert sum(parts) == most
    assert "83,958 and 12,774" in page("gap.md")
