"""How the status page is served: start, addresses, headers, escaping, report files."""

from __future__ import annotations

import asyncio
import re
import socket
import urllib.request
from pathlib import Path

import accessible
import council
import pytest
from council_page import CSS, NOW_MS, STORE, page_client, page_text
from starlette.testclient import TestClient
from store_doubles import AlertList, MemoryStore

from alerts.alert import Alert
from dashboards.web import PageError, StatusPage, WebConfig


@pytest.mark.parametrize("path", ["/sites/nowhere", "/nothing", "/reports/x.html"])
def test_an_unknown_address_returns_404_with_a_page_that_says_so(path: str) -> None:
    with page_client() as client:
        answer = client.get(path)
    assert answer.status_code == 404
    assert "Page not found" in answer.text


def test_markup_in_names_of_the_estate_or_alerts_is_escaped() -> None:
    evil = "<script>alert(1)</script>"
    estate = council.estate()
    named = estate.sites[0].model_copy(update={"name": evil})
    estate = estate.model_copy(update={"sites": (named, *estate.sites[1:])})
    alerts = AlertList(
        [
            Alert(
                "r",
                {"device": evil},
                "critical",
                "firing",
                1,
                "town-hall",
                summary=evil,
            )
        ]
    )
    with page_client(
        estate=estate, alerts=alerts, grafana_url="https://grafana.example"
    ) as client:
        for path in ("/", "/sites/town-hall", "/alerts", f"/sites/{evil}"):
            assert "<script>alert" not in client.get(path).text


def test_the_content_security_policy_allows_nothing_from_other_hosts() -> None:
    with page_client() as client:
        answer = client.get("/")
        status = client.get("/api/status.json")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe-inline" not in policy
    assert "frame-ancestors 'none'" in policy
    assert status.headers["x-content-type-options"] == "nosniff"
    assert status.headers["cache-control"] == "no-store"
    # Over HTTP, this would be for other services of the name.
    assert "strict-transport-security" not in answer.headers
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', answer.text)


def test_a_method_that_a_page_does_not_have_is_refused_with_those_that_it_has() -> None:
    with page_client() as client:
        answer = client.put("/alerts")
    assert answer.status_code == 405
    assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD"}


def test_a_request_for_another_host_name_is_refused() -> None:
    with page_client() as client:
        answer = client.get("/", headers={"host": "evil.example"})
    assert answer.status_code == 400


def test_only_reports_of_the_folder_are_listed_and_opened(tmp_path: Path) -> None:
    folder = tmp_path / "reports"
    folder.mkdir()
    (tmp_path / "secret.html").write_text("secret")
    (folder / "site-2026-10.html").write_text("<p>report</p>")
    (folder / "site-2026-10.csv").write_text("a,b")
    (folder / "notes.txt").write_text("no")
    (folder / "link.html").symlink_to(tmp_path / "secret.html")
    with page_client(reports=folder) as client:
        listed = client.get("/reports").text
        opened = client.get("/reports/site-2026-10.html")
        refused = [
            client.get(f"/reports/{name}").status_code
            for name in ("..%2Fsecret.html", "link.html", "notes.txt", "%00")
        ]
    assert "site-2026-10.html" in listed
    assert "site-2026-10.csv" in listed
    assert "notes.txt" not in listed
    assert "link.html" not in listed
    assert opened.text == "<p>report</p>"
    assert "sandbox" in opened.headers["content-security-policy"]
    assert "script-src" not in opened.headers["content-security-policy"]
    assert refused == [404, 404, 404, 404]


async def test_the_page_is_served_from_start_to_stop() -> None:
    page = StatusPage(
        WebConfig(port=0), council.estate, AlertList(), MemoryStore(), lambda: NOW_MS
    )
    async with page:
        url = page.url + "/healthz"
        body = await asyncio.to_thread(lambda: urllib.request.urlopen(url).read())
        assert b'"ok":true' in body
    with pytest.raises(OSError, match="refused"):
        await asyncio.to_thread(lambda: urllib.request.urlopen(url))


def test_a_missing_alerts_file_reads_as_no_alerts_and_is_not_created(
    tmp_path: Path,
) -> None:
    page = StatusPage(
        WebConfig(port=0),
        council.estate,
        tmp_path / "alerts.db",
        MemoryStore(),
        lambda: NOW_MS,
    )
    with TestClient(page.app, base_url="http://localhost") as client:
        text = page_text(client.get("/alerts").text)
    assert "cannot be read" not in text
    assert not list(tmp_path.iterdir())


async def test_a_port_in_use_is_reported_in_one_sentence() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        page = StatusPage(
            WebConfig(port=port), council.estate, AlertList(), MemoryStore()
        )
        with pytest.raises(PageError, match=f":{port}: Address already in use"):
            async with page:
                pass


def test_a_fault_of_towpath_is_a_page_and_goes_on_to_the_log() -> None:
    page = StatusPage(
        WebConfig(),
        lambda: 1 / 0,
        AlertList(),
        STORE,
        now_ms=lambda: NOW_MS,  # type: ignore[arg-type,return-value]
    )
    with TestClient(
        page.app, base_url="http://localhost", raise_server_exceptions=False
    ) as client:
        answer = client.get("/sites/depot?%22><script>")
    assert answer.status_code == 500
    assert accessible.findings(answer.text, CSS) == []
    assert "<h1>This page cannot be shown at the moment</h1>" in answer.text
    assert "ZeroDivisionError" not in answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    with (
        TestClient(page.app, base_url="http://localhost") as client,
        pytest.raises(ZeroDivisionError),
    ):
        client.get("/")
