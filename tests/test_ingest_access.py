"""Who may report over HTTPS, and what a laptop gets: enrolment, policy, sites."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from pathlib import Path

import msgspec
import pytest
from ingest_council import body, door, enrol, receipt, report, wall_ms

from collectors.estate.estate_model import Estate, Reflector, Site
from collectors.ingest.registry import Registry
from probes.wire.policy import Incident, decode
from probes.wire.report import AgentCredential

DAY_MS = 86_400_000


@pytest.mark.parametrize(
    "header",
    [
        {},
        {"Authorization": "Basic"},
        {"Authorization": "Basic !!!"},
        {"Authorization": "Basic //79/A=="},
        {"Authorization": "Bearer abc"},
        {"Authorization": "Basic bm9ib2R5Og=="},
        {"Authorization": "Basic OnNlY3JldA=="},
    ],
)
async def test_who_is_not_enrolled_is_turned_away_and_counted(
    tmp_path: Path, header: dict[str, str]
) -> None:
    async with door(tmp_path) as council:
        for path in ("/v1/reports", "/v1/policy"):
            method = "POST" if path == "/v1/reports" else "GET"
            answer = await council.client.request(
                method, path, content=b"[" if method == "POST" else None, headers=header
            )
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"].startswith("Basic")
            assert "enrolled" in answer.json()["why"]
        assert council.ingest.stats.unauthorised == 2
        assert not council.append.calls


async def test_a_revoked_laptop_is_out_within_seconds_also_across_processes(
    tmp_path: Path,
) -> None:
    async with door(tmp_path) as council:
        laptop = enrol(council.registry, "LAPTOP-1")
        receipt(await council.send(laptop, body(report(laptop.agent, "r1"))))
        with Registry(council.registry._config) as elsewhere:
            assert elsewhere.admin.revoke(laptop.agent, wall_ms(), "test")
        async with asyncio.timeout(20):
            while True:
                answer = await council.send(laptop, body(report(laptop.agent, "r2")))
                if answer.status_code == 401:
                    break
                await asyncio.sleep(0.1)


async def test_a_laptop_enrols_reports_and_has_a_new_pseudonym_after_enrolling_again(
    tmp_path: Path,
) -> None:
    async with door(tmp_path) as council:
        token = council.registry.admin.make_token("library", 1, 7, wall_ms())
        wish = {"token": token, "device": "serial-4711"}
        answer = await council.client.post("/v1/enrol", json=wish)
        first = msgspec.json.decode(answer.content, type=AgentCredential)
        assert first.home_site == "library"
        assert "4711" not in first.agent
        receipt(await council.send(first, body(report(first.agent, "r1"))))
        again = (await council.client.post("/v1/enrol", json=wish)).json()
        assert again["agent"] == first.agent
        assert again["secret"] != first.secret
        answer = await council.send(first, body(report(first.agent, "r2")))
        assert answer.status_code == 401
        wish["device"] = "serial-4712"
        refused = await council.client.post("/v1/enrol", json=wish)
        assert refused.status_code == 403
        assert refused.json()["why"] == "the enrolment token had 1 uses"
        broken = await council.client.post("/v1/enrol", content=b"\xff{")
        assert broken.status_code == 400


async def test_the_policy_comes_once_and_then_only_when_it_changed(
    tmp_path: Path,
) -> None:
    reflectors = [Reflector(id="hq", host="hq.example")]
    policy: dict[str, object] = {
        "services": ({"name": "mail", "url": "https://mail.example/"},),
        "microsoft_365": False,
    }

    def estate() -> Estate:
        return Estate(reflectors=tuple(reflectors))

    async with door(tmp_path, estate=estate, policy=policy) as council:
        laptop = enrol(council.registry, "LAPTOP-1", "depot")
        auth = (laptop.agent, laptop.secret)
        first = await council.client.get("/v1/policy", auth=auth)
        assert [s.name for s in decode(first.content).services] == ["mail"]
        assert [r.id for r in decode(first.content).reflectors] == ["hq"]
        tag = {"If-None-Match": first.headers["etag"]}
        same = await council.client.get("/v1/policy", auth=auth, headers=tag)
        assert (same.status_code, same.content) == (304, b"")
        reflectors.insert(0, Reflector(id="dc", host="dc.example", site="depot"))
        new = await council.client.get("/v1/policy", auth=auth, headers=tag)
        assert [r.id for r in decode(new.content).reflectors] == ["dc", "hq"]


async def test_a_laptop_gets_incidents_of_its_own_site_and_its_networks_site_only(
    tmp_path: Path,
) -> None:
    def incidents(sites: Collection[str]) -> list[Incident]:
        return [Incident(site, 1) for site in sorted(sites)]

    here = Site(id="here", name="Here", subnets=("127.0.0.0/8",))
    estate = Estate(sites=(here, Site(id="depot", name="D"), Site(id="hq", name="H")))
    async with door(tmp_path, estate=lambda: estate, incidents=incidents) as council:
        laptop = enrol(council.registry, "LAPTOP-1", "depot")
        auth = (laptop.agent, laptop.secret)
        for site, told in [
            ("", ["depot"]),
            ("hq", ["depot"]),
            ("nowhere", ["depot"]),
            ("here", ["depot", "here"]),
        ]:
            answer = await council.client.get(f"/v1/policy?site={site}", auth=auth)
            assert [
                incident.says for incident in decode(answer.content).incidents
            ] == told


async def test_the_provider_is_looked_up_and_the_address_is_nowhere(
    tmp_path: Path,
) -> None:
    table = tmp_path / "providers.csv"
    table.write_text("prefix,provider\n127.0.0.0/8,Loopback Telecom\n")
    async with door(tmp_path, providers=table) as council:
        laptop = enrol(council.registry, "LAPTOP-1")
        receipt(await council.send(laptop, body(report(laptop.agent, "r1"))))
    assert council.append.batches[0].tag("provider") == ["Loopback Telecom"]
    assert "127.0.0.1" not in repr(council.append.batches)
    assert b"127.0.0.1" not in council.registry._config.path.read_bytes()


async def test_a_site_is_accepted_only_if_the_estate_has_it(tmp_path: Path) -> None:
    estate = Estate(sites=(Site(id="depot", name="The depot"),))
    async with door(tmp_path, estate=lambda: estate) as council:
        laptop = enrol(council.registry, "LAPTOP-1")
        for number, site in enumerate(["depot", "atlantis"]):
            made = report(laptop.agent, f"r{number}")
            where = msgspec.structs.replace(made.whereabouts, site=site)
            made = msgspec.structs.replace(made, whereabouts=where)
            receipt(await council.send(laptop, body(made)))
    sites = [batch.tag("site")[0] for batch in council.append.batches]
    assert sites == ["depot", "depot", "", ""]


async def test_anonymous_reports_are_accepted_only_if_allowed(tmp_path: Path) -> None:
    async with door(tmp_path, anonymous=True) as council:
        sent = body(report("visitor-1", "r1"), report("visitor-2", "r1"))
        answer = receipt(await council.client.post("/v1/reports", content=sent))
        assert answer.accepted == ("r1", "r1")
        bad = await council.client.post("/v1/reports", content=sent, auth=("a", "b"))
        assert bad.status_code == 401
    assert {agent for _, agent, _ in council.append.rows()} == {
        "visitor-1",
        "visitor-2",
    }
