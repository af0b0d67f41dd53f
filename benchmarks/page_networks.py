"""Copies kept networks into the package, as JSON, for the page that trains to begin with.

python benchmarks/page_networks.py
"""

from __future__ import annotations

from pathlib import Path

from prunelimits import load
from prunelimits.exchange import to_json
from prunelimits.viz.pages.presets import KEPT_NETWORKS

ROOT = Path(__file__).parents[1]

if __name__ == "__main__":
    folder = ROOT / "prunelimits/viz/pages/networks"
    folder.mkdir(exist_ok=True)
    for kept in KEPT_NETWORKS:
        model, masks = load(ROOT / kept.source)
        (folder / f"{kept.name}.json").write_text(to_json(model, masks) + "\n")
