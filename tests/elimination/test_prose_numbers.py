"""The numbers in the sentences of closing-the-gap.md are those of the files in docs/results."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

import elimination_tables
import regrowth_choice_tables
import tie_table
from real_rows import Row as RealRow
from real_rows import read_rows

from prunelimits.experiments import median_interval
from tests.experiments.kept_numbers import RESULTS, Row, check, limits, rows


def of_other_ways_to_regrow() -> Iterator[str]:
    every = read_rows(RESULTS / "regrowth-choices.csv")
    splits = sorted({row.split for row in every})
    assert splits == regrowth_choice_tables.whole_splits(every) == [2, 3, 4, 5]
    by_idea: dict[str, dict[tuple[str, int, int], RealRow]] = {}
    for row in every:
        by_idea.setdefault(row.method, {})[row.task, row.split, row.keep] = row
    as_it_is = by_idea["as it is"]

    def more(name: str) -> list[float]:
        return [100 * (row.test[0] - as_it_is[place].test[0]) / row.test_rows
                for place, row in by_idea[name].items()]  # fmt: skip

    def told(name: str) -> str:
        between = median_interval(more(name))
        assert between is not None
        low, high = (round(value, 1) + 0.0 for value in between)
        return f"{abs(round(median(more(name)), 1)) + 0.0:.1f} points ({low:.1f} to {high:.1f})"

    yield f"Without growth it is {told('no growth')} worse"
    yield f"with a beam of 32 instead still {told('no growth, beam of 32, four of a start')}"
    yield f"Networks that are taught are {told('taught by dense networks')} worse"
    for name in ("starts trained five times as long", "starts not pruned", "starts cut by OBC",
                 "second-order candidates", "compared by the rows to train on"):  # fmt: skip
        between = median_interval(more(name))
        assert between is not None
        assert between[0] < 0 < between[1]
    yield "five others cannot be told from it"
    yield f"by OBC have the highest mean, {told('starts cut by OBC')} more"


def of_closing_the_gap() -> Iterator[str]:
    def seeds(study: str) -> list[Row]:
        own = (r for r in rows("elimination-runs") if r["study"] == f"0.95 --widths {study}")
        return sorted(own, key=lambda r: int(r["seed"]))

    usual = seeds("2 16 16 16 1")
    plain = seeds("2 16 16 16 1 --change evolved=0")[: len(usual)]
    seconds = [int(row["seconds"]) for row in usual]
    yield f"took {min(seconds)} to {max(seconds)} seconds of one core each"
    texts = [" ".join(r[c] for r in own)
             for own in (plain, usual) for c in ("nonzeros_95", "nonzeros_995")]  # fmt: skip
    assert {row["nonzeros_95"] for row in usual} == {"18"}
    yield f"in all instead of {texts[0]}, and {texts[3]} at 99.5 % instead of {texts[1]}"
    gains = [int(a["nonzeros_995"]) - int(b["nonzeros_995"])
             for a, b in zip(plain, usual, strict=True)]  # fmt: skip
    better = [gain for gain in gains if gain > 0]
    assert min(gains) == 0
    assert len(better) == 4
    yield f"four of five are better at 99.5 %, by {min(better)} to {max(better)}"
    one, without = usual[1], plain[1]
    yield f"Seed 1's {int(one['passes']):,} passes are {int(without['passes']):,} in trainings"
    yield f"{int(one['passes']) - int(without['passes']):,} in evolution"
    yield f"they are {float(one['work']):.1e}".replace("e+", "e")

    waists = [row for study in elimination_tables.UNEVOLVED[2:]
              for row in seeds(study.removeprefix("0.95 --widths "))]  # fmt: skip
    ends = [int(row["nonzeros_95"]) for row in waists]
    assert (len(ends), ends.count(18), ends.count(19)) == (10, 9, 1)
    yield (
        "Without evolution six such runs, and four from (2, 5, 1, 4, 1), end at 18 nine times and "
        "at 19 once"
    )

    for target, said, counts in (
        (0.95, "ten of sixteen", (10, 16)),
        (0.995, "five of thirteen", (5, 13)),
    ):
        missed = untied = 0
        for path in (RESULTS / "eliminated").glob(f"{target}-*.pt"):
            ties, _, _, margin, _ = tie_table.measured(path)
            untied += ties == "none"
            missed += ties == "none" and float(margin.rstrip("%")) < 100 * target
        assert (missed, untied) == counts
        yield f"{said} miss {100 * target:g} %"

    free = rows("exhausted-free-biases")
    best = max(float(row["evolved"]) for row in free)
    yield f"of the {len(free):,} that are not superfluous none gets past {100 * best:.2f} %"

    yield from of_other_ways_to_regrow()

    levels = rows("exhausted-by-levels")
    first = {(r["widths"], r["rank"]) for r in levels}
    yield f"There are {len(first):,} of at most 25 nonzeros"
    past = [r for r in rows("exhausted-by-levels-again-995") if r["nonzeros"] == "26"]
    hits = sum(max(float(r["trained"]), float(r["evolved"])) >= 0.97 for r in past)
    high = 1 - limits(hits, len(past))[0]
    yield (
        (
            f"which gets past 97 % in {hits} of {len(past)}, miss it with a chance of "
            f"{(1 - hits / len(past)) ** 3:.0%} (at most {high**3:.0%}, the third power"
        )
        .replace("%,", " %,")
        .replace("7%", "7 %")
    )


def test_what_the_page_of_elimination_says():
    check("closing-the-gap.md", of_closing_the_gap())
