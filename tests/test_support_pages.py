"""The service desk opens one laptop's last day: with the code, and only with it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import accessible
import council
import httpx2
import pytest
from council_page import CSS, page_text
from hypothesis import given
from hypothesis import strategies as st
from signing_in import (
    BASE,
    add_user,
    audited,
    cheap_hashes,  # noqa: F401 - a fixture
    enter,
    form_fields,
    sign_in_config,
)
from starlette.testclient import TestClient
from store_doubles import AlertList, MemoryStore

from alerts.alert import Alert
from collectors.batch import batch_samples
from collectors.server_measurements import CATALOGUE
from collectors.store import StoreConfig, open_store
from collectors.support_codes import SupportCodes, end_support, erase_support
from dashboards.web import StatusPage
from dashboards.web.laptop_day import (
    DAY_MS,
    HOUR_MS,
    day_queries,
    laptop_day,
    read_rows,
)
from dashboards.web.visitors import Role
from probes.wire.failure import Outcome
from probes.wire.report import Report, Result, Whereabouts, samples
from probes.wire.sample import Sample

NOW_MS = 1_795_000_000_000 + 37 * 60_000
HER, OTHER = "k1-aaaaaaaaaaaaaaaa", "k1-bbbbbbbbbbbbbbbb"
MINUTE_MS = 60_000
HOME = Whereabouts("home", "", "wifi", "up")
WEAK = {"signal_dbm": -82, "signal_min_dbm": -86}
GOOD_CALLS = {"rtt_ms": 21.0, "loss_ratio": 0.0, "jitter_ms": 2.0, "poor": 0}


def rows(
    agent: str, at_ms: int, *results: Result, where: Whereabouts = HOME
) -> list[Sample]:
    report = Report(1, "r", agent, at_ms, "towpath-agent 1", where, results)
    return samples(report, "library", "Example Broadband")


def weak_wifi(at_ms: int) -> list[Result]:
    return [
        Result("wifi", 1, at_ms, Outcome.OK, "", WEAK),
        Result("call_path", 1, at_ms, Outcome.OK, "reflector", GOOD_CALLS),
    ]


def her_day() -> list[Sample]:
    """Weak Wi-Fi now, and a good connection by cable in the morning."""
    good_ms = NOW_MS - 5 * HOUR_MS
    cable = Whereabouts("office", "library", "wired", "absent")
    calls = Result("call_path", 1, good_ms, Outcome.OK, "reflector", GOOD_CALLS)
    now_ms = NOW_MS - 3 * MINUTE_MS
    return [
        *rows(HER, good_ms, calls, where=cable),
        *rows(HER, now_ms, *weak_wifi(now_ms)),
        *rows(
            OTHER,
            now_ms,
            Result("web", 1, now_ms, Outcome.TIMEOUT, "secret service"),
        ),
    ]


class Desk:
    def __init__(self, client: TestClient, codes: SupportCodes, folder: Path) -> None:
        self.client, self.codes, self.folder = client, codes, folder

    def send(self, code: str) -> Any:
        page = self.client.get("/support")
        return self.client.post(
            "/support", data=form_fields(page.text) | {"code": code}
        )

    def outcomes(self) -> list[str]:
        return [
            entry.outcome
            for entry in audited(self.folder)
            if entry.action == "open support code"
        ]


@contextmanager
def desk(
    folder: Path,
    role: Role = Role.SERVICE_DESK,
    store: Any = None,
    now: list[int] | None = None,
    alerts: list[Alert] | None = None,
) -> Iterator[Desk]:
    clock = now or [NOW_MS]
    codes = SupportCodes(folder / "support-codes.sqlite", lambda: clock[0])
    page = StatusPage(
        sign_in_config(folder, local_users=True),
        council.estate,
        AlertList(council.alerts(NOW_MS) if alerts is None else alerts),
        MemoryStore(her_day()) if store is None else store,
        now_ms=lambda: clock[0],
        support=codes,
    )
    add_user(folder, "Grace Hopper", role)
    with TestClient(page.app, base_url=BASE, follow_redirects=False) as client:
        enter(client, "Grace Hopper")
        yield Desk(client, codes, folder)


def test_the_desk_reads_one_verdict_and_what_to_say_and_try(tmp_path: Path) -> None:
    with desk(tmp_path) as here:
        code = here.codes.make(HER).code
        answer = here.send(f" {code[:4].lower()}-{code[4:]} ")
        assert answer.status_code == 303
        page = here.client.get(answer.headers["location"])
        text = page_text(page.text)
        assert accessible.findings(page.text, CSS) == []
        assert "Problem at" in text
        assert re.search(r"Tell the caller .*Wi-Fi", text)
        assert "To try" in text
        assert "At home, Wi-Fi, VPN connected, provider Example Broadband" in text
        assert "Off, asleep or not connected" in text
        # Another laptop's results are in the same store, and no pseudonym is shown.
        assert "secret service" not in text
        assert HER not in page.text
        assert here.outcomes() == ["done"]
        assert [look.who for look in here.codes.of_laptop(HER).looks] == [
            "Grace Hopper"
        ]
    entries = audited(tmp_path)
    assert not any(HER in str(entry) for entry in entries)


def test_what_others_have_too_is_not_blamed_on_the_caller(tmp_path: Path) -> None:
    at_ms = NOW_MS - 40 * MINUTE_MS
    path = {"provider_rtt_ms": 14.0, "provider_loss_ratio": 0.07}
    lossy = Result("path", 1, at_ms, Outcome.OK, "hall", path)
    summary = "38% of call tests through Example Broadband are poor"
    provider = {"by": "provider", "group": "Example Broadband"}
    others = Alert(
        "calls_poor_provider", provider, "warning", "firing", at_ms, summary=summary
    )
    with desk(
        tmp_path, store=MemoryStore(rows(HER, at_ms, lossy)), alerts=[others]
    ) as here:
        where = here.send(here.codes.make(HER).code).headers["location"]
        page = here.client.get(where)
    text = page_text(page.text)
    assert f"Tell the caller This is not your laptop alone: {summary}." in text
    assert "Others have this too, so nothing at the caller's end mends it." in text
    assert "Restart your router" not in text
    # Of forty minutes ago.
    assert "This is how it was at that time, not how it is now." in text
    assert accessible.findings(page.text, CSS) == []


def test_a_laptop_that_measured_nothing_of_the_network_has_no_verdict(
    tmp_path: Path,
) -> None:
    at_ms = NOW_MS - 3 * MINUTE_MS
    own = Result("agent", 1, at_ms, Outcome.OK, "", {"rss_bytes": 4e7})
    with desk(tmp_path, store=MemoryStore(rows(HER, at_ms, own))) as here:
        where = here.send(here.codes.make(HER).code).headers["location"]
        text = page_text(here.client.get(where).text)
    assert "Not measured at" in text
    assert "It is not known whether the connection is well." in text
    assert "No problem found" not in text


def test_a_wrong_code_opens_nothing_and_is_recorded(tmp_path: Path) -> None:
    with desk(tmp_path) as here:
        code = here.codes.make(HER).code
        here.codes.open(code, "somebody-else", "Eve")
        for typed, said in (
            ("", "Enter the code"),
            ("ACDE 347", "such as ACDE 3479"),
            ("acde 34o1", "No code has O or 1: read it again"),
            ("\u202eACDE\u20133479", "not known or has expired"),
            ("AAAA AAAA", "not known or has expired"),
            (code, "Another person has used this code"),
        ):
            page = here.send(typed)
            assert page.status_code in (400, 403)
            assert said in page_text(page.text)
            assert accessible.findings(page.text, CSS) == []
            assert "\u202e" not in page.text
        assert len(here.outcomes()) == 5
        assert all(outcome.startswith("refused") for outcome in here.outcomes())
        for _ in range(5):
            here.send("AAAA AAAA")
        slow = here.send(here.codes.make(OTHER).code)
        assert slow.status_code == 429
        assert 0 < int(slow.headers["retry-after"]) <= 30
        assert "too many wrong codes" in page_text(slow.text)
    assert here.codes.of_laptop(OTHER).looks == ()


def test_what_a_code_opened_is_closed_with_it_and_for_others(tmp_path: Path) -> None:
    now = [NOW_MS]
    with desk(tmp_path, now=now) as here:
        where = here.send(here.codes.make(HER).code).headers["location"]
        assert here.client.get(where).status_code == 200
        assert here.client.get("/support/another").status_code == 404
        now[0] += 59 * MINUTE_MS
        assert here.client.get(where).status_code == 200
        now[0] += MINUTE_MS
        assert here.client.get(where).status_code == 404


async def test_a_volley_of_guesses_passes_no_limit(tmp_path: Path) -> None:
    with desk(tmp_path) as here:
        fields = form_fields(here.client.get("/support").text) | {"code": "AAAA AAAA"}
        cookies = dict(here.client.cookies)
        transport = httpx2.ASGITransport(here.client.app)
        async with httpx2.AsyncClient(
            transport=transport, base_url=BASE, cookies=cookies
        ) as browser:
            answers = await asyncio.gather(
                *(browser.post("/support", data=fields) for _ in range(40))
            )
    statuses = [answer.status_code for answer in answers]
    assert (statuses.count(403), statuses.count(429)) == (10, 30)


def test_a_laptop_that_is_revoked_or_erased_meanwhile_is_closed(
    tmp_path: Path,
) -> None:
    with desk(tmp_path) as here:
        for close in (end_support, erase_support):
            code = here.codes.make(HER).code
            where = here.send(code).headers["location"]
            assert here.client.get(where).status_code == 200
            close(here.codes.path, HER)
            assert here.client.get(where).status_code == 404
            assert here.send(code).status_code == 403
    end_support(tmp_path / "none.sqlite", HER)
    assert not (tmp_path / "none.sqlite").exists()


@pytest.mark.parametrize("role", [Role.STAFF, Role.MANAGER])
def test_nobody_else_opens_a_laptop(tmp_path: Path, role: Role) -> None:
    with desk(tmp_path, role) as here:
        assert here.client.get("/support").status_code == 403
        home = here.client.get("/")
        assert 'href="/support"' not in home.text
        fields = form_fields(home.text) | {"code": here.codes.make(HER).code}
        assert here.client.post("/support", data=fields).status_code == 403
        assert here.codes.of_laptop(HER).looks == ()


def test_nothing_is_opened_that_cannot_be_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dashboards.web.sign_in.access_audit import AccessAudit

    def full(*_values: object) -> None:
        raise OSError("no space left")

    with desk(tmp_path) as here:
        code = here.codes.make(HER).code
        monkeypatch.setattr(AccessAudit, "record", full)
        answer = here.send(code)
    assert answer.status_code == 503
    assert "location" not in answer.headers


class _NoStore:
    async def query(self, _query: object) -> list[object]:
        raise OSError("the store is down")


def test_a_laptop_without_results_and_a_store_that_is_down_are_two_things(
    tmp_path: Path,
) -> None:
    with desk(tmp_path, store=MemoryStore()) as here:
        where = here.send(here.codes.make(HER).code).headers["location"]
        text = page_text(here.client.get(where).text)
        assert "has reported nothing in the last 24 hours" in text
        assert "did not answer" not in text
    (tmp_path / "sign-in.sqlite").unlink()
    with desk(tmp_path, store=_NoStore()) as here:
        where = here.send(here.codes.make(HER).code).headers["location"]
        page = here.client.get(where)
        assert "The store did not answer for" in page_text(page.text)
        assert accessible.findings(page.text, CSS) == []


async def test_the_real_store_gives_the_same_day(tmp_path: Path) -> None:
    samples_of_all = her_day()
    to_ms = NOW_MS + MINUTE_MS
    answers = []
    async with open_store(StoreConfig(folder=tmp_path / "store"), CATALOGUE) as real:
        await real.write(batch_samples(samples_of_all, "agent/x", NOW_MS))
        for store in (real, MemoryStore(samples_of_all)):
            placed = []
            for query in day_queries(HER, to_ms):
                placed += read_rows(query.measurement, await store.query(query))
            answers.append(laptop_day(placed, to_ms))
    assert answers[0] == answers[1]
    assert answers[0] is not None
    assert len(answers[0].latest) == 2
    assert not answers[0].verdict.good


OUTCOMES = st.sampled_from(Outcome)
PROBES = st.sampled_from(["call_path", "wifi", "web", "vpn", "name_lookup", "path"])


@given(
    st.lists(
        st.tuples(PROBES, OUTCOMES, st.integers(0, DAY_MS + HOUR_MS), st.booleans()),
        max_size=30,
    )
)
def test_every_day_has_a_verdict_and_its_hours_are_of_the_day(
    measured: list[tuple[str, Outcome, int, bool]],
) -> None:
    placed = []
    for probe, outcome, ago_ms, is_home in measured:
        at_ms = NOW_MS - ago_ms
        where = HOME if is_home else Whereabouts("office", "library", "wired", "absent")
        placed += _placed(probe, outcome, at_ms, where)
    day = laptop_day(placed, NOW_MS)
    if not measured:
        assert day is None
        return
    assert day is not None
    assert day.verdict.headline
    assert day.at_ms == max(each.result.time_ms for each in placed)
    spans = [(hour.from_ms, hour.until_ms) for hour in day.hours]
    assert spans == sorted(spans, reverse=True)
    assert all(until - start == HOUR_MS for start, until in spans)
    assert len(day.hours) <= 25


def _placed(probe: str, outcome: Outcome, at_ms: int, where: Whereabouts):  # type: ignore[no-untyped-def]
    from collectors.store.query import Row

    tags = {
        "place": where.place,
        "site": where.site,
        "connection": where.connection,
        "vpn": where.vpn,
        "home_site": "library",
        "provider": "Example",
        "target": "",
    }
    return read_rows(probe, [Row(at_ms, tags, {"outcome_last": outcome.value})])


def test_a_row_of_a_newer_agent_is_left_out() -> None:
    from collectors.store.query import Row

    odd = [
        Row(1, {"place": "moon"}, {"outcome_last": "ok"}),
        Row(1, {}, {"outcome_last": "melted"}),
        Row(1, {}, {}),
    ]
    assert read_rows("wifi", odd) == []
