"""A report as a tagged PDF (PDF/UA-1), with WeasyPrint.

WeasyPrint draws an SVG by what is inside it alone: the page's style sheet and its
variables do not reach there. So each drawing is given the rules that are about marks,
with the colours of the light page.

PDF/UA-1 (ISO 14289-1, 7.3) wants an alternative text for every figure. A drawing that
means something has its title and description; one that only repeats the words beside it
(`aria-hidden`) becomes a background, an artifact, which screen readers leave out.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

from dashboards.step_progress import Progress, untold
from probes.wire.atomic_file import replace_file
from probes.wire.counted_text import counted

_VARIABLE = re.compile(r"--([\w-]+):\s*([^;}]+)")
_RULE = re.compile(r"([^{}]+)\{([^{}]*)\}")
# Comments, and whatever holds under a condition only.
_APART = re.compile(r"/\*.*?\*/|@media[^{]*\{(?:[^{}]*\{[^{}]*\})*[^{}]*\}", re.DOTALL)
_HIDDEN_DRAWING = re.compile(
    r'<svg\b(?P<given>[^>]*\baria-hidden="true"[^>]*)>(?P<inside>.*?)</svg>', re.DOTALL
)
_DESCRIBED = re.compile(r"</title><desc\b[^>]*>(.*?)</desc>", re.DOTALL)


class PdfUnavailable(RuntimeError):
    """No PDF can be written here; the text names what is missing."""


def write_pdf(html: str, css: str, path: Path, progress: Progress = untold) -> str:
    """Writes the PDF, and returns a note about it; empty if there is none.

    A character that no font here has is written as its number (`U+56F3`), because
    PDF/UA-1 allows no empty glyph. Raises `PdfUnavailable` if WeasyPrint, or the Pango
    it needs, is missing.
    """
    try:
        weasyprint = importlib.import_module("weasyprint")
    except ImportError:
        raise PdfUnavailable(
            "No PDF was created: WeasyPrint is not installed (pip install "
            "'towpath[pdf]'); the web page prints to PDF from any browser."
        ) from None
    except OSError:
        raise PdfUnavailable(
            "No PDF was made: WeasyPrint needs the system's Pango (Debian: apt-get "
            "install libpango-1.0-0 libpangoft2-1.0-0; macOS: brew install pango); the "
            "web page prints to PDF from any browser."
        ) from None
    text, replaced = spoken(on_paper(html, css)), ""
    for _ in range(2):
        with _missing_glyphs() as missing, _told_pages(progress):
            pdf = weasyprint.HTML(string=text).write_pdf(
                pdf_tags=True, pdf_variant="pdf/ua-1"
            )
        if not missing:
            break
        replaced = "".join(sorted(missing))
        text = text.translate({ord(c): f"U+{ord(c):04X} " for c in missing})
    replace_file(path, pdf, durable=False, mode=None)
    if not replaced:
        return ""
    return (
        f"The PDF has numbers for {counted(len(replaced), 'character')} that no font "
        f"of this machine has ({replaced[:20]}). Install such a font (Debian: "
        "fonts-noto-cjk, fonts-noto-core) to have the characters themselves."
    )


@contextlib.contextmanager
def _missing_glyphs() -> Iterator[set[str]]:
    """Yields the characters of which WeasyPrint warns that no font has them."""
    missing: set[str] = set()

    def collect(message: str) -> None:
        if number := re.search(r"unsupported by fonts.*\(U\+(\w+)\)", message):
            missing.add(chr(int(number[1], 16)))

    with _forwarded(logging.getLogger("weasyprint"), collect):
        yield missing


@contextlib.contextmanager
def _told_pages(progress: Progress) -> Iterator[None]:
    """Says which page WeasyPrint is at: two hundred sites take minutes."""

    def tell(message: str) -> None:
        if page := re.search(r"\bPage (\d+)", message):
            progress(f"writing the PDF: page {page[1]}")

    logger = logging.getLogger("weasyprint.progress")
    level, logger.propagate = logger.level, False
    logger.setLevel(logging.INFO)
    try:
        with _forwarded(logger, tell):
            yield
    finally:
        logger.setLevel(level)
        logger.propagate = True


@contextlib.contextmanager
def _forwarded(
    logger: logging.Logger, receive: Callable[[str], None]
) -> Iterator[None]:
    """Passes each message of `logger` to `receive`."""

    class Forwarder(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            receive(record.getMessage())

    handler = Forwarder()
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


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


def spoken(html: str) -> str:
    """`html` with what is read out of each drawing: of one with a title that and its
    description, of one that is hidden from screen readers nothing. Pure."""
    html = _DESCRIBED.sub(r". \1</title>", html)
    return _HIDDEN_DRAWING.sub(_as_background, html)


def _as_background(drawing: re.Match[str]) -> str:
    given = drawing["given"]
    size = re.search(r'\bwidth="(\S+)" height="(\S+)"', given) or re.search(
        r'\bviewBox="\S+ \S+ (\S+) (\S+)"', given
    )
    width, height = (size[1], size[2]) if size else ("0", "0")
    whole = f'<svg xmlns="http://www.w3.org/2000/svg"{given}>{drawing["inside"]}</svg>'
    picture = f"url(data:image/svg+xml,{quote(whole)})"
    return (
        f'<span style="display: inline-block; width: {width}px; height: {height}px; '
        "flex: none; margin-right: 5px; vertical-align: -1px; "
        f'background: {picture} 0 0 / 100% 100% no-repeat"></span>'
    )
