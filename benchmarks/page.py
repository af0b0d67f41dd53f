"""How fast the page that trains is: in a browser without a window, and its elimination in Node.

    python benchmarks/page.py

For two networks: epochs and frames a second while it trains and draws, and the processor time
behind them, which does not hang on what else the machine does. Then, for five seeds, an
elimination of 16-16-16 in the page's own code: processor time, and the fewest nonzeros at 95 % on
its way.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
from importlib.resources import files
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from prunelimits.viz import play
from prunelimits.viz.pages.page import SESSION

SECONDS = 20
NETWORKS = ("16-16-16", "3-3-3")
SEEDS = range(5)
KEEP = 16
ELIMINATION = """
const settings = { ...defaultSettings(), method: "Elimination", ...input };
const { train, test } = drawData(settings);
const begun = process.cpuUsage().user;
const session = new Session(settings, train, test);
while (!session.done) session.take();
const seconds = (process.cpuUsage().user - begun) / 1e6;
const reaching = session.history.filter(({ train }) => train.accuracy >= 0.95);
const nonzeros = Math.min(...reaching.map(({ nonzeros }) => nonzeros));
process.stdout.write(JSON.stringify({ seconds, nonzeros }));
"""


def main() -> None:
    """Measures and prints everything."""
    with sync_playwright() as playwright:
        executable = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        for hidden in NETWORKS:
            print(f"2-{hidden}-1: {training_speed(browser, hidden)}", flush=True)
        browser.close()
    for seed in SEEDS:
        found = elimination(seed)
        text = f"{found['nonzeros']} nonzeros at 95 %, {found['seconds']:.0f} s of a processor"
        print(f"elimination, seed {seed}: {text}", flush=True)


def training_speed(browser: Browser, hidden: str) -> str:
    """Trains on 2,000 samples for a while, and says how fast."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "play.html")
        play().save(path)
        tab = browser.new_page(viewport={"width": 1280, "height": 900})
        tab.goto(f"{path.as_uri()}#samples=2000&test=0&hidden={hidden}&epochs=10000")
        tab.wait_for_selector(".view[aria-busy=false]")
        tab.evaluate(
            "() => { window.frames_ = 0;"
            " const count = () => { window.frames_++; requestAnimationFrame(count); }; count(); }"
        )
        tab.click("#run")
        time.sleep(2)
        before, begun = snapshot(tab), time.monotonic()
        processor = thread_seconds()
        time.sleep(SECONDS)
        after, wall = snapshot(tab), time.monotonic() - begun
        used = {name: spent - processor.get(name, 0) for name, spent in thread_seconds().items()}
        tab.close()
    epochs, frames = (b - a for a, b in zip(before, after, strict=True))
    worker, page = (max(t for (n, _), t in used.items() if n == name) for name in THREADS)
    return (
        f"{epochs / wall:.0f} epochs and {frames / wall:.0f} frames a second; of the processor's "
        f"time {epochs / worker:.0f} epochs a second, and {1000 * page / frames:.1f} ms a frame"
    )


THREADS = ("DedicatedWorker", "chrome")  # as the system calls the worker's and the page's


def snapshot(tab) -> tuple[int, int]:  # noqa: ANN001
    """Epochs done and frames drawn."""
    return tuple(tab.evaluate("[Number(document.getElementById('play').dataset.epoch), frames_]"))


def thread_seconds() -> dict[tuple[str, str], float]:
    """The processor time of the threads of all renderers, by name and number."""
    result = {}
    for command in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if b"--type=renderer" not in command.read_bytes():
                continue
            for stat in command.parent.glob("task/*/stat"):
                name, rest = stat.read_text().split("(", 1)[1].rsplit(")", 1)
                ticks = sum(int(number) for number in rest.split()[11:13])
                kind = "DedicatedWorker" if name.startswith("DedicatedWorker") else name
                main = stat.parent.name == command.parent.name
                place = (THREADS[1] if main else kind, stat.parent.name)
                result[place] = ticks / os.sysconf("SC_CLK_TCK")
        except OSError:
            continue  # it has ended
    return result


def elimination(seed: int) -> dict[str, float]:
    """What the page's elimination finds on 2,000 samples, a fifth of them kept for testing."""
    web = files("prunelimits.viz.pages") / "web"
    program = "\n".join((web / f"{name}.js").read_text() for name in SESSION)
    settings = json.dumps({"seed": seed, "keep": KEEP})
    text = f'"use strict";\n{program}\nconst input = {settings};\n{ELIMINATION}'
    done = subprocess.run(["node", "-"], input=text, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


if __name__ == "__main__":
    main()
