r"""Makes a start of a study from a checkpoint of the paper's repository.

    git clone https://github.com/stephenqz/sparsest
    python benchmarks/published_start.py sparsest/BENCH-95/initialization_checkpoint.pt \
        bench-95.pt
    python benchmarks/published_start.py sparsest/BENCH-995/initialization_checkpoint.pt \
        bench-995.pt
    prunelimits search --target 0.95 --initial bench-95.pt --widths 2 3 2 2 1

The checkpoints are the unmasked initial parameters of the networks of width 16 from which the
paper's search found BENCH-95 and BENCH-995. That repository has no licence, so they are not part of
this project: fetch them yourself. No code in the file is run.
"""

from __future__ import annotations

import argparse
import pickle
from pathlib import Path

import torch

import prunelimits as pl
from prunelimits.models import parameter_shapes

WIDTHS = (2, 16, 16, 16, 1)


def network(path: Path) -> pl.MLP:
    """The network whose parameters a checkpoint holds.

    Raises:
        ValueError: If it holds anything else.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise ValueError(f"{path} is no checkpoint: {error}") from error
    shapes = parameter_shapes(WIDTHS)
    # The published files have the parameters under one more name.
    if isinstance(content, dict) and list(content) == ["model"]:
        content = content["model"]
    if not isinstance(content, dict):
        raise ValueError(f"{path} must hold parameters by name, got {type(content).__name__}")
    found = {name: tuple(getattr(value, "shape", ())) for name, value in content.items()}
    # The published names and ours differ, their order does not.
    if list(found.values()) != list(shapes.values()):
        raise ValueError(f"{path} must hold the parameters of widths {WIDTHS}, got {found}")
    values = (value.float() for value in content.values())
    return pl.MLP.from_params(WIDTHS, dict(zip(shapes, values, strict=True)))


def main() -> None:
    """Converts one file."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("start", type=Path)
    arguments = parser.parse_args()
    pl.save(network(arguments.checkpoint), None, arguments.start)


if __name__ == "__main__":
    main()
