"""The numbers in the sentences about real tasks, depth and planted truths are those of the files.

As in test_prose_numbers, each is written anew from docs/results, and has to be on its page.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from statistics import median

import pytest
import real_clock
import real_limits
from real_choices import FITTING, NINE, best_of, by_place, chosen_at, unit_cost
from real_rows import read_rows
from real_tables import EARLIER, OURS, RESULTS, TUNED, Places, differences
from real_tasks import TASKS
from sparsest_known import read_list

from prunelimits.experiments import median_interval
from tests.experiments.kept_numbers import page, rows

BUDGETS = {task.name: sorted(task.budgets) for task in TASKS}
RANKS = range(4)


@cache
def places() -> Places:
    return by_place(read_rows(RESULTS))


def above(
    methods: Sequence[str], level: float, beside: Sequence[str] = NINE, tasks: str = "all"
) -> list[tuple[float, float, float]]:
    """Median and interval, in points, at the fewest weights and at the others."""
    some = {
        place: there for place, there in places().items() if tasks == "all" or place[0] not in TUNED
    }
    found = differences(some, methods, level, beside)
    result: list[tuple[float, float, float]] = []
    for rank in RANKS:
        values = [value for task in found.values() for value in task[rank]]
        between = median_interval(values)
        assert between is not None
        result.append((100 * median(values), 100 * between[0], 100 * between[1]))
    return result


def spans(triples: Sequence[tuple[float, float, float]]) -> list[str]:
    return [f"{m:.1f} ({low:.1f} to {high:.1f})" for m, low, high in triples]


def costs(method: str, ranks: Sequence[int] = RANKS, times: int | None = None) -> list[float]:
    """In runs of LTH, one for each place."""
    return [
        row.cost / (unit_cost(there) or 1.0)
        for (task, _, keep), there in places().items()
        if BUDGETS[task].index(keep) in ranks
        for row in there.get(method, [])
        if times in (None, row.times)
    ]


def of_the_comparison() -> Iterator[str]:
    most, second, third, last = spans(above((FITTING,), 32))
    first, low, high = above((FITTING,), 32)[0]
    assert f"{first:.1f}" == most.split()[0]
    yield (
        f"by {first:.1f} points at the fewest weights (median over tasks and splits; 95 % interval "
        f"{low:.1f} to {high:.1f}), {second.replace(' (', ' at twice as many (')}, "
        f"{third.replace(' (', ' at four times (')} and {last.replace(' (', ' at eight times (')}"
    )
    a, b, c, d = spans(above((FITTING,), 32, tasks="untuned"))
    yield f"{a}, {b}, {c} and {d.replace(' (', ' points (')}"
    ahead = [m for m, *_ in above((FITTING,), 32, EARLIER)]
    yield "regrowth is ahead by {:.1f}, {:.1f}, {:.1f} and {:.1f} points".format(*ahead)
    one, two, *_ = spans(above(OURS["GMP, done earlier"], 1))
    one = one.replace(" (", " points (")
    yield f"above the best of the nine by {one} at the fewest weights, by {two} at twice as many"
    small = above(OURS["Elimination of 8"], 32)[0]
    yield f"it is behind the best of the nine by {-small[0]:.1f} points at the fewest weights"
    yield f"({small[1]:.1f} to {small[2]:.1f})"


def of_the_costs() -> Iterator[str]:
    spent = costs("Elimination of 8")
    yield f"costs as much as {min(spent):.0f} to {max(spent):.0f} runs of LTH"
    sparse = [c for name in NINE if name not in ("LTH", "GMP") for c in costs(name)]
    yield f"whose runs cost {min(sparse):.3f} to {max(sparse):.2f} times what one of LTH does"
    missing: Counter[tuple[str, int]] = Counter()
    for (task, _, keep), there in places().items():
        missing[task, BUDGETS[task].index(keep)] += "Regrowth" not in chosen_at(there, 32)
    assert sorted(missing.values())[-8:] == [2, *[10] * 7]
    assert missing["Vowel", 1] == 2
    clock = [cell.strip() for cell in real_clock.clock(places()).splitlines()[-1].split("|")]
    yield f"takes {clock[2]} to {clock[5]} times as long as thirty-two runs of LTH"
    yield "At seven of the thirty-two places (a task and a budget), and on two splits of an eighth"


def of_the_criterion() -> Iterator[str]:
    """How often the highest, and how often for certain, on the six tasks where it is everywhere."""
    ahead = certain = 0
    for task in set(BUDGETS) - {"PimaIndiansDiabetes", "BreastCancer"}:
        for keep in BUDGETS[task]:
            here = [
                chosen_at(there, 32)
                for (name, _, k), there in places().items()
                if (name, k) == (task, keep)
            ]
            here = [chosen for chosen in here if FITTING in chosen]
            if not here:
                continue
            best = max(NINE, key=lambda name: median(chosen[name].test for chosen in here))
            paired = [chosen[FITTING].test - chosen[best].test for chosen in here]
            mine = median(chosen[FITTING].test for chosen in here)
            ahead += mine > median(chosen[best].test for chosen in here)
            between = median_interval(paired)
            certain += between is not None and between[0] > 0
    assert (ahead, certain) == (24, 15)
    yield "it is ahead at all twenty-four places, at fifteen of them with an interval above zero"


def of_the_limits() -> Iterator[str]:
    found = real_limits.read_rows()
    every = {task: [r for r in found if r.task == task] for task in {r.task for r in found}}

    def middle(name: str) -> dict[str, float]:
        return {task: median(getattr(r, name) for r in mine) for task, mine in every.items()}

    kept, predicted, quadratic = middle("magnitude"), middle("predicted"), middle("quadratic")
    ratios = [kept[task] / predicted[task] for task in every]
    more = [kept[task] / quadratic[task] for task in every]
    yield f"leaves {min(ratios):.1f} to {max(ratios):.1f} times as many weights as the formula says"
    yield f"and {min(more):.2f} to {max(more):.1f} times what the quadratic model says"
    assert min(r.magnitude - r.predicted for r in found) > 0
    yield f"of {len(found)} networks none had fewer"
    known = {k.task: k.weights for k in read_list() if k.below == 1}
    factors = [predicted[task] / known[task] for task in every]
    yield f"the limit is {min(factors):.1f} to {max(factors):.0f} times the weights of the sparsest"
    point = middle("magnitude_1").values()
    yield f"without training, {min(point):.0f} to {max(point):,.0f} weights have to stay"
    yield f"at most {max(r.slope for r in found):.2f} for any of the {len(found)} networks"


def of_regrowth() -> Iterator[str]:
    few = costs("Regrowth", (0, 1))
    yield f"that of {min(few):.0f} to {max(few):.0f} runs of LTH to the same number of weights"
    whole = [m for m, *_ in above(("Regrowth",), 32, EARLIER)]
    yield "the whole run is ahead by {:.1f}, {:.1f}, {:.1f} and {:.1f} points".format(*whole)


def of_depth() -> Iterator[str]:
    reached = [r for r in rows("depth") if r["kind"] == "pruner" and float(r["accuracy"]) >= 0.95]
    yield f"None gets below {min(int(r['nonzeros']) for r in reached)} nonzeros at any depth"
    seeds = {d: {(r["method"], r["seed"]) for r in reached if r["depth"] == d} for d in "456"}
    counts = {d: Counter(method for method, _ in seeds[d]) for d in "456"}
    assert [m for m, n in counts["4"].items() if n > 2] == ["GMP"]
    assert [m for m, n in counts["5"].items() if n > 2] == ["GMP"]
    assert counts["6"] == {"GMP": 1}
    yield "With four and five layers GMP alone reaches 95 % with more than two seeds of five"


def of_planted() -> Iterator[str]:
    found = [r for r in rows("planted") if r["task"] == "ReLU"]
    five = [r for r in found if r["keep"] == "5"]
    right = Counter(r["method"] for r in five if float(r["result"]) < 0.01)
    assert {name for name in right if name not in ("hidden", "hidden, trained")} == {
        "IterSNIP", "Elimination", "Regrowth",
    }  # fmt: skip
    assert right["IterSNIP"] == 2
    yield "IterSNIP alone comes to a ReLU of five weights, from two of four starts"
    worst = max(float(r["result"]) for r in five if r["method"] == "Elimination")
    assert worst < 0.002
    assert not any(float(r["found"]) for r in five if r["method"] == "Elimination")
    yield "from each start to within 0.002"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "sentences"),
    [
        ("real-tasks.md", of_the_comparison),
        ("real-tasks.md", of_the_costs),
        ("real-tasks.md", of_the_criterion),
        ("closing-the-gap.md", of_regrowth),
    ],
)
def test_a_sentence_about_the_study_says_what_its_table_holds(name: str, sentences):
    for sentence in sentences():
        assert sentence in page(name), f"docs/{name}: {sentence}"


@pytest.mark.parametrize(
    ("name", "sentences"),
    [("real-tasks.md", of_the_limits), ("depth.md", of_depth), ("planted.md", of_planted)],
)
def test_a_sentence_says_what_the_files_hold(name: str, sentences):
    for sentence in sentences():
        assert sentence in page(name), f"docs/{name}: {sentence}"


def test_the_best_of_several_is_picked_by_the_rows_to_choose_by():
    """What the sentences' differences rest on."""
    there = next(iter(places().values()))
    chosen = chosen_at(there, 32)
    picked = best_of(chosen, NINE)
    assert picked is not None
    assert picked.choose == max(chosen[name].choose for name in NINE if name in chosen)
