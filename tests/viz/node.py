"""The pages' numeric core in Node, where there is no document: a function of JSON to JSON."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from base64 import b64encode
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import prunelimits as pl
from prunelimits.viz.pages.page import CORE

_WEB = files("prunelimits.viz.pages") / "web"


def run(body: str, argument: object, names: tuple[str, ...] = CORE) -> Any:
    """What the JavaScript function body, of `input` and with the core in sight, returns."""
    node = shutil.which("node")
    if node is None:
        if os.environ.get("PRUNELIMITS_REQUIRE_BROWSER"):
            pytest.fail("Node is not installed, and PRUNELIMITS_REQUIRE_BROWSER is set")
        pytest.skip("Node is not installed")
    core = "\n".join((_WEB / f"{name}.js").read_text(encoding="utf-8") for name in names)
    program = (
        f'"use strict";\n{core}\nfunction answer(input) {{\n{body}\n}}\n'
        'const text = require("fs").readFileSync(0, "utf8");\n'
        "process.stdout.write(JSON.stringify(answer(JSON.parse(text))));"
    )
    done = subprocess.run(
        [node, "-e", program], input=json.dumps(argument), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def encoded(model: pl.MLP, masks: Mapping[str, Tensor] | None = None) -> dict[str, object]:
    """A network as pages hold it, for `Network.decode`."""
    named = {name: p.detach() for name, p in model.named_parameters()}
    flags = [(masks or {}).get(n, torch.ones_like(p, dtype=torch.bool)) for n, p in named.items()]
    kept = np.packbits(torch.cat([f.flatten() for f in flags]).numpy(), bitorder="little")
    values = torch.cat([p.flatten() for p in named.values()]).float().numpy()
    return {
        "label": "",
        "widths": list(model.widths),
        "values": b64encode(values.astype("<f4").tobytes()).decode(),
        "kept": b64encode(kept.tobytes()).decode(),
    }


def flat(values: Mapping[str, Tensor], model: pl.MLP) -> list[float]:
    """Tensors by parameter name as one list, in the order of the page's network."""
    return torch.cat([values[n].flatten() for n, _ in model.named_parameters()]).tolist()


def samples(x: Tensor, y: Tensor) -> dict[str, object]:
    """Data for the helper `samplesOf` below."""
    return {"x": x.flatten().tolist(), "y": y.long().tolist(), "inputs": x.shape[1]}


SAMPLES_OF = """
const samplesOf = ({ x, y, inputs }) => ({
  x: Float32Array.from(x), y: Uint16Array.from(y), inputs, size: y.length,
});
"""
