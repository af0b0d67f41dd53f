"""What the page that trains can begin with: runs like the paper's figures, and kept networks."""

from __future__ import annotations

from importlib.resources import files
from typing import NamedTuple

from prunelimits.exchange import from_json
from prunelimits.viz.pages.content import Preset, encode_network

_FIGURES = "like the paper's figures"
_KEPT = "networks of this library"
_EXHAUSTED = "Every network of these widths was trained; this one is the sparsest that learnt it."
_CHOSEN = (
    "Of these widths the masks that the paper chose were trained; of them this is the sparsest."
)
_PRUNED = "Pruned from the start of the paper's search, at that search's width."
_RECORD = "The record: no tie and no rounding decides."
_TIES = "Where its output is exactly 0, which is class 0, noise decides otherwise."


class KeptNetwork(NamedTuple):
    """A network that comes with the page, as `networks/NAME.json`.

    Attributes:
        name: In addresses.
        source: The same network in the repository.
        group: Where it stands in the list.
        label: What it is called there.
        about: What is said of it.
    """

    name: str
    source: str
    group: str
    label: str
    about: str


def _figure(number: int, source: str, label: str, about: str = _EXHAUSTED) -> KeptNetwork:
    label = f"Figure {number}: {label}"
    return KeptNetwork(f"figure-{number}", f"docs/results/{source}.pt", _FIGURES, label, about)


def _kept(name: str, source: str, label: str, about: str) -> KeptNetwork:
    return KeptNetwork(name, f"examples/networks/cubist-spiral-{source}.pt", _KEPT, label, about)


def _pruned(name: str, source: str, label: str) -> KeptNetwork:
    source = f"docs/results/networks/gap-bench-{source}.pt"
    return KeptNetwork(name, source, _KEPT, label, _PRUNED)


KEPT_NETWORKS = (
    _figure(1, "widths-2-3-3-3-1-at-95", "search, 30 nonzeros at 95 %"),
    _figure(15, "bench-95-masks-at-95", "search from a good start, 26 at 95 %"),
    _figure(12, "bench-995-masks-at-995", "search from a good start, 39 at 99.5 %", _CHOSEN),
    _kept("at-95-17-margin", "95-17-margin-with-biases-22", "17 at 95 %, by a margin", _RECORD),
    _kept("at-95-17", "95-17-with-biases-22", "17 at 95 %", _TIES),
    _kept("at-95-18", "95-18-margin-with-biases-22", "18 at 95 %, by a margin", ""),
    _kept("at-95-18-ties", "95-18-with-biases-22", "18 at 95 %", _TIES),
    _kept("at-95-19", "95-19-margin-with-biases-22", "19 at 95 %, by a margin", ""),
    _kept("at-995-23-margin", "995-23-margin-with-biases-28", "23 at 99.5 %, by a margin", _RECORD),
    _kept("at-995-23", "995-23-with-biases-26", "23 at 99.5 %, without ties", "Not by a margin."),
    _kept("at-995-23-ties", "995-23-with-biases-28", "23 at 99.5 %", _TIES),
    _kept("at-995-24", "995-24-margin-with-biases-28", "24 at 99.5 %, by a margin", ""),
    _kept("at-995-26", "995-26-with-biases-31", "26 at 99.5 %", ""),
    _kept("at-995-27", "995-27-with-biases-29", "27 at 99.5 %", ""),
    _pruned("lth-95", "95-LTH-3-16-0-2", "LTH, 24 at 95 %"),
    _pruned("gmp-95", "95-GMP-3-17-1-2", "GMP, 26 at 95 %"),
    _pruned("gmp-95-again", "95-GMP-3-17-0-2", "GMP, another of 26 at 95 %"),
    _pruned("gmp-995", "995-GMP-6-27-4-2", "GMP, 39 at 99.5 %"),
)

# The networks of width 16 in the paper's Figures 10, 18 and 19, by method and weights kept.
_RUNS = (
    (10, "GMP", 26),
    (18, "FORCE", 55),
    (18, "GraSP", 55),
    (18, "IterSNIP", 55),
    (18, "LTH", 55),
    (19, "RigL", 55),
    (19, "SNIP", 55),
    (19, "SynFlow", 55),
)
_WHILE_TRAINING = ("GMP", "LTH", "RigL")


def presets() -> list[Preset]:
    """Runs and networks, in the order of the list on the page."""
    networks = [_network(kept) for kept in KEPT_NETWORKS]
    figures = [preset for preset in networks if preset["group"] == _FIGURES]
    others = [preset for preset in networks if preset["group"] != _FIGURES]
    return [_published_recipe(), *figures, *(_run(*run) for run in _RUNS), *others]


def _network(kept: KeptNetwork) -> Preset:
    text = (files("prunelimits.viz.pages") / "networks" / f"{kept.name}.json").read_bytes()
    model, masks = from_json(text, f"{kept.name}.json")
    return {
        "id": kept.name,
        "group": kept.group,
        "label": kept.label,
        "about": kept.about,
        # Of its accuracy all points tell, and a small step keeps what it has when it trains on.
        "settings": {"hidden": list(model.widths[1:-1]), "test": 0, "lr": 0.001},
        "network": encode_network("", model, masks, None),
    }


def _run(figure: int, method: str, keep: int) -> Preset:
    how = "Press the blue button below." if method in _WHILE_TRAINING else "Prune, then press Play."
    return {
        "id": f"figure-{figure}-{method.lower()}",
        "group": _FIGURES,
        "label": f"Figure {figure}: {method}, {keep} weights",
        "about": f"A network of width 16 as {method} leaves it, with what it wastes. {how}",
        "settings": {"method": method, "keep": keep},
        "network": None,
    }


def _published_recipe() -> Preset:
    return {
        "id": "published-recipe",
        "group": _FIGURES,
        "label": "All experiments: the paper's data and training",
        "about": "49,982 points, batches of 128, 50 epochs: slower, and as published.",
        "settings": {"samples": 49_982, "batch": 128, "epochs": 50, "test": 0},
        "network": None,
    }
