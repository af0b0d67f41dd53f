"""Draws the pictures in docs/images/playground with a headless Chromium, through Playwright.

Run: python examples/playground_pictures.py docs/images/playground
Needs Chromium, and pip install playwright pillow. The networks are those in docs/results and
prunings of them; each page is also a file to look at: --pages FOLDER keeps them.
"""

import argparse
import io
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import prunelimits as pl
from prunelimits.search import SearchConfig, combinatorial_search
from prunelimits.viz.pages import Network, Page, comparison, film, gallery, playground

RESULTS = Path(__file__).parent.parent / "docs" / "results"
DATA = pl.datasets.cubist_spiral()


def found(name: str) -> tuple[pl.MLP, pl.types.Masks]:
    """A network of the results page."""
    return pl.load(RESULTS / f"{name}.pt")


def network() -> Page:
    """The smallest network at 95 %."""
    model, masks = found("widths-2-3-2-2-1-at-95")
    return playground(model, masks, DATA, title="24 nonzeros, found by the search")


def unit() -> Page:
    """A network at 99.8 %."""
    model, masks = found("appendix-d-at-995")
    return playground(model, masks, DATA, title="46 nonzeros at 99.8 %")


def frames() -> list[Network]:
    """Magnitude pruning without any training in between: what breaks, and when."""
    model, _ = found("phase-one-at-995")
    weights = {n: p.detach().abs() for n, p in model.named_parameters() if n.endswith("weight")}
    return [
        (f"{keep} weights", model, pl.masks.with_biases(pl.masks.top(weights, keep=keep)))
        for keep in range(41, 5, -2)
    ]


def run() -> Page:
    """The pruning as a film."""
    return film(frames(), DATA, title="Magnitude pruning, two weights a frame")


def disconnected() -> Page:
    """A pruning that leaves parts disconnected and constant."""
    label, model, masks = frames()[2]
    return playground(model, masks, DATA, title=f"{label} left by magnitude pruning")


def search() -> Page:
    """A small search."""
    config = SearchConfig(
        target=0.75,
        widths=(2, 3, 2, 2, 1),
        symmetry="network",
        recipes=(pl.Recipe(lr=0.05, schedule="cosine"),),
        seeds=4,
    )
    x, y = pl.datasets.cubist_spiral(10_000)
    result = combinatorial_search(config, x, y)
    return gallery(result, (x, y), title="All networks of widths 2-3-2-2-1, four starts each")


def beside() -> Page:
    """Two networks side by side."""
    left, right = found("widths-2-3-2-2-1-at-95"), found("appendix-d-at-995")
    return comparison(("24 nonzeros", *left), ("46 nonzeros", *right), DATA, title="Two networks")


# Page, size of the window, dark or not, what to do before the picture is taken.
PICTURES: dict[str, tuple[Callable[[], Page], tuple[int, int], bool, str]] = {
    "network": (network, (1280, 860), False, ""),
    "unit": (unit, (1280, 900), False, "#view-0-unit-2-2"),
    "disconnected": (disconnected, (1280, 900), False, ""),
    "dark": (unit, (1280, 900), True, ""),
    "gallery": (search, (1280, 900), False, ""),
    "comparison": (beside, (1600, 900), False, ""),
    "film": (run, (1280, 900), False, ".point:nth-child(7)"),
}


def main() -> None:
    """Makes every page and takes its picture."""
    from PIL import Image
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pages", type=Path, help="keep the pages themselves here")
    parser.add_argument("--only", choices=PICTURES, nargs="+", default=list(PICTURES))
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as temporary:
        pages = options.pages or Path(temporary)
        pages.mkdir(parents=True, exist_ok=True)
        flags = ["--no-sandbox", "--disable-gpu"]
        browser = playwright.chromium.launch(executable_path=chromium, args=flags)
        for name in options.only:
            make, (width, height), dark, act = PICTURES[name]
            path = (pages / f"{name}.html").absolute()
            make().save(path)
            scheme = "dark" if dark else "light"
            tab = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
            tab.goto(path.as_uri())
            tab.locator(".view[aria-busy=false]").last.wait_for()
            if act:
                tab.locator(act).click()
                tab.locator(".view[aria-busy=false]").last.wait_for()
            picture = Image.open(io.BytesIO(tab.screenshot(full_page=True)))
            # A third of the size, and no difference to see.
            picture.convert("RGB").quantize(256).save(options.folder / f"{name}.png", optimize=True)
            tab.close()
            print(f"Wrote {options.folder / name}.png")
        browser.close()


if __name__ == "__main__":
    main()
