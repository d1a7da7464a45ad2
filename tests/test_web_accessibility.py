"""Every page passes the automatic accessibility checks, and the checks find faults."""

from __future__ import annotations

import accessible
import pytest
from council_page import CSS, page_client
from store_doubles import AlertList, MemoryStore

PATHS = (
    "/",
    "/sites/depot",
    "/sites/library",
    "/devices/th-sw1",
    "/devices/th-sw1/port?name=Te1/1/1&range=7d",
    "/alerts",
    "/search?q=th",
    "/reports",
    "/catalogue",
    "/accessibility",
    "/nothing",
)


@pytest.mark.parametrize("path", PATHS)
def test_every_page_passes_the_automatic_accessibility_checks(path: str) -> None:
    with page_client(grafana_url="https://grafana.example") as client:
        assert accessible.findings(client.get(path).text, CSS) == []


@pytest.mark.parametrize("path", PATHS[:6])
def test_a_page_without_data_passes_the_accessibility_checks_too(path: str) -> None:
    with page_client(store=MemoryStore(), alerts=AlertList(broken="gone")) as client:
        assert accessible.findings(client.get(path).text, CSS) == []


def test_the_accessibility_checks_find_each_fault() -> None:
    page = (
        '<html><head><title></title></head><body><h3 style="color:red">x</h3>'
        "<table><tr><td>1</td></tr></table><img src=x><svg></svg></body></html>"
    )
    findings = " ".join(accessible.findings(page, CSS.replace("#17212b", "#cccccc")))
    for sign in (
        "language",
        "title",
        "caption",
        "alt",
        "role=img",
        "style",
        "contrast",
    ):
        assert sign in findings or (sign == "contrast" and "ink on page" in findings)
