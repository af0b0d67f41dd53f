"""The notebooks of examples/notebooks become pages: run from the top, with what their cells show.

They are kept without outputs, so that what a page shows is what this version does.
"""

from __future__ import annotations

import html
import re
from base64 import b64decode
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nbformat
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[2] / "examples" / "notebooks"
# A cell that takes longer than this has hung.
_SECONDS = 300
# A page is built again whenever a file is saved, and a notebook only when it has changed.
_built: dict[tuple[Path, float], tuple[str, dict[str, bytes]]] = {}


def on_files(files: Files, *, config: MkDocsConfig, **_: object) -> Files:
    """The pages, beside those that are written by hand; called by MkDocs."""
    for path in sorted(FOLDER.glob("*.ipynb")):
        key = (path, path.stat().st_mtime)
        if key not in _built:
            _built[key] = as_markdown(executed(path), path.stem)
        text, pictures = _built[key]
        files.append(File.generated(config, f"notebooks/{path.stem}.md", content=text))
        for name, content in pictures.items():
            files.append(File.generated(config, f"notebooks/{name}", content=content))
    return files


def executed(path: Path) -> Any:  # noqa: ANN401
    """The notebook with its outputs, run in an empty folder by the Python that runs this.

    Raises:
        nbclient.exceptions.CellExecutionError: If a cell does.
    """
    notebook = nbformat.read(path, as_version=4)
    with TemporaryDirectory() as folder:
        client = NotebookClient(
            notebook,
            timeout=_SECONDS,
            resources={"metadata": {"path": folder}},
            extra_arguments=["--log-level=ERROR"],
        )
        return client.execute()


def as_markdown(notebook: Any, name: str) -> tuple[str, dict[str, bytes]]:  # noqa: ANN401
    """The notebook as a page, and its pictures by name."""
    parts: list[str] = []
    pictures: dict[str, bytes] = {}
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            parts.append(cell.source)
            continue
        parts.append(f"```python\n{cell.source}\n```")
        for output in joined(cell.outputs):
            data = output.get("data", {})
            if "image/png" in data:
                picture = f"{name}-{len(pictures) + 1}.png"
                pictures[picture] = b64decode(data["image/png"])
                parts.append(f"![What the cell shows]({picture}){{ .output }}")
            elif "text/html" in data:
                parts.append(f'<div class="output" markdown="0">\n{_one_block(data)}\n</div>')
            elif shown := text_of(output):
                parts.append(f'<pre class="output">{html.escape(shown.rstrip())}</pre>')
    source = f"examples/notebooks/{name}.ipynb"
    parts.append(f"*This page is the notebook `{source}`, run when the site was built.*")
    return "\n\n".join(parts) + "\n", pictures


def joined(outputs: list[Any]) -> list[Any]:
    """Outputs, with what was printed piece by piece in one."""
    result: list[Any] = []
    for output in outputs:
        if output.output_type == "stream" and result and result[-1].output_type == "stream":
            both = result[-1].text + output.text
            result[-1] = nbformat.from_dict({**result[-1], "text": both})
        else:
            result.append(output)
    return result


def text_of(output: Any) -> str:  # noqa: ANN401
    """What a cell printed, or its last value as text."""
    if output.output_type == "stream":
        return output.text
    return output.get("data", {}).get("text/plain", "")


def _one_block(data: Any) -> str:  # noqa: ANN401
    """HTML without blank lines, which would end the block in Markdown; a page in it stays as is."""
    kept = re.sub(
        r'srcdoc="[^"]*"', lambda found: found[0].replace("\n", "&#10;"), data["text/html"]
    )
    return re.sub(r"\n\s*\n", "\n", kept)
