"""Tables of a result as HTML, for notebooks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape


def html_table(
    title: str, header: Sequence[str], rows: Iterable[Sequence[str]], notes: Iterable[str] = ()
) -> str:
    """A table with a title above and notes below; every text is escaped.

    Numbers are to the right: all columns but the first are.

    Examples:
        >>> html_table("a < b", ["n"], [["1"]]).startswith("<div><strong>a &lt; b</strong>")
        True
    """

    def row(cells: Sequence[str], kind: str) -> str:
        aligned = ("left" if place == 0 else "right" for place in range(len(cells)))
        inside = (
            f'<{kind} style="text-align: {side}">{escape(cell)}</{kind}>'
            for side, cell in zip(aligned, cells, strict=True)
        )
        return f"<tr>{''.join(inside)}</tr>"

    body = "".join(row(cells, "td") for cells in rows)
    below = "<br>".join(escape(note) for note in notes)
    return (
        f"<div><strong>{escape(title)}</strong><table><thead>{row(header, 'th')}</thead>"
        f"<tbody>{body}</tbody></table><small>{below}</small></div>"
    )
