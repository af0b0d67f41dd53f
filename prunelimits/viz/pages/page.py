"""A page: one HTML file that holds everything it needs."""

from __future__ import annotations

import hashlib
import html
import json
import os
import re
import tempfile
import webbrowser
from base64 import b64encode
from functools import cache
from importlib.resources import files
from pathlib import Path

from prunelimits.arguments import checked_file
from prunelimits.resuming import write_whole
from prunelimits.viz.pages.content import Content, PlayContent

MOST_BYTES = 2_000_000

# In this order: a file uses what stands before it.
# What computes, and knows no document: the pages' own, a worker's, and what Node tests.
CORE = (
    *("network", "reach", "core/random", "core/recipe", "core/start", "core/features"),
    *("core/gradient", "core/training", "core/selection", "core/quotas", "core/schedules"),
    *("core/curvature", "core/scores", "core/pruning", "core/during", "core/folding"),
    *("core/absences", "core/removals", "core/elimination", "core/paths", "core/datasets"),
    "core/table",
)
_PARTS = (
    *("network", "reach", "core/features", "core/folding", "core/paths", "responses", "data"),
    *("palette", "layout", "names", "writing", "histogram", "effort", "edits", "exports"),
    *("roving", "grip", "edges", "edge-canvas", "diagram", "region", "inspector", "answers"),
    *("counts", "toolbar", "painter", "view", "shell"),
)
PROGRAM = (*_PARTS, "chart", "film", "main")
SESSION = (*CORE, "play/settings", "play/recording", "play/session")
WORKER = (*SESSION, "play/worker")
PLAY = (
    *dict.fromkeys((*SESSION, *_PARTS)),
    *("play/curves", "play/controls", "play/records", "play/presets", "play/take-along"),
    *("play/files", "play/story", "play/trainer", "play/progress", "play/main"),
)
_NOTEBOOK_HEIGHT = 760


class Page:
    """An interactive page about networks.

    Made by `play`, `playground`, `comparison`, `film` and `gallery`.

    In a notebook the page shows itself inline. It loads nothing: its scripts and its style are in
    it, and its content security policy forbids every connection and every other script. The worker
    that trains in the page of `play` is in it too.

    Attributes:
        html: The whole page.
    """

    def __init__(self, content: Content | PlayContent) -> None:
        self.html = _assemble(content)
        size = len(self.html.encode())
        if size > MOST_BYTES:
            raise ValueError(
                f"the page would have {size:,} bytes, more than {MOST_BYTES:,}: "
                "pass fewer networks, or fewer samples such as (x[::10], y[::10])"
            )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the page to a file, whole or not at all.

        Raises:
            TypeError: If `path` is no path.
            ValueError: If it is a folder.
            OSError: If the file cannot be written; then an existing one is as it was.
        """
        write_whole(self.html.encode(), checked_file("path", path))

    def open(self) -> Path:
        """Shows the page in the browser, from a new temporary file, which is returned.

        Raises:
            OSError: If there is no browser to open; the message names the file.
        """
        folder = tempfile.mkdtemp(prefix="prunelimits-")
        path = Path(folder, "playground.html")
        self.save(path)
        if not webbrowser.open(path.as_uri()):
            raise OSError(f"there is no browser to open {path} with")
        return path

    def _repr_html_(self) -> str:
        # An origin of its own: the page cannot reach the notebook, nor the notebook's style it.
        return (
            f'<iframe srcdoc="{html.escape(self.html)}" title="prunelimits playground" '
            'sandbox="allow-scripts allow-downloads allow-modals" '
            f'style="width: 100%; height: {_NOTEBOOK_HEIGHT}px; border: 0"></iframe>'
        )


def _assemble(content: Content | PlayContent) -> str:
    if content["mode"] == "play":
        # The worker's program, and the page around a film's content and library.
        data = _data("worker", "text/plain", _program(WORKER)) + _data(
            "film-page", "application/json", _inert(_around_content(PROGRAM, "overview.html"))
        )
        before, between, after = _around_content(PLAY, "play.html", data, trains=True)
    else:
        before, between, after = _around_content(PROGRAM, "overview.html")
    return before + _inert(content) + between + _library() + after


@cache
def _around_content(
    names: tuple[str, ...], body: str, data: str = "", *, trains: bool = False
) -> tuple[str, str, str]:
    """A page but for its content and its library: what stands before, between and after them."""
    style, program = _read("style.css"), _program(names)
    scripts = [_library(), program]
    if trains:
        # A film that it opens in a tab stands under its policy, too.
        scripts.append(_program(PROGRAM))
    policy = (
        f"default-src 'none'; script-src {' '.join(map(_digest, scripts))}; "
        f"style-src {_digest(style)}; img-src data: blob:; base-uri 'none'; form-action 'none'"
    )
    parts = {
        "POLICY": f"{policy}; worker-src blob:" if trains else policy,
        "STYLE": style,
        "BODY": _read(body),
        "DATA": data,
        "PROGRAM": program,
    }
    places = "|".join([*parts, "CONTENT", "LIBRARY"])
    pieces = [""]
    # In one pass: what is put in is not searched for places again.
    for piece in re.split(rf"\b({places})\b", _read("page.html")):
        if piece in ("CONTENT", "LIBRARY"):
            pieces.append("")
        else:
            pieces[-1] += parts.get(piece, piece)
    before, between, after = pieces
    return before, between, after


def _data(name: str, kind: str, text: str) -> str:
    """A script that no browser runs, for the page to read."""
    return f'<script id="{name}" type="{kind}">{text}</script>\n'


def _inert(content: object) -> str:
    """JSON that no HTML parser takes for anything else, whatever the labels are."""
    text = json.dumps(content, allow_nan=False)
    for letter in "<>&":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text


def _digest(text: str) -> str:
    return f"'sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@cache
def _read(name: str) -> str:
    return (files("prunelimits.viz.pages") / "web" / name).read_text(encoding="utf-8")


def _library() -> str:
    licence = _read("d3/LICENSE").strip()
    return f"/*\n{licence}\n*/\n{_read('d3/d3.min.js')}"


def _program(names: tuple[str, ...]) -> str:
    body = "\n".join(_read(f"{name}.js") for name in names)
    return f'"use strict";\n(() => {{\n{body}\n}})();'
