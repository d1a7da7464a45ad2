"""A report as a tagged PDF (PDF/UA-1), with WeasyPrint.

WeasyPrint draws an SVG by what is inside it alone: the page's style sheet and its
variables do not reach there. So each drawing is given the rules that are about marks,
with the colours of the light page.
"""

from __future__ import annotations

import importlib
import re
from pathlib import Path

_VARIABLE = re.compile(r"--([\w-]+):\s*([^;}]+)")
_RULE = re.compile(r"([^{}]+)\{([^{}]*)\}")
# Comments, and whatever holds under a condition only.
_APART = re.compile(r"/\*.*?\*/|@media[^{]*\{(?:[^{}]*\{[^{}]*\})*[^{}]*\}", re.DOTALL)


class NoPdf(RuntimeError):
    """No PDF can be made here; the text says what is missing."""


def write_pdf(html: str, css: str, path: Path) -> None:
    """`NoPdf` where WeasyPrint, or the Pango it needs, is not there."""
    try:
        weasyprint = importlib.import_module("weasyprint")
    except ImportError:
        raise NoPdf(
            "No PDF was made: WeasyPrint is not here (pip install 'towpath[pdf]'); the "
            "web page prints to PDF from any browser."
        ) from None
    except OSError:
        raise NoPdf(
            "No PDF was made: WeasyPrint needs the system's Pango (Debian: apt-get "
            "install libpango-1.0-0 libpangoft2-1.0-0; macOS: brew install pango); the "
            "web page prints to PDF from any browser."
        ) from None
    part = path.with_name(f".{path.name}.part")
    weasyprint.HTML(string=on_paper(html, css)).write_pdf(
        part, pdf_tags=True, pdf_variant="pdf/ua-1"
    )
    part.replace(path)


def on_paper(html: str, css: str) -> str:
    """`html` whose drawings bring the part of the sheet `css` that they need. Pure."""
    sheet = _APART.sub("", css)
    colours = dict(_VARIABLE.findall(sheet))

    def plain(text: str) -> str:
        return re.sub(r"var\(--([\w-]+)\)", lambda m: colours[m[1]].strip(), text)

    marks = "".join(
        f"{selector.strip().removeprefix('.key ')}{{{plain(body.strip())}}}"
        for selector, body in _RULE.findall(sheet)
        if re.search(r"\b(fill|stroke)\b", body) and "currentColor" not in body
    )
    levels = re.findall(r"\.status\.(\w+)\s*\{\s*color:\s*([^;}]+)", sheet)
    for level, colour in levels:
        before = f'<span class="status {level}"><svg '
        html = html.replace(before, f'{before}fill="{plain(colour).strip()}" ')
    return re.sub(r"(<svg\b[^>]*>)", rf"\1<style>{marks}</style>", html)
