"""What small networks reach from thousands of starts each, and how many were missed.

Of the tables that `exhaust_networks.py`, `exhaust_by_levels.py`, `small_networks.py` and
`free_bias_networks.py` write.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise, product
from math import prod
from pathlib import Path

from kept_rows import read_rows
from page_tables import markdown
from scipy.stats import binomtest

TARGETS = (0.95, 0.995)
OUTCOME = ("at 95 %", "at 99.5 %", "the best", "the next")
LEVELS = (0.8, 0.85, 0.9, 0.95)
PLAIN_STARTS = 4096
"""Of every network in the tables of `small_networks.py`, which do not say it."""
Network = tuple[str, str]


def reached(row: dict[str, str]) -> float:
    """The best accuracy of a network at any stage.

    Early accuracies of the study by levels, which has their errors, are on few points.
    """
    stages = ("trained", "evolved") if "error" in row else ("early", "trained", "evolved")
    return max(float(row[stage]) for stage in stages)


def called(network: Network) -> str:
    """What a page calls a network of a table."""
    return f"({network[0].replace(' ', ', ')}), rank {network[1]}"


def by_size(path: Path, together: int = 18) -> str:
    """Number of nonzeros by number: the networks, and what they reach from how many starts each."""
    sizes: dict[int, list[dict[str, str]]] = defaultdict(list)
    for row in read_rows(path):
        sizes[max(together, int(row["nonzeros"]))].append(row)
    lines: list[list[str]] = []
    for nonzeros, own in sorted(sizes.items()):
        line = [f"up to {nonzeros}" if nonzeros == together else str(nonzeros), f"{len(own):,}"]
        line.append(f"{min(int(row['starts']) for row in own):,}")
        lines.append([*line, *outcome(own)])
    return markdown(("nonzeros, all biases", "networks", "starts each", *OUTCOME), lines)


def outcome(rows: Sequence[dict[str, str]]) -> list[str]:
    """How many networks reach each target, then the best of them and the next."""
    first, *others = sorted(rows, key=reached, reverse=True)
    return [
        *(str(sum(reached(row) >= target for row in rows)) for target in TARGETS),
        f"{reached(first):.2%}, {called((first['widths'], first['rank']))}",
        ", ".join(f"{reached(row):.2%}" for row in others[:2]),
    ]


def by_levels(path: Path, every: Path, together: int = 18) -> str:
    """Number of nonzeros by number: how many of all networks were tried by levels, and the best.

    `every` is the table of a study of all networks, which tells how many there are.
    """
    sizes: dict[int, list[list[dict[str, str]]]] = defaultdict(list)
    for own in attempts(path).values():
        sizes[max(together, int(own[0]["nonzeros"]))].append(own)
    all_of = Counter(max(together, int(row["nonzeros"])) for row in read_rows(every))
    lines: list[list[str]] = []
    for nonzeros, tried in sorted(sizes.items()):
        best = [max(own, key=reached) for own in tried]
        line = [f"up to {nonzeros}" if nonzeros == together else str(nonzeros)]
        line.append(f"{len(tried):,} of {all_of[nonzeros]:,}")
        line.append(str(min(map(len, tried))))
        line.append(f"{sum(float(row['evolved']) > 0 for row in best):,}")
        lines.append([*line, *outcome(best)])
    header = ("nonzeros, all biases", "networks", "attempts each", "with levels", *OUTCOME)
    return markdown(header, lines)


def attempts(path: Path) -> dict[Network, list[dict[str, str]]]:
    """The attempts at each network, the smallest networks first."""
    found: dict[Network, list[dict[str, str]]] = defaultdict(list)
    for row in read_rows(path):
        found[row["widths"], row["rank"]].append(row)
    return dict(sorted(found.items(), key=lambda item: (int(item[1][0]["nonzeros"]), item[0])))


def hits_of(own: list[dict[str, str]], target: float) -> int:
    """How many attempts reach the target."""
    return sum(reached(row) >= target for row in own)


def share(hits: int, tries: int) -> str:
    """A share with its 95 % interval by Clopper and Pearson."""
    interval = binomtest(hits, tries).proportion_ci()
    return f"{hits / tries:.0%} ({interval.low:.0%} to {interval.high:.0%})"


def found_again(targets: Mapping[Path, float]) -> str:
    """How often networks that are known are found from as many other starts, table by table."""
    lines: list[list[str]] = []
    for path, target in targets.items():
        for network, own in attempts(path).items():
            hits = hits_of(own, target)
            line = [called(network), own[0]["nonzeros"], f"{100 * target:g} %"]
            line.append(f"{int(own[0].get('starts', PLAIN_STARTS)):,}")
            line += [f"{hits} of {len(own)}", share(len(own) - hits, len(own))]
            line.append(f"{max(map(reached, own)):.2%}")
            lines.append(line)
    header = (
        "network",
        "nonzeros",
        "target",
        "starts",
        "found again",
        "missed (95 % interval)",
        "best",
    )
    return markdown(header, lines)


def past_the_plateau(path: Path, plateau: float = 0.97) -> str:
    """How often known networks get past a plateau from other starts, and to the target."""
    lines: list[list[str]] = []
    for network, own in attempts(path).items():
        past, tries = hits_of(own, plateau), len(own)
        line = [called(network), own[0]["nonzeros"], f"{int(own[0]['starts']):,}"]
        line += [f"{past} of {tries}", share(tries - past, tries)]
        line += [f"{hits_of(own, TARGETS[1])} of {tries}", f"{max(map(reached, own)):.2%}"]
        lines.append(line)
    header = ("network", "nonzeros", "first starts", f"past {plateau:.0%}")
    return markdown([*header, "missed (95 % interval)", "at 99.5 %", "best"], lines)


def missed(again: Path, known: set[Network], target: float = 0.95) -> tuple[float, float]:
    """How many networks at the target were missed, and the 95 % limit of that number.

    A network that is found with a chance p stands for 1 / p (Horvitz and Thompson): itself and
    (1 - p) / p that were missed. The chances are those of finding the `known` networks again. For
    the limit, every chance is at its lower one of 1 - 0.05 / networks. Networks whose chance is so
    small that none of their kind was found are in neither.
    """
    own = {network: rows for network, rows in attempts(again).items() if network in known}
    most = expected = 0.0
    for rows in own.values():
        hits, tries = hits_of(rows, target), len(rows)
        test = binomtest(hits, tries, alternative="greater")
        low = test.proportion_ci(confidence_level=1 - 0.05 / len(own)).low
        expected += (tries - hits) / hits if hits else math.inf
        most += (1 - low) / low if low else math.inf
    return expected, most


def chance_of_a_miss(table: Path, again: Path) -> str:
    """For each size at 95 %: the networks found, and how many more there may be by `missed`.

    Those of the first attempt at each: the chances in `again` are those of one attempt.
    """
    sizes: dict[int, set[Network]] = defaultdict(set)
    for row in read_rows(table):
        if int(row.get("attempt", 0)) == 0 and reached(row) >= TARGETS[0]:
            sizes[int(row["nonzeros"])].add((row["widths"], row["rank"]))
    tried = attempts(again).keys()
    lines: list[list[str]] = []
    for nonzeros, known in sorted(sizes.items()):
        numbers = ["not tried", "not tried"]
        if known <= tried:
            numbers = [f"{number:.1f}" for number in missed(again, known)]
        lines.append([str(nonzeros), str(len(known)), *numbers])
    header = ("nonzeros", "found at 95 %", "as hard to find, missed", "at most (95 % limit)")
    return markdown(header, lines)


def beside_plain(plain: Path, rungs: Path) -> str:
    """Two studies of the same networks from other starts: found by one, the other, and both.

    From those found by both follows how many there are to be found (Lincoln and Petersen), if
    neither finds the same ones more easily for the same reason: otherwise there are more.
    """
    theirs = {(row["widths"], row["rank"]): reached(row) for row in read_rows(plain)}
    ours = {(row["widths"], row["rank"]): reached(row) for row in read_rows(rungs)}
    both = theirs.keys() & ours.keys()
    lines: list[list[str]] = []
    for level in LEVELS:
        first = {network for network in both if theirs[network] >= level}
        second = {network for network in both if ours[network] >= level}
        line = [f"{level:.0%}", *(str(len(s)) for s in (first, second, first & second))]
        common = len(first & second)
        line.append(f"{len(first) * len(second) / common:.0f}" if common else "-")
        lines.append(line)
    header = (f"of {len(both):,} networks, at", "plainly", "in rungs", "both", "to be found")
    return markdown(header, lines)


def with_free_biases(path: Path, first: int = 9) -> str:
    """Networks by the number of weights and biases, and those that are not superfluous."""
    lines: list[list[str]] = []
    total = 0
    for row in read_rows(path):
        parameters, networks = int(row["parameters"]), int(row["networks"])
        total += networks
        if parameters >= first:
            left = f"{int(row['left']):,}" if row["left"] else "not written out"
            lines.append([row["parameters"], f"{networks:,}", f"{total:,}", left])
    header = ("weights and biases", "networks", "of at most so many", "not superfluous")
    return markdown(header, lines)


def most_by_rule(parameters: int) -> int:
    """The most nonzeros, by the paper's rule, of a network of so many weights and biases.

    Of a four-layer network whose biases count as weights do and may be absent: the rule gives one
    to every unit. A layer has at least as many weights as its inputs or outputs, so there are only
    so many units.
    """
    most = 0
    for hidden in product(range(1, parameters + 1), repeat=3):
        layers = list(pairwise((2, *hidden, 1)))
        if sum(max(layer) for layer in layers) <= parameters:
            weights = min(parameters, sum(map(prod, layers)))
            most = max(most, weights + sum(hidden) + 1)
    return most


def tables(folder: Path) -> dict[str, Callable[[], str]]:
    """The tables by name, from the results in a folder."""
    rungs, again = folder / "exhausted-networks.csv", folder / "exhausted-networks-again.csv"
    plainly = folder / "exhausted-networks-plainly.csv"
    at_995 = folder / "exhausted-networks-again-995.csv"
    levels = folder / "exhausted-by-levels.csv"
    levels_again = folder / "exhausted-by-levels-again.csv"
    levels_at_995 = folder / "exhausted-by-levels-again-995.csv"
    return {
        "exhausted-by-levels": lambda: by_levels(levels, rungs),
        "exhausted-by-levels-again": lambda: found_again({levels_again: TARGETS[0]}),
        "exhausted-by-levels-past": lambda: past_the_plateau(levels_at_995),
        "exhausted-by-levels-missed": lambda: chance_of_a_miss(levels, levels_again),
        "free-bias-networks": lambda: with_free_biases(folder / "free-bias-networks.csv"),
        "exhausted": lambda: by_size(rungs),
        "exhausted-twice": lambda: beside_plain(folder / "small-networks.csv", rungs),
        "exhausted-again": lambda: found_again({again: TARGETS[0], at_995: TARGETS[1]}),
        "exhausted-plainly": lambda: found_again(
            {folder / "small-networks-again.csv": TARGETS[0], plainly: TARGETS[0]}
        ),
        "exhausted-missed": lambda: chance_of_a_miss(rungs, again),
    }
