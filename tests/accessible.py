"""What can be checked of WCAG 2.2 AA without a browser: structure, names, contrast.

`findings(html, css)` returns one sentence for everything that is wrong.
"""

from __future__ import annotations

import re
from html.parser import HTMLParser

_VOID = {"meta", "link", "br", "wbr", "img", "input", "hr", "path", "line", "rect"}
# (foreground, background, least ratio): texts 4.5, marks of meaning 3.
_PAIRS = [
    *(
        (text, back, 4.5)
        for text in ("ink", "muted", "accent")
        for back in ("page", "panel")
    ),
    *((kind, "panel", 4.5) for kind in ("ok", "warn", "bad", "none")),
    *((kind, "page", 4.5) for kind in ("ok", "warn", "bad", "none")),
    *(("ink", f"{kind}-back", 4.5) for kind in ("ok", "warn", "bad", "none")),
    *(("accent", f"{kind}-back", 4.5) for kind in ("warn", "bad", "none")),
    *((mark, "panel", 3.0) for mark in ("c1", "c2", "c3", "limit", "none")),
    ("focus", "focus-back", 4.5),
    *(("ring", back, 3.0) for back in ("page", "panel")),
]


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.stack: list[tuple[str, dict[str, str | None]]] = []
        self.found: list[str] = []
        self.ids: list[str] = []
        self.wanted_ids: list[tuple[str, str]] = []
        self.headings: list[int] = []
        self.counts: dict[str, int] = {}
        self.lang = self.title = ""
        self.hrefs: list[str] = []
        self._texts: list[tuple[str, list[str]]] = []
        self._tables: list[dict[str, int]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        held = dict(attrs)
        self.counts[tag] = self.counts.get(tag, 0) + 1
        if "id" in held:
            self.ids.append(held["id"] or "")
        for name in ("aria-labelledby", "aria-describedby", "for"):
            for word in (held.get(name) or "").split():
                self.wanted_ids.append((word, f"<{tag} {name}>"))
        if tag == "html":
            self.lang = held.get("lang") or ""
        if re.fullmatch(r"h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag == "img" and "alt" not in held:
            self.found.append("an image without alt")
        if (
            tag == "svg"
            and held.get("aria-hidden") != "true"
            and held.get("role") != "img"
        ):
            self.found.append("a drawing that is neither hidden nor role=img")
        if (
            tag == "svg"
            and held.get("role") == "img"
            and not held.get("aria-labelledby")
        ):
            self.found.append("a drawing without a name")
        if held.get("aria-hidden") == "true" and held.get("tabindex") == "0":
            self.found.append(f"<{tag}> is hidden but can be focused")
        if tag != "main" and held.get("tabindex") == "0":
            self.found.append(f"<{tag}> is a stop of the Tab key, and nothing scrolls")
        if tag == "caption" and held.get("role"):
            self.found.append("a caption has no role")
        if tag == "th" and not held.get("scope"):
            self.found.append("a header cell without scope")
        if tag == "table":
            self._tables.append({"caption": 0, "th": 0})
        if self._tables and tag in ("caption", "th"):
            self._tables[-1][tag] += 1
        if held.get("role") == "region" and not (
            held.get("aria-label") or held.get("aria-labelledby")
        ):
            self.found.append("a region without a name")
        if tag in ("nav", "section") and not (
            held.get("aria-label") or held.get("aria-labelledby")
        ):
            self.found.append(f"<{tag}> without a name")
        if "style" in held or any(name.startswith("on") for name in held):
            self.found.append(f"<{tag}> has style or script inside, which is forbidden")
        if tag == "meta" and held.get("http-equiv") == "refresh":
            self.found.append("a page that reloads itself")
        if tag == "meta" and "maximum-scale" in (held.get("content") or ""):
            self.found.append("a page that forbids zooming")
        if tag == "a" and "href" in held:
            self.hrefs.append(held["href"] or "")
        if tag in ("a", "button", "summary", "title", "desc", "figcaption", "caption"):
            self._texts.append((tag, [held.get("aria-label") or ""]))
        if tag not in _VOID:
            self.stack.append((tag, held))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in _VOID:
            self.handle_endtag(tag)

    def handle_data(self, data: str) -> None:
        for _, parts in self._texts:
            parts.append(data)

    def handle_endtag(self, tag: str) -> None:
        if not self.stack or self.stack[-1][0] != tag:
            self.found.append(
                f"</{tag}> closes {self.stack[-1][0] if self.stack else ''!r}"
            )
            while self.stack and self.stack[-1][0] != tag:
                self.stack.pop()
        if self.stack:
            self.stack.pop()
        if self._texts and self._texts[-1][0] == tag:
            text = "".join(self._texts.pop()[1]).strip()
            if not text:
                self.found.append(f"an empty <{tag}>")
            if tag == "title" and not any(name == "svg" for name, _ in self.stack):
                self.title = text
        if tag == "table":
            held = self._tables.pop()
            if not held["caption"]:
                self.found.append("a table without a caption")
            if not held["th"]:
                self.found.append("a table without header cells")


def findings(
    html: str, css: str, pairs: list[tuple[str, str, float]] = _PAIRS
) -> list[str]:
    page = _Page()
    page.feed(html)
    page.close()
    problems = list(page.found)
    if page.stack:
        problems.append(f"never closed: {[name for name, _ in page.stack]}")
    if page.lang != "en-GB":
        problems.append(f"the page's language is {page.lang!r}")
    if not page.title:
        problems.append("the page has no title")
    for landmark in ("main", "header", "footer", "h1"):
        if page.counts.get(landmark) != 1:
            problems.append(
                f"{page.counts.get(landmark, 0)} of <{landmark}>, expected one"
            )
    if page.headings and page.headings[0] != 1:
        problems.append("the first heading is not h1")
    for above, below in zip(page.headings, page.headings[1:], strict=False):
        if below > above + 1:
            problems.append(f"h{below} follows h{above}")
    for each in {i for i in page.ids if page.ids.count(i) > 1}:
        problems.append(f"id {each!r} is there twice")
    for each, where in page.wanted_ids:
        if each not in page.ids:
            problems.append(f"{where} names {each!r}, which is not there")
    skips = [href for href in page.hrefs if href.startswith("#")]
    problems += [
        f"link to {h!r}, which is not there" for h in skips if h[1:] not in page.ids
    ]
    if "#main" not in skips:
        problems.append("no link that skips to the content")
    if ":focus-visible" not in css:
        problems.append("the style sheet shows no focus")
    return problems + contrasts(css, pairs)


def contrasts(css: str, pairs: list[tuple[str, str, float]] = _PAIRS) -> list[str]:
    """Pairs of colours of too little contrast, in light and in dark."""
    blocks = re.findall(r":root\s*\{([^}]*)\}", css)
    light = dict(re.findall(r"--([a-z0-9-]+):\s*(#[0-9a-f]{6})", blocks[0]))
    found = []
    schemes = {"light": light}
    for block in blocks[1:]:
        changed = dict(re.findall(r"--([a-z0-9-]+):\s*(#[0-9a-f]{6})", block))
        if "ink" in changed:
            schemes["dark"] = {**light, **changed}
    for scheme, colours in schemes.items():
        for front, back, least in pairs:
            ratio = contrast(colours[front], colours[back])
            if ratio < least:
                found.append(
                    f"{scheme}: {front} on {back} is {ratio:.2f}:1, under {least}"
                )
    return found


def contrast(one: str, other: str) -> float:
    """Relative luminance ratio, WCAG 2.2."""

    def luminance(colour: str) -> float:
        parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
        linear = [
            c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts
        ]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)
