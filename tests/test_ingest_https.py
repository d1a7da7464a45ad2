"""The agents' door over real HTTPS on loopback, with a real certificate."""

from __future__ import annotations

import asyncio
import gzip
import json
import shutil
import ssl
import zlib
from collections.abc import AsyncIterator, Collection
from pathlib import Path

import httpx2
import msgspec
import pytest
from ingest_council import body, door, enrol, report, wall_ms
from waiting import until

from collectors.estate.estate_model import Estate, Reflector, Site
from collectors.http import CannotServe
from collectors.ingest.certificate import make_certificates
from collectors.ingest.ingest_config import HttpsConfig, IngestConfig
from collectors.ingest.registry import Registry
from probes.wire.policy import Incident, decode
from probes.wire.report import MAX_BODY_BYTES, AgentCredential, Receipt

DAY_MS = 86_400_000


def receipt(answer: httpx2.Response) -> Receipt:
    assert answer.status_code == 200, answer.text
    return msgspec.json.decode(answer.content, type=Receipt)


async def test_a_report_is_in_the_journal_before_its_receipt_is_given(
    tmp_path: Path,
) -> None:
    async with door(tmp_path) as council:
        laptop = enrol(council.registry, "LAPTOP-1")
        council.append.open.clear()
        sending = asyncio.create_task(
            council.send(laptop, body(report(laptop.agent, "r1")))
        )
        await until(lambda: council.append.calls == 1)
        assert council.ingest.stats.in_flight == 1
        assert not sending.done()
        council.append.open.set()
        assert receipt(await sending) == Receipt(("r1",))
        assert council.ingest.stats.in_flight == 0
    (call_path, name_lookup) = council.append.batches
    assert call_path.source == f"agent/{laptop.agent}"
    assert call_path.tag("home_site") == ["town-hall"]
    assert call_path.tag("place") == ["home"]
    assert call_path.tag("provider") == ["unknown"]
    assert call_path.field("rtt_ms") == [21.5]
    assert name_lookup.field("outcome") == ["timeout"]


async def test_one_bad_report_in_a_list_does_not_hurt_the_others(
    tmp_path: Path,
) -> None:
    async with door(tmp_path) as council:
        laptop = enrol(council.registry, "LAPTOP-1")
        newer = msgspec.to_builtins(report(laptop.agent, "newer"))
        newer["version"] = 7
        shape = msgspec.to_builtins(report(laptop.agent, "shape"))
        shape["results"][0]["probe"] = "Not A Name"
        other = report("someone-else", "other")
        fast = report(laptop.agent, "fast", time_ms=wall_ms() + 3 * DAY_MS)
        good = [report(laptop.agent, "g1"), report(laptop.agent, "g2")]
        content = json.dumps(
            [
                msgspec.to_builtins(each)
                for each in [good[0], newer, shape, other, fast, 17, good[1]]
            ]
        ).encode()
        answer = receipt(await council.send(laptop, content))
    # Nothing is from after now: the laptop's clock is wrong, not what it measured.
    assert answer.accepted == ("g1", "fast", "g2")
    assert council.ingest.stats.retimed == 1
    assert max(at for batch in council.append.batches for at in batch.columns[0]) <= (
        wall_ms()
    )
    whys = {refusal.id: refusal.why for refusal in answer.refused}
    assert whys["newer"] == "version: the report has version 7, this server reads 1"
    assert whys["shape"].startswith("malformed: ")
    assert "probe" in whys["shape"]
    assert whys["other"].startswith("not_yours: ")
    assert whys[""].startswith("malformed: ")
    assert council.ingest.stats.reasons == {
        "version": 1,
        "malformed": 2,
        "not_yours": 1,
    }
    kept = sorted(path.name.split("-")[2] for path in (tmp_path / "aside").iterdir())
    # That of another version stays with its agent, and comes again.
    assert kept == ["malformed.body", "malformed.body"]


async def test_what_a_newer_agent_measures_is_kept_apart_from_what_is_known(
    tmp_path: Path,
) -> None:
    async with door(tmp_path) as council:
        laptop = enrol(council.registry, "LAPTOP-1")
        plain = report(laptop.agent, "r1")
        known, lookup = plain.results
        odd = msgspec.structs.replace(known, values={"rtt_ms": "slow"})
        unknown = msgspec.structs.replace(known, probe="smell")
        mixed = msgspec.structs.replace(plain, results=(known, odd, unknown, lookup))
        assert receipt(await council.send(laptop, body(mixed))).accepted == ("r1",)
        assert council.ingest.stats.misfit_rows == 1
        assert council.ingest.stats.odd_values == 1
    assert [(b.measurement, len(b)) for b in council.append.batches] == [
        ("call_path", 2),
        ("name_lookup", 1),
        ("smell", 1),
    ]
    # One odd value costs that value, and nothing beside it.
    assert council.append.batches[0].field("rtt_ms") == [21.5, None]
    assert council.append.batches[0].field("outcome") == ["ok", "ok"]


async def test_back_fill_of_weeks_is_welcome_but_not_beyond_what_may_be_kept(
    tmp_path: Path,
) -> None:
    async with door(tmp_path) as council:
        laptop = enrol(council.registry, "LAPTOP-1")
        old = report(laptop.agent, "old", time_ms=wall_ms() - 20 * DAY_MS)
        older = report(laptop.agent, "older", time_ms=0)
        answer = receipt(await council.send(laptop, body(old, older)))
        assert answer.accepted == ("old", "older")
        assert council.ingest.stats.expired_rows == 2
    assert {time_ms for _, _, time_ms in council.append.rows()} == {old.sent_ms}


async def test_duplicates_are_receipted_counted_and_not_written_again(
    tmp_path: Path,
) -> None:
    async with door(tmp_path) as council:
        laptop = enrol(council.registry, "LAPTOP-1")
        other = enrol(council.registry, "LAPTOP-2")
        for _ in range(3):
            answer = await council.send(laptop, body(report(laptop.agent, "same")))
            assert receipt(answer).accepted == ("same",)
        await council.send(other, body(report(other.agent, "same")))
        assert council.ingest.stats.accepted == 2
        assert council.ingest.stats.duplicates == 2
        assert council.append.calls == 2


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
            assert elsewhere.revoke(laptop.agent)
        async with asyncio.timeout(20):
            while True:
                answer = await council.send(laptop, body(report(laptop.agent, "r2")))
                if answer.status_code == 401:
                    break
                await asyncio.sleep(0.1)


async def test_a_laptop_enrols_reports_and_is_somebody_else_after_enrolling_again(
    tmp_path: Path,
) -> None:
    async with door(tmp_path) as council:
        token = council.registry.make_token("library", 1, 7, wall_ms())
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


async def test_a_laptop_is_told_of_its_own_site_and_where_its_network_is_no_other(
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
            assert [each.says for each in decode(answer.content).incidents] == told


async def test_bodies_nobody_can_read_are_charged_like_all_others(
    tmp_path: Path,
) -> None:
    limits = {
        "requests_per_s": 0.01,
        "requests_burst": 4,
        "bytes_per_s": 1,
        "bytes_burst": 5_000,
    }
    async with door(tmp_path, limits=limits) as council:
        noisy, large, calm = (enrol(council.registry, f"L{n}") for n in range(3))
        junk = [await council.send(noisy, b"junk") for _ in range(5)]
        assert [each.status_code for each in junk] == [400] * 4 + [429]
        # What a body takes unpacked counts as well, and so does one never read.
        packed = gzip.compress(b"[" + b" " * 4_000 + b"]")
        for status in (200, 429):
            answer = await council.send(large, packed, content_encoding="gzip")
            assert answer.status_code == status
        answer = await council.send(large, b"x" * 1_000)
        assert answer.status_code == 429
        assert receipt(await council.send(calm, body(report(calm.agent, "r1"))))
        assert council.ingest.stats.reasons == {"unreadable": 4, "agent_rate": 3}


async def test_gzip_is_taken_and_a_bomb_is_not(tmp_path: Path) -> None:
    async with door(tmp_path) as council:
        laptop = enrol(council.registry, "LAPTOP-1")
        content = body(report(laptop.agent, "r1"))
        half = len(content) // 2
        packed = gzip.compress(content[:half]) + gzip.compress(content[half:])
        answer = await council.send(laptop, packed, content_encoding="gzip")
        assert receipt(answer).accepted == ("r1",)
        bomb = gzip.compress(b"[" + b" " * 60_000_000 + b"]", 6)
        assert len(bomb) < MAX_BODY_BYTES
        for poison, status in [
            (bomb, 413),
            (packed[:-9], 400),
            (b"\x1f\x8b" + b"\x00" * 40, 400),
            (content, 400),
            (zlib.compress(content), 400),
            (packed + b"tail", 400),
        ]:
            answer = await council.send(laptop, poison, content_encoding="gzip")
            assert answer.status_code == status, answer.text
            assert answer.json()["why"]
        answer = await council.send(laptop, content, content_encoding="br")
        assert answer.status_code == 415
        assert council.ingest.stats.reasons == {
            "too_large": 1,
            "unreadable": 5,
            "coding": 1,
        }


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 400),
        (b"{}", 400),
        (b"[", 400),
        (b"null", 400),
        (b"[" * 400_000, 400),
        (b'[{"id":' + b"[" * 300_000 + b"]" * 300_000 + b"}]", 400),
        (b"\xff\xfe", 400),
        (b"[" + b"0," * 600 + b"0]", 413),
        (b" " * (MAX_BODY_BYTES + 1), 413),
    ],
)
async def test_a_body_that_is_no_list_of_reports_gets_one_sentence(
    tmp_path: Path, content: bytes, status: int
) -> None:
    async with door(tmp_path) as council:
        laptop = enrol(council.registry, "LAPTOP-1")
        answer = await council.send(laptop, content)
        assert answer.status_code == status, answer.text
        assert len(answer.json()["why"]) < 400
        receipt(await council.send(laptop, body(report(laptop.agent, "r1"))))


async def test_a_body_in_chunks_is_taken_within_the_same_bound(tmp_path: Path) -> None:
    async def chunks(content: bytes) -> AsyncIterator[bytes]:
        for at in range(0, len(content), 50_000):
            yield content[at : at + 50_000]

    async with door(tmp_path) as council:
        laptop = enrol(council.registry, "LAPTOP-1")
        auth = (laptop.agent, laptop.secret)
        good = body(*(report(laptop.agent, f"r{n}") for n in range(300)))
        answer = await council.client.post(
            "/v1/reports", content=chunks(good), auth=auth
        )
        assert len(receipt(answer).accepted) == 300
        try:
            answer = await council.client.post(
                "/v1/reports", content=chunks(b" " * 3_000_000), auth=auth
            )
        except httpx2.TransportError:
            # It may find the connection closed before it has said all of it.
            pass
        else:
            assert answer.status_code == 413
        assert council.ingest.stats.reasons == {"too_large": 1}


async def test_while_the_journal_fails_agents_are_asked_to_come_back(
    tmp_path: Path,
) -> None:
    async with door(tmp_path) as council:
        laptop = enrol(council.registry, "LAPTOP-1")
        council.append.fault = OSError(28, "No space left on device")
        answer = await council.send(laptop, body(report(laptop.agent, "r1")))
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) >= 10
        assert (await council.client.get("/healthz")).status_code == 503
        council.append.fault = None
        again = await council.send(laptop, body(report(laptop.agent, "r1")))
        assert receipt(again).accepted == ("r1",)
        assert (await council.client.get("/healthz")).status_code == 200
        assert council.ingest.stats.duplicates == 0


async def test_stopping_lets_the_receipted_be_and_asks_the_rest_to_come_back(
    tmp_path: Path,
) -> None:
    async with door(tmp_path) as council:
        laptop = enrol(council.registry, "LAPTOP-1")
        receipt(await council.send(laptop, body(report(laptop.agent, "r1"))))
        council.append.open.clear()
        sending = asyncio.create_task(
            council.send(laptop, body(report(laptop.agent, "r2")))
        )
        await until(lambda: council.append.calls == 2)
        await council.ingest.__aexit__()
        answer = await sending
        assert answer.status_code == 503
        assert "stopping" in answer.json()["why"]
        assert council.ingest.stats.accepted == 1


async def test_too_many_at_once_are_asked_to_come_back(tmp_path: Path) -> None:
    async with door(tmp_path, limits={"in_flight": 2}) as council:
        laptops = [enrol(council.registry, f"LAPTOP-{n}") for n in range(3)]
        council.append.open.clear()
        held = [
            asyncio.create_task(council.send(who, body(report(who.agent, "r1"))))
            for who in laptops[:2]
        ]
        await until(lambda: council.append.calls == 2)
        answer = await council.send(laptops[2], body(report(laptops[2].agent, "r1")))
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) >= 1
        council.append.open.set()
        for each in held:
            receipt(await each)
        assert council.ingest.stats.turned_away == 1


async def test_one_agent_cannot_send_without_end(tmp_path: Path) -> None:
    limits = {"reports_per_s": 0.01, "reports_burst": 5}
    async with door(tmp_path, limits=limits) as council:
        noisy = enrol(council.registry, "LAPTOP-1")
        calm = enrol(council.registry, "LAPTOP-2")
        five = body(*(report(noisy.agent, f"r{n}") for n in range(5)))
        receipt(await council.send(noisy, five))
        answer = await council.send(noisy, body(report(noisy.agent, "r6")))
        assert answer.status_code == 429
        assert int(answer.headers["retry-after"]) >= 90
        receipt(await council.send(calm, body(report(calm.agent, "r1"))))


async def test_slow_silent_and_vanishing_clients_are_let_go_and_hurt_nobody(
    tmp_path: Path,
) -> None:
    async with door(tmp_path, https={"upload_s": 0.5, "header_s": 0.5}) as council:
        laptop = enrol(council.registry, "LAPTOP-1")
        trust = ssl.create_default_context(cafile=str(council.certificates.authority))

        async def connect() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
            return await asyncio.open_connection(
                "127.0.0.1", council.ingest.port, ssl=trust
            )

        auth = httpx2.BasicAuth(laptop.agent, laptop.secret)._auth_header
        head = (
            "POST /v1/reports HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n"
            f"Authorization: {auth}\r\n\r\n["
        ).encode()
        silent, slow, gone = await connect(), await connect(), await connect()
        slow[1].write(head)
        gone[1].write(head)
        await gone[1].drain()
        gone[1].transport.abort()
        dribble = await connect()
        dribble[1].write(b"POST /v1/rep")
        receipt(await council.send(laptop, body(report(laptop.agent, "r1"))))
        async with asyncio.timeout(20):
            assert b" 408 " in await slow[0].readline()
            assert await silent[0].read() == b""
            assert await dribble[0].read() == b""
        receipt(await council.send(laptop, body(report(laptop.agent, "r2"))))
        assert not council.ingest._uploads
        for _, writer in (silent, slow, dribble):
            writer.close()


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


async def test_a_site_is_believed_only_where_the_estate_has_it(tmp_path: Path) -> None:
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


async def test_anonymous_reports_are_taken_only_where_allowed(tmp_path: Path) -> None:
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


async def test_what_is_not_here_is_said_in_one_sentence(tmp_path: Path) -> None:
    async with door(tmp_path) as council:
        for method, path, status in [
            ("GET", "/", 404),
            ("GET", "/v1/reports", 405),
            ("DELETE", "/healthz", 405),
        ]:
            answer = await council.client.request(method, path)
            assert (answer.status_code, bool(answer.json()["why"])) == (status, True)


async def test_a_burst_is_counted_to_the_last_report(tmp_path: Path) -> None:
    async with door(tmp_path) as council:
        laptops = [enrol(council.registry, f"LAPTOP-{n}") for n in range(10)]
        at_ms = wall_ms() - 1000

        async def send(who: AgentCredential, first: int) -> int:
            some = [
                report(who.agent, f"r{first + n}", time_ms=at_ms - first - n)
                for n in range(50)
            ]
            for _ in range(100):
                answer = await council.send(who, body(*some))
                if answer.status_code == 200:
                    return len(receipt(answer).accepted)
                assert answer.status_code == 503
                await asyncio.sleep(0.05)
            pytest.fail("never let in")

        counts = await asyncio.gather(
            *(send(who, 50 * n) for who in laptops for n in range(4))
        )
        assert sum(counts) == 2000 == council.ingest.stats.accepted
    assert len(council.append.rows()) == 4000


async def test_a_renewed_certificate_is_taken_up_and_a_broken_one_is_not(
    tmp_path: Path,
) -> None:
    async with door(tmp_path, https={"certificate_look_s": 0.05}) as council:
        renewed = make_certificates(tmp_path / "renewed")
        for new, old in zip(renewed, council.certificates, strict=True):
            await asyncio.to_thread(shutil.copy, new, old)
        trust = ssl.create_default_context(cafile=str(renewed.authority))

        async def answers() -> bool:
            try:
                _, writer = await asyncio.open_connection(
                    "127.0.0.1", council.ingest.port, ssl=trust
                )
            except ssl.SSLError:
                return False
            writer.close()
            return True

        await until(answers, "the renewed certificate")
        other = make_certificates(tmp_path / "other")
        for broken in (b"broken", other.certificate.read_bytes()):
            council.certificates.certificate.write_bytes(broken)
            await asyncio.sleep(0.2)
            assert await answers()


async def test_a_port_in_use_or_a_wrong_certificate_is_one_sentence(
    tmp_path: Path,
) -> None:
    async with door(tmp_path) as council:
        settings = council.ingest._config.model_copy(
            update={"port": council.ingest.port}
        )
        config = IngestConfig(https=settings, aside=tmp_path / "aside")
        ingest = type(council.ingest)(config, council.registry, council.append)
        with pytest.raises(CannotServe, match="Address already in use"):
            await ingest.__aenter__()
        wrong = settings.model_copy(update={"certificate": tmp_path / "no.pem"})
        ingest = type(council.ingest)(
            IngestConfig(https=wrong), council.registry, council.append
        )
        with pytest.raises(CannotServe, match=r"no\.pem"):
            await ingest.__aenter__()


def test_secrets_are_never_taken_in_clear_from_the_network() -> None:
    with pytest.raises(ValueError, match="behind a TLS proxy"):
        HttpsConfig(host="0.0.0.0", plaintext=True)
    with pytest.raises(ValueError, match="certificate and private_key"):
        HttpsConfig()
