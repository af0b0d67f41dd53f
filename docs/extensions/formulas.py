"""Formulas between dollars become MathML, which browsers draw by themselves: no script, no network.

Arithmatex finds them and marks them, this hook typesets what it has marked.
"""

from __future__ import annotations

import re
from html import unescape

from latex2mathml.converter import convert

_INLINE = re.compile(r'<span class="arithmatex">\\\((.*?)\\\)</span>', re.DOTALL)
_BLOCK = re.compile(r'<div class="arithmatex">\s*\\\[(.*?)\\\]\s*</div>', re.DOTALL)


def on_page_content(html: str, **_: object) -> str:
    """A page with its formulas typeset; called by MkDocs."""
    html = _INLINE.sub(lambda found: convert(unescape(found[1])), html)
    # On a phone a long one is scrolled, and not the page.
    return _BLOCK.sub(
        lambda found: f'<div class="formula">{convert(unescape(found[1]), display="block")}</div>',
        html,
    )
