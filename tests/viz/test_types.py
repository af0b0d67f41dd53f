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

PROGRAMS = {"session": SESSION, "worker": WORKER, "finished": PROGRAM, "play": PLAY}


@pytest.mark.slow
def test_what_pages_run_agrees_with_its_types(tmp_path: Path):
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
        "skipLibCheck": True,  # a browser's declarations are not ours to check
        "types": [],
    }
    for name, program in PROGRAMS.items():
        names = [str(web / f"{part}.js") for part in program]
        project = {"compilerOptions": options, "files": ["../d3.d.ts", *names]}
        (tmp_path / name).mkdir()
        (tmp_path / name / "tsconfig.json").write_text(json.dumps(project))
    # Each by itself, but in one process, which reads the browser's declarations once.
    done = subprocess.run([compiler, "-b", *PROGRAMS], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
