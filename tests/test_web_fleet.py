"""The page Fleet: what it shows, to whom, and that it stays readable."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import accessible
import msgspec
import pytest
from council_fleet import POLICY, agents, fleet_source
from council_page import CSS, NOW_MS, page_client, page_text
from hypothesis import given
from hypothesis import strategies as st
from ingest_council import enrol, opened_registry, registry_config
from starlette.testclient import TestClient
from stop_keys import DAY_MS
from store_doubles import MemoryStore

from collectors.estate import Estate
from collectors.ingest.ingest_config import IngestConfig
from collectors.ingest.laptop_policies import LaptopPolicies
from collectors.ingest.pseudonym import machine_hash, read_key
from collectors.ingest.registry_reader import RegistryUnreadable, read_agents
from collectors.ingest.registry_records import EnrolledAgent
from dashboards.web import FleetSource, StatusPage, WebConfig, fleet_state
from dashboards.web.fleet_state import Filter, fleet, list_laptops, rise
from probes.wire.machine_number import machine_digest
from probes.wire.policy import SpeedTestFreeze
from probes.wire.sample import Sample

LAPTOPS = agents(250, NOW_MS)
STOP = {"ring": "pilot", "why": "calls break <b>on Wi-Fi</b>", "days": 7}


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    source = fleet_source(tmp_path, LAPTOPS, NOW_MS, STOP)
    with page_client(laptops=source, peer="127.0.0.1") as client:
        yield client


def test_each_laptop_is_in_one_state_and_a_stopped_one_is_not_silent(
    client: TestClient,
) -> None:
    view = fleet(LAPTOPS, POLICY, lambda ring: (), NOW_MS)
    assert sum(view.counts.values()) == 250
    assert (view.counts["stopped"], view.counts["revoked"]) == (0, 3)
    text = page_text(client.get("/fleet").text)
    assert "Ring pilot: everything, until" in text
    assert "calls break &lt;b&gt;on Wi-Fi&lt;/b&gt;" in text
    pilot = [laptop for laptop in view.laptops if laptop.ring == "pilot"]
    reporting = sum(laptop.state == "reporting" for laptop in pilot)
    assert f"Stopped by the council {reporting} " in text
    assert f"Silent {view.counts['silent']} " in text
    assert "hurry = false" in text
    assert "20 on towpath-agent/0.2.0" in text


def test_a_ring_has_how_many_of_its_laptops_have_its_policy(tmp_path: Path) -> None:
    config = IngestConfig(registry=registry_config(tmp_path), policy=POLICY)
    policies = LaptopPolicies(config, Estate, lambda: NOW_MS)
    laptops = [
        msgspec.structs.replace(
            laptop, policy=policies.version(laptop) if number % 2 else "0ld"
        )
        for number, laptop in enumerate(LAPTOPS[:20])
    ]
    source = fleet_source(tmp_path, laptops, NOW_MS)
    with page_client(laptops=source, peer="127.0.0.1") as client:
        text = page_text(client.get("/fleet").text)
    assert "10 of 20 laptops have fetched it" in text
    # The times without speed tests are a part of what was fetched.
    frozen = (SpeedTestFreeze("depot", NOW_MS, NOW_MS + 1),)
    source = fleet_source(tmp_path, laptops, NOW_MS, freezes=lambda now_ms: frozen)
    with page_client(laptops=source, peer="127.0.0.1") as client:
        text = page_text(client.get("/fleet").text)
    assert "0 of 20 laptops have fetched it" in text
    # A stop is a new policy.
    source = fleet_source(tmp_path, laptops, NOW_MS, STOP)
    with page_client(laptops=source, peer="127.0.0.1") as client:
        text = page_text(client.get("/fleet").text)
    assert "0 of 20 laptops have fetched it" in text


@pytest.mark.parametrize(
    ("peer", "headers"),
    [
        ("192.0.2.7", {}),
        ("127.0.0.1", {"x-forwarded-for": "192.0.2.7"}),
        ("127.0.0.1", {"forwarded": "for=192.0.2.7"}),
        ("127.0.0.1", {"via": "1.1 proxy"}),
        ("::1", {"x-real-ip": "192.0.2.7"}),
        ("unix", {}),
        ("127.0.0.1", {"host": "towpath.example"}),
        ("127.0.0.1", {"host": "localhost.example"}),
    ],
)
def test_nobody_sees_it_from_elsewhere_or_through_a_proxy(
    tmp_path: Path, peer: str, headers: dict[str, str]
) -> None:
    source = fleet_source(tmp_path, LAPTOPS, NOW_MS)
    hosts = ("localhost", "towpath.example", "localhost.example")
    with page_client(laptops=source, peer=peer, hosts=hosts) as client:
        refused = client.get("/fleet", headers=headers)
        assert refused.status_code == 403
        assert "own machine only" in refused.text
        assert LAPTOPS[0].agent not in refused.text
        assert 'href="/fleet"' not in client.get("/", headers=headers).text
    with page_client(laptops=source, peer="::1") as client:
        assert client.get("/fleet").status_code == 200
        assert 'href="/fleet"' in client.get("/").text


async def test_a_proxy_that_says_nothing_of_itself_speaks_http_1_0(
    tmp_path: Path,
) -> None:
    page = StatusPage(
        WebConfig(port=0),
        Estate,
        tmp_path / "alerts.sqlite",
        MemoryStore(),
        fleet=fleet_source(tmp_path, LAPTOPS, NOW_MS),
    )
    async with page:
        port = int(page.url.rpartition(":")[2])
        for version, status in (("1.0", b"403"), ("1.1", b"200")):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(
                f"GET /fleet HTTP/{version}\r\nHost: localhost\r\n"
                "Connection: close\r\n\r\n".encode()
            )
            assert (await reader.readline()).split()[1] == status
            writer.close()


def test_a_stop_is_on_the_first_page_for_everybody(client: TestClient) -> None:
    html = client.get("/").text
    assert "The council has stopped measuring on laptops" in html
    assert "Ring pilot: everything, until" in page_text(html)
    assert accessible.findings(html, CSS) == []


def test_without_the_setting_there_is_no_such_page(tmp_path: Path) -> None:
    source = fleet_source(tmp_path, LAPTOPS, NOW_MS)
    with page_client(laptops=source, peer="127.0.0.1", fleet=False) as client:
        assert client.get("/fleet").status_code == 404
        assert 'href="/fleet"' not in client.get("/").text


def test_the_list_is_narrowed_and_turned_without_script(client: TestClient) -> None:
    first = client.get("/fleet").text
    assert "<script" not in first
    assert "page 1 of 3" in first
    # Silent ones are first, if nothing looks wrong.
    assert first.count("<code>") > 100
    assert "Silent" in page_text(first.partition("then silent ones")[2])[:400]
    last = client.get("/fleet?page=3").text
    assert re.search(r'href="/fleet\?page=2#laptops" rel="prev"', last)
    pilot = client.get("/fleet?ring=pilot&state=stopped").text
    assert "page 1" not in pilot
    assert '<option value="pilot" selected>' in pilot
    none = client.get("/fleet?ring=-&site=depot").text
    assert '<option value="-" selected>' in none
    listed = page_text(none.partition("then silent ones")[2])
    assert "pilot" not in listed
    assert "Highways Depot" in listed


def test_a_laptop_whose_credential_was_copied_is_named_first(tmp_path: Path) -> None:
    copied = msgspec.structs.replace(LAPTOPS[200], copied_ms=NOW_MS)
    source = fleet_source(tmp_path, [*LAPTOPS[:200], copied], NOW_MS)
    with page_client(laptops=source, peer="127.0.0.1") as client:
        html = client.get("/fleet").text
    assert "Credential used by two laptops 1 named in the list below" in page_text(html)
    row = html.partition("then silent ones")[2].partition("<code>")[2]
    assert row.startswith(copied.agent)
    assert "two laptops used its credential (2026-" in row[:600]
    assert accessible.findings(html, CSS) == []


@pytest.mark.parametrize(
    "query",
    [
        "site=%22%3E%3Cscript%3E",
        "state=asleep",
        "ring=%00",
        "page=-1",
        "page=99999999999999999999",
        "page=%D9%A3",
        "page=x&page=2",
        "site=" + "x" * 3000,
    ],
)
def test_an_address_that_was_tampered_with_is_an_ordinary_page(
    client: TestClient, query: str
) -> None:
    answer = client.get(f"/fleet?{query}")
    assert answer.status_code == 200
    assert "<script" not in answer.text
    assert accessible.findings(answer.text, CSS) == []


def test_the_councils_list_of_devices_is_compared(tmp_path: Path) -> None:
    key = read_key(tmp_path / "keys" / "pseudonym.key")
    laptops = [
        msgspec.structs.replace(
            laptop, machine=machine_hash(key, machine_digest(f"SERIAL-{number:04}"))
        )
        for number, laptop in enumerate(LAPTOPS[:30])
    ]
    listed = tmp_path / "intune.csv"
    rows = "".join(f"SERIAL-{number:04},Doe's laptop,Windows\n" for number in range(50))
    listed.write_text(f"Serial number,Device name,OS\n{rows}")
    source = fleet_source(tmp_path, laptops, NOW_MS, expected=listed)
    with page_client(laptops=source, peer="127.0.0.1") as client:
        html = client.get("/fleet").text
        assert "Expected 50 20 not enrolled" in page_text(html)
        # Names of devices may be names of people.
        assert "Doe" not in html
        assert "SERIAL" not in html
        assert accessible.findings(html, CSS) == []
    listed.write_text("nothing that we know")
    source = fleet_source(tmp_path, laptops, NOW_MS, expected=listed)
    with page_client(laptops=source, peer="127.0.0.1") as client:
        assert "Expected laptops are not known" in page_text(client.get("/fleet").text)
    source = fleet_source(tmp_path, laptops, NOW_MS, expected=tmp_path / "none.csv")
    with page_client(laptops=source, peer="127.0.0.1") as client:
        assert "cannot be read" in page_text(client.get("/fleet").text)


def test_the_page_makes_no_pseudonym_key(tmp_path: Path) -> None:
    listed = tmp_path / "intune.csv"
    listed.write_text("Serial number,Device name\nSERIAL-1,one\n")
    source = fleet_source(tmp_path, [], NOW_MS, expected=listed)
    with page_client(laptops=source, peer="127.0.0.1") as client:
        assert "Expected laptops are not known" in page_text(client.get("/fleet").text)
    assert not (tmp_path / "keys").exists()


def test_hostile_names_are_escaped(tmp_path: Path) -> None:
    evil = '"><img src=x onerror=alert(1)>\u202e'
    laptops = [EnrolledAgent(evil, evil, 1, 1, 0, evil, evil, software=evil)]
    source = fleet_source(tmp_path, laptops, NOW_MS)
    with page_client(laptops=source, peer="127.0.0.1") as client:
        html = client.get("/fleet").text
    assert "<img" not in html
    assert "\u202e" not in html
    assert accessible.findings(html, CSS) == []


@pytest.mark.parametrize("laptops", [[], LAPTOPS[:1], LAPTOPS])
def test_the_page_passes_the_accessibility_checks(
    tmp_path: Path, laptops: list[EnrolledAgent]
) -> None:
    source = fleet_source(tmp_path, laptops, NOW_MS, STOP, {"probes": ("web",)})
    for store in (None, MemoryStore()):
        more = {} if store is None else {"store": store}
        with page_client(laptops=source, peer="127.0.0.1", **more) as client:
            assert accessible.findings(client.get("/fleet").text, CSS) == []


def test_a_registry_is_read_by_another_process_or_it_is_said_why_not(
    tmp_path: Path,
) -> None:
    path = registry_config(tmp_path).path
    assert read_agents(path) == []
    with opened_registry(tmp_path) as registry:
        who = enrol(registry, "LAPTOP-1")
        assert [agent.agent for agent in read_agents(path)] == [who.agent]
    path.write_bytes(b"rubbish" * 1000)
    with pytest.raises(RegistryUnreadable, match="cannot be read"):
        read_agents(path)
    source = FleetSource(
        IngestConfig(registry=registry_config(tmp_path)), lambda: NOW_MS
    )
    with page_client(laptops=source, peer="127.0.0.1") as client:
        answer = client.get("/fleet")
        assert answer.status_code == 200
        assert "Not known: the registry" in page_text(answer.text)
        assert accessible.findings(answer.text, CSS) == []


def test_what_was_refused_and_what_failed_is_counted_over_a_day(tmp_path: Path) -> None:
    at_ms = [NOW_MS - hours * 3_600_000 for hours in (20, 10, 1)]
    names = [f"refused_{reason}" for reason in fleet_state.REFUSALS]
    rows = [
        Sample(
            "self_ingest",
            {"process": "all", "transport": "https"},
            dict.fromkeys(names, 0) | {"refused_credential": count},
            time_ms,
        )
        for time_ms, count in zip(at_ms, (100, 107, 2), strict=True)
    ]
    rows.append(
        Sample(
            "experience",
            {"by": "all", "group": "all"},
            {"web_checks": 100, "web_ok_ratio": 0.9, "wifi_checks": 50,
             "wifi_weak_ratio": 0.25, "calls": 300, "calls_once": 100.0,
             "call_poor_ratio": 0.02, "relay_checks": 90, "relay_blocked_ratio": 0.5},
            NOW_MS - 600_000,
        )
    )  # fmt: skip
    source = fleet_source(tmp_path, LAPTOPS, NOW_MS)
    with page_client(
        store=MemoryStore(rows), laptops=source, peer="127.0.0.1"
    ) as client:
        text = page_text(client.get("/fleet").text)
    assert "9 times: credential not known, or revoked" in text
    assert "once you put a new token on it" in text
    # Each result is in several rows, as these are copies, and counts once here.
    shares = [
        "Teams relay without an answer 50.0% 15 times",
        "Wi-Fi at -75 dBm or below 25.0% 17 times",
        "Web requests that failed 10.0% 33 times",
        "Test calls that missed a target 2.0% 100 times",
    ]
    assert " ".join(shares) in text


@given(st.lists(st.one_of(st.none(), st.integers(0, 1000)), max_size=20))
def test_a_counter_never_falls_and_counts_no_more_than_its_values(
    values: list[int | None],
) -> None:
    known = [value for value in values if value is not None]
    assert 0 <= rise(values) <= sum(known)
    if known == sorted(known) and known:
        assert rise(values) == known[-1] - known[0]


@given(
    st.integers(0, 60),
    st.integers(-3, 9),
    st.sampled_from(["", "depot", "nowhere"]),
    st.sampled_from([None, "", "pilot"]),
    st.sampled_from(["", *fleet_state.STATES]),
)
def test_the_pages_of_a_list_hold_each_laptop_once(
    count: int, page: int, site: str, ring: str | None, state: str
) -> None:
    view = fleet(agents(count * 7, NOW_MS), POLICY, lambda ring: (), NOW_MS)
    wanted = Filter(site, ring, state, page)
    shown = list_laptops(view.laptops, wanted)
    assert 1 <= shown.page <= shown.pages
    assert len(shown.entries) <= fleet_state.PAGE_LAPTOPS
    every = [
        laptop.agent
        for number in range(1, shown.pages + 1)
        for laptop in list_laptops(
            view.laptops, Filter(site, ring, state, number)
        ).entries
    ]
    assert len(every) == len(set(every)) == shown.total


def test_how_long_a_laptop_is_silent_is_in_words() -> None:
    hour_ms = NOW_MS - NOW_MS % 3_600_000
    assert fleet_state.silent_for(0, NOW_MS) == "has not reported yet"
    assert fleet_state.silent_for(hour_ms - 40 * DAY_MS, NOW_MS) == "30 days or more"
    assert fleet_state.silent_for(hour_ms - 2 * DAY_MS, NOW_MS) == "1 to 7 days"
