"""The report as PDF: every kind of it is valid PDF/UA-1 by veraPDF's judgement."""

from __future__ import annotations

import asyncio
import importlib
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import council
import pytest
import services
import verapdf
from report_month import NOW_MS, OCTOBER, STORE, month_content, october_content
from store_doubles import MemoryStore
from unpacked_pdf import unpacked_pdf

from collectors.estate import Estate, Site
from collectors.experience.good_quarter_hours import PARTS
from dashboards import chart
from dashboards.report.parity import ParityFigures
from dashboards.report.report_data import gather_content
from dashboards.report.report_html import render_html, style_sheet
from dashboards.report.report_pdf import on_paper, spoken, write_pdf

# Five reports are made for the first of these tests.
pytestmark = [pytest.mark.service, pytest.mark.timeout(400)]
EMPTY: Any = MemoryStore([])
KINDS = {
    "a month with charts": {},
    "one site": {"site": "depot"},
    "an empty month": {"store": EMPTY},
    # Those of the first three are in charts too.
    "odd names": {
        "names": (
            "مكتبة (2) \u202eTown",
            "a\x01b\x1b[31m<b>&amp;\u200b",
            "Unbroken" * 60,
            "מרכז קהילתי",
            "A\u2066\u200bC",
            "tab\tx\ny",
            "x\x7f\x85y",
            "Very long " * 40,
            "図書館",
            "Library 🚲",
            "\U0001d54f\u0301",
        )
    },
    "many sites": {"more": 25, "store": EMPTY},
}


def _estate(names: tuple[str, ...] = (), more: int = 0) -> Estate:
    """The council's sites by other names, and further sites."""
    estate = council.estate()
    named = dict(zip(estate.sites, names, strict=False))
    sites = [
        site.model_copy(update={"name": named.get(site) or site.name})
        for site in estate.sites
    ]
    others = (*names[len(sites) :], *(f"Site {n}" for n in range(more)))
    sites += [Site(id=f"s{n}", name=name) for n, name in enumerate(others)]
    return estate.model_copy(update={"sites": tuple(sites)})


def _html(
    store: Any = STORE, site: str = "", names: tuple[str, ...] = (), more: int = 0
) -> str:
    if site:
        return render_html(month_content(site=site), "Borough of Example")
    estate = _estate(names, more)
    content = asyncio.run(
        gather_content(OCTOBER, list(estate.sites), store, estate, NOW_MS)
    )
    return render_html(content, "Borough of Example")


@pytest.fixture(scope="module")
def pdfs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    try:
        importlib.import_module("weasyprint")
    except OSError:
        services.absent("the system has no Pango (make services)")
    folder = tmp_path_factory.mktemp("pdf")
    made = {kind: folder / f"{kind}.pdf" for kind in KINDS}
    for kind, path in made.items():
        note = write_pdf(_html(**KINDS[kind]), style_sheet(), path)
        # Any font has the letters of plain names.
        assert note == "" or "names" in KINDS[kind]
    return made


@pytest.fixture(scope="module")
def findings(pdfs: dict[str, Path]) -> dict[str, list[str]]:
    """Of the reports and of one with a fault, all in one run: Java starts slowly."""
    html = _html(store=EMPTY).replace("</main>", '<svg viewBox="0 0 9 9"></svg></main>')
    faulty = next(iter(pdfs.values())).parent / "faulty.pdf"
    write_pdf(html, style_sheet(), faulty)
    return verapdf.findings([*pdfs.values(), faulty])


@pytest.mark.parametrize("kind", KINDS)
def test_the_report_is_valid_pdf_ua(kind: str, findings: dict[str, list[str]]) -> None:
    assert findings[f"{kind}.pdf"] == []


def test_the_validator_finds_a_figure_without_words(
    findings: dict[str, list[str]],
) -> None:
    (finding,) = findings["faulty.pdf"]
    assert finding.startswith("7.3-1 (1 times)")


def test_the_alternative_text_of_each_chart_describes_it(pdfs: dict[str, Path]) -> None:
    text = unpacked_pdf(pdfs["a month with charts"].read_bytes())
    alternatives = [
        _text(literal)
        for literal in re.findall(rb"/Alt ?(\(.*?\)|<[0-9a-f]*>)\n?", text)
    ]
    chart = "circuit ETH100123: use of the contracted speed in October 2026. Each hour"
    assert any(chart in text for text in alternatives)
    assert any("each day of October 2026. Of 31 intervals" in s for s in alternatives)


def _text(literal: bytes) -> str:
    if literal.startswith(b"<"):
        return bytes.fromhex(literal[1:-1].decode()).decode("utf-16")
    return literal[1:-1].decode("latin-1")


def test_letters_that_no_font_has_are_written_by_number_with_a_note(
    tmp_path: Path,
) -> None:
    html = _html(store=EMPTY, names=("Old \U0001f6b2\ufdd0", "B", "C"))
    told: list[str] = []
    note = write_pdf(html, style_sheet(), tmp_path / "x.pdf", told.append)
    assert told[:2] == ["writing the PDF: page 1", "writing the PDF: page 2"]
    assert "characters that no font of this machine has" in note
    assert "fonts-noto" in note


def test_a_hidden_drawing_is_a_background_and_one_with_a_title_is_text() -> None:
    icon = (
        '<svg width="14" height="12" viewBox="0 0 1 1" aria-hidden="true"><path/></svg>'
    )
    strip = chart.strip("x", "A <b>", ["ok", "bad"])
    html = spoken(f"{icon}{chart.bar(0.5, 'ok')}{strip}")
    assert html.count("<svg") == 1
    assert "width: 14px; height: 12px" in html
    assert "width: 60px; height: 8px" in html
    assert "A &lt;b&gt;. Of 2 intervals: 1 working" in html


def test_the_summary_fits_one_sheet_even_with_long_names_and_three_parts() -> None:
    try:
        weasyprint = importlib.import_module("weasyprint")
    except OSError:
        services.absent("the system has no Pango (make services)")
    content = october_content()
    sites = tuple(
        replace(
            content.sites[n % 3],
            site=content.sites[n % 3].site.model_copy(
                update={
                    "id": f"s{n}",
                    "name": "Unbroken" * 10 if n % 2 else "A long name of a hall " * 4,
                    "latitude": 53.0 + n / 10,
                    "longitude": -2.0,
                }
            ),
            availability=replace(
                content.sites[n % 3].availability, open_down_ms=9_000_000.0 * (n + 1)
            ),
        )
        for n in range(8)
    )
    parity = tuple(
        ParityFigures(part, "all", "all", 0.03, "kept", "", 0.9, 0.9, -0.02, 0.02)
        for part in PARTS
    )
    html = render_html(replace(content, sites=sites, parity=parity), "Council")
    end = html.index('<section aria-labelledby="availability">')
    assert "Where sites were reached" in html[:end]
    first = f"{html[:end]}<p>The next page</p></div></main></body></html>"
    text = spoken(on_paper(first, style_sheet()))
    pages = weasyprint.HTML(string=text).render().pages
    assert len(pages) == 2
