"""What the pages run agrees with its types, by the TypeScript compiler."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from importlib.resources import files
from pathlib import Path

import pytest

from prunelimits.viz.pages.page import PLAY, PROGRAM, SESSION, WORKER


@pytest.mark.slow
@pytest.mark.parametrize(
    "program", [SESSION, WORKER, PROGRAM, PLAY], ids=("session", "worker", "finished", "play")
)
def test_what_pages_run_agrees_with_its_types(tmp_path: Path, program: tuple[str, ...]):
    compiler = shutil.which("tsc")
    if compiler is None:
        if os.environ.get("PRUNELIMITS_REQUIRE_BROWSER"):
            pytest.fail("tsc is not installed, and PRUNELIMITS_REQUIRE_BROWSER is set")
        pytest.skip("the TypeScript compiler is not installed")
    web = files("prunelimits.viz.pages") / "web"
    (tmp_path / "d3.d.ts").write_text("declare const d3: any;\n")
    options = {
        "noEmit": True,
        "allowJs": True,
        "checkJs": True,
        "target": "es2022",
        "lib": ["es2022", "dom", "dom.iterable"],
        "types": [],
    }
    names = [str(web / f"{name}.js") for name in program]
    project = {"compilerOptions": options, "files": ["d3.d.ts", *names]}
    (tmp_path / "tsconfig.json").write_text(json.dumps(project))
    done = subprocess.run([compiler, "-p", tmp_path], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
