"""A real browser for the pages, and a look over its shoulder: nothing may fail or be fetched."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from prunelimits.viz.pages import Page

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage
    from playwright.sync_api import Page as Tab

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


# First, since marks are selected by when others look at what was collected.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A browser takes seconds of its own to begin with: what opens one is slow."""
    for item in items:
        if isinstance(item, pytest.Function) and "browser" in item.fixturenames:
            item.add_marker(pytest.mark.slow)


# Until the last test of this folder: other tests want an event loop of their own.
@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        _without("Playwright is not installed")
    executable = next(filter(None, map(shutil.which, _NAMES)), None)
    if executable is None:
        _without(f"there is no {' or '.join(_NAMES)}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=_FLAGS)
        yield browser
        browser.close()


def _without(reason: str) -> None:
    """A machine may lack a browser, unless it says that it must not."""
    if os.environ.get("PRUNELIMITS_REQUIRE_BROWSER"):
        pytest.fail(f"{reason}, and PRUNELIMITS_REQUIRE_BROWSER is set")
    pytest.skip(reason)


@pytest.fixture
def open_page(browser: Browser, tmp_path: Path) -> Iterator[Callable[..., Tab]]:
    """Opens a page from disk and waits until it rests; at the end looks at what it did."""
    complaints: list[str] = []
    fetched: list[str] = []
    contexts = []

    def visit(
        page: Page, *, width: int = 1280, height: int = 900, dark: bool = False, fragment: str = ""
    ) -> Tab:
        path = tmp_path / "page.html"
        page.save(path)
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            accept_downloads=True,
        )
        contexts.append(context)
        tab = context.new_page()
        tab.set_default_timeout(30_000)
        tab.on("console", lambda message: _listen(message, complaints))
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        tab.on("dialog", lambda dialog: complaints.append(f"dialog: {dialog.message}"))
        tab.on("request", lambda request: fetched.append(request.url))
        tab.goto(path.as_uri() + fragment)
        rest(tab)
        return tab

    yield visit
    for context in contexts:
        context.close()
    assert complaints == []
    own = (tmp_path / "page.html").as_uri()
    remote = {a for a in fetched if not a.startswith(("data:", "blob:"))}
    assert {address.split("#")[0] for address in remote} <= {own}


def _listen(message: ConsoleMessage, complaints: list[str]) -> None:
    # Only these tests read canvases back.
    if "willReadFrequently" not in message.text:
        complaints.append(f"{message.type}: {message.text}")


def rest(tab: Tab) -> None:
    """Waits until every network on a page is painted and counted, or a message says why none is."""
    tab.wait_for_function(
        "() => { const views = [...document.querySelectorAll('.view')];"
        " return document.getElementById('message').textContent.startsWith('This page cannot') ||"
        " views.length && views.every((v) => v.getAttribute('aria-busy') === 'false'); }"
    )


@pytest.fixture(name="rest")
def rest_fixture() -> Callable[[Tab], None]:
    return rest
