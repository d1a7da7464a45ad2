"""Reports over real HTTPS on loopback: receipts, duplicates, journal, server."""

from __future__ import annotations

import asyncio
import json
import shutil
import ssl
from pathlib import Path

import msgspec
import pytest
from ingest_council import body, door, enrol, receipt, report, wall_ms
from waiting import until

from collectors.http import CannotServe
from collectors.ingest.certificate import make_certificates
from collectors.ingest.ingest_config import HttpsConfig, IngestConfig
from probes.wire.report import Receipt

DAY_MS = 86_400_000


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
        given = receipt(await sending)
        assert given == Receipt(("r1",), policy=given.policy)
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


async def test_a_report_that_comes_twice_at_once_is_written_once(
    tmp_path: Path,
) -> None:
    async with door(tmp_path) as council:
        laptop = enrol(council.registry, "LAPTOP-1")
        same = body(report(laptop.agent, "same"))
        council.append.open.clear()
        sending = [asyncio.create_task(council.send(laptop, same)) for _ in range(3)]
        await until(lambda: council.ingest.stats.duplicates == 2, "two duplicates")
        council.append.fault = OSError(28, "No space left on device")
        council.append.open.set()
        # None is receipted on the word of another that failed.
        assert {(await task).status_code for task in sending} == {503}
        council.append.fault = None
        sending = [asyncio.create_task(council.send(laptop, same)) for _ in range(3)]
        for task in sending:
            assert receipt(await task).accepted == ("same",)
        assert len(council.append.rows()) == 2
        assert sum(len(batch) for batch in council.append.batches) == 2


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


async def test_an_unknown_path_is_refused_in_one_sentence(tmp_path: Path) -> None:
    async with door(tmp_path) as council:
        for method, path, status in [
            ("GET", "/", 404),
            ("GET", "/v1/reports", 405),
            ("DELETE", "/healthz", 405),
        ]:
            answer = await council.client.request(method, path)
            assert (answer.status_code, bool(answer.json()["why"])) == (status, True)


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
