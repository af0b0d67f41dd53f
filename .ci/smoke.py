"""Tries an installed prunelimits, wherever it is called from.

Usage: python smoke.py [pure], the word where it was installed without a compiler.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import torch

import prunelimits as pl
from prunelimits.scores.native import library as removal
from prunelimits.sessions.native import library as overwriting
from prunelimits.training import TorchEngine
from prunelimits.training.native_engine import NativeEngine, available


def main() -> None:
    installed = Path(pl.__file__).resolve().parent
    if not installed.is_relative_to(Path(sysconfig.get_paths()["purelib"]).resolve()):
        sys.exit(f"this is another prunelimits than the installed one: {installed}")
    pure = sys.argv[1:] == ["pure"]
    if available() is pure:
        sys.exit(f"the native engine is {'there' if pure else 'missing'}")
    for what, library in (("order of removal", removal), ("overwriting", overwriting)):
        if (library.load() is None) is not pure:
            sys.exit(f"the native {what} is {'there' if pure else 'missing'}")

    torch.manual_seed(0)
    x, y = pl.datasets.cubist_spiral(200)
    model = pl.MLP((2, 16, 16, 1))
    loss = torch.nn.functional.binary_cross_entropy_with_logits
    masks = pl.prune(model, pl.pruners.SNIP(), keep=40, loss=loss, batches=[(x, y[:, None])])
    if pl.masks.count(masks) != 40:
        sys.exit("SNIP did not keep 40 weights")
    sparsity = pl.effective_sparsity(model, masks=masks)
    engine = TorchEngine() if pure else NativeEngine(threads=1)
    ensemble = pl.MLPEnsemble.from_params(
        model.widths, {name: value.detach()[None] for name, value in model.named_parameters()}
    )
    trained = pl.fit(ensemble, x, y, pl.Recipe(epochs=2, batch_size=50), engine=engine)

    command = Path(sysconfig.get_paths()["scripts"], "prunelimits" + ".exe" * (os.name == "nt"))
    version = subprocess.check_output([command, "--version"], text=True).strip()
    print(
        f"{version} in {installed}: effective sparsity {sparsity:.3f}, engine {engine.name}, "
        f"accuracy {float(trained.accuracy):.3f}"
    )


if __name__ == "__main__":
    main()
