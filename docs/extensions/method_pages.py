"""What a method's page tells of its class is read from the class, so that it cannot go stale.

A page in docs/methods names its class in its front matter, and has `<!-- settings -->` where the
facts and the table of its fields belong; the folder's index has `<!-- methods -->`.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Mapping
from pathlib import Path

from griffe import Docstring, DocstringSectionAttributes
from mkdocs.structure.pages import Page
from mkdocs.utils.meta import get_data

from prunelimits import pruners
from prunelimits.pruners import Rewind
from prunelimits.pruners.catalogue.method import Method
from prunelimits.pruners.described import text_of

FOLDER = Path(__file__).parent.parent / "methods"
_TITLES = {
    "at initialisation": "Before training",
    "dense to sparse": "During or after the training of a dense network",
    "sparse to sparse": "While a sparse network trains",
}


def on_page_markdown(markdown: str, *, page: Page, **_: object) -> str:
    """A page with its facts and tables filled in; called by MkDocs."""
    if "method" in page.meta:
        made = settings(page.meta)
        return markdown.replace("<!-- settings -->", made)
    if page.file.src_uri == "methods/index.md":
        return markdown.replace("<!-- methods -->", index())
    return markdown


def settings(meta: Mapping[str, str]) -> str:
    """The facts and the fields of a method, in Markdown."""
    name = meta["method"]
    method = getattr(pruners, name)
    schedule = text_of(method().combination.schedule)
    facts = [
        "## Defaults, needs and cost",
        "",
        f"- **Category:** {method.category}",
        f"- **Schedule:** `{schedule}`",
        f"- **Needs:** {needed(meta, method())}",
        f"- **Cost:** {meta['cost']}",
        "",
        "| Field | Default | What it says |",
        "|---|---|---|",
    ]
    meanings = {key: text for cls in reversed(method.__mro__) for key, text in told(cls).items()}
    fields = [field for field in dataclasses.fields(method) if field.init]
    common = [field.name for field in dataclasses.fields(Method)]
    # What the method has of its own comes first.
    fields.sort(key=lambda field: field.name in common)
    rows = [
        f"| `{field.name}` | `{getattr(method(), field.name)!r}` | {meanings[field.name]} |"
        for field in fields
    ]
    link = f"[`{name}` in the reference](../reference/pruners.md#prunelimits.pruners.{name})"
    return "\n".join([*facts, *rows, "", f"All of it: {link}."])


def needs(pruner: Method) -> str:
    """What a method wants beside the model, as far as the class can tell."""
    if pruner.acts_in_training:
        return "a training of yours, by `attach` or `fit`"
    if isinstance(pruner.combination.schedule, Rewind):
        return "trainings of yours, by `lottery_ticket` or `fit`"
    if pruner.needs_data:
        return "batches and a loss"
    return "batches, no loss" if pruner.batches is None else "the weights alone"


def index() -> str:
    """All methods by when they prune, in Markdown; the idea is the first sentence of the page."""
    parts: list[str] = []
    for category, title in _TITLES.items():
        parts += [f"## {title}", "", "| Method | Idea | Needs |", "|---|---|---|"]
        for method in pruners.all():
            if method.category == category:
                text, meta = get_data((FOLDER / f"{method.__name__}.md").read_text())
                idea = re.search(r"^# \w+\n\n(.*?[.?])(?:\s|$)", text, re.DOTALL)
                assert idea is not None, method
                name, said = method.__name__, " ".join(idea[1].split())
                parts.append(f"| [{name}]({name}.md) | {said} | {needed(meta, method())} |")
        parts.append("")
    return "\n".join(parts)


def needed(meta: Mapping[str, str], pruner: Method) -> str:
    """What a page says of the data, or else the class."""
    return meta.get("data") or needs(pruner)


def told(cls: type) -> dict[str, str]:
    """What a class's docstring says of its attributes, `As for X` replaced by what X says."""
    sections = Docstring(inspect.getdoc(cls) or "").parse("google", warnings=False)
    found: dict[str, str] = {}
    for section in sections:
        if isinstance(section, DocstringSectionAttributes):
            for attribute in section.value:
                text = re.sub(r"\s+", " ", attribute.description)
                other = re.fullmatch(r"As for `(\w+)`\.", text)
                if other is not None:
                    text = told(getattr(pruners, other[1]))[attribute.name]
                found[attribute.name] = text
    return found
