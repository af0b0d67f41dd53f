"""The page that trains stands in the built site as `play.html`, to be opened and linked to."""

from __future__ import annotations

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from prunelimits.viz import play


def on_files(files: Files, *, config: MkDocsConfig, **_: object) -> Files:
    """The page beside those that are written by hand; called by MkDocs."""
    files.append(File.generated(config, "play.html", content=play().html))
    return files
