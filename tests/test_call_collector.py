"""Microsoft's record of calls is read over HTTPS, whatever Graph does meanwhile."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from call_council import OVER_MS, council
from call_records import (
    BEGIN_MS,
    PLANTED,
    end,
    media,
    meeting,
    network,
    record,
    session,
    utc,
)
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from graph_server import failed, throttled


async def test_a_window_that_is_over_becomes_rows_of_groups(tmp_path: Path) -> None:
    async with council(tmp_path) as (server, here):
        server.add(meeting(12))
        told = await here.round()
        row = here.rows()["site", "town-hall", "audio"]
        assert (row["people"], row["streams"], row["poor_ratio"]) == (10, 24, 0.0)
        assert (told["reading"], told["state_text"], told["records"]) == (1, "ok", 1)
        assert server.prefers == {"include-unknown-enum-members"}


async def test_lists_and_sessions_come_in_pages(tmp_path: Path) -> None:
    async with council(tmp_path, page=2) as (server, here):
        server.add(*(meeting(5, first=5 * at, number=at) for at in range(1, 6)))
        told = await here.round()
        assert told["records"] == 5
        assert here.rows()["all", "all", "audio"]["people"] == 25
        assert server.requests["sessions"] == 10


async def test_a_window_is_not_written_before_it_is_over(tmp_path: Path) -> None:
    async with council(tmp_path) as (server, here):
        server.add(meeting(12))
        here.now_ms = OVER_MS - 1
        told = await here.round()
        assert (told["waiting"], here.rows()) == (1, {})
        assert server.requests["record"] == 0


async def test_versions_and_late_records_are_counted_and_nothing_counts_twice(
    tmp_path: Path,
) -> None:
    async with council(tmp_path) as (server, here):
        collector = here.collector()
        here.now_ms = OVER_MS - 1000
        server.add(meeting(12))
        await here.round(collector)
        server.add({**meeting(12), "version": 2})
        told = await here.round(collector)
        assert told["new_versions"] == 1
        here.now_ms = OVER_MS
        told = await here.round(collector)
        assert (told["listed_again"], told["records"]) == (1, 1)
        server.add({**meeting(12), "version": 3}, meeting(12, number=7))
        told = await here.round(collector)
        told = await here.round(collector)
        assert (told["changed_late"], told["late"], told["records"]) == (1, 1, 1)
        assert here.rows()["all", "all", "audio"]["calls"] == 1


async def test_the_position_is_kept_with_its_effect(tmp_path: Path) -> None:
    async with council(tmp_path) as (server, here):
        server.add(meeting(12))
        here.append.fault = OSError("the disk is full")
        told = await here.round()
        assert told["reading"] == 0
        assert "the disk is full" in told["state_text"]
        here.append.fault = None
        await here.round()
        first = here.rows()
        assert first
        here.append.batches.clear()
        told = await here.round()
        assert (here.rows(), told["windows"], told["records"]) == ({}, 0, 0)
        here.state.write_text("{")
        await here.round()
        assert here.rows() == first


async def test_throttling_and_failures_are_waited_out(tmp_path: Path) -> None:
    async with council(tmp_path) as (server, here):
        server.add(meeting(12))
        server.faults.extend(
            [
                throttled(7),
                throttled(None),
                failed(503),
                failed(500),
                None,
                throttled(1),
            ]
        )
        told = await here.round()
        assert here.waited_s == [7.0, 15.0, 1.0, 4.0, 1.0]
        assert (told["throttled"], told["server_errors"]) == (3, 2)
        assert (told["reading"], told["records"]) == (1, 1)


async def test_a_token_that_expires_between_two_pages_is_renewed(
    tmp_path: Path,
) -> None:
    async with council(tmp_path, page=1) as (server, here):
        server.add(meeting(12), meeting(12, first=30, number=2))
        server.expires_after = {"list": 1, "sessions": 3}
        told = await here.round()
        assert (told["reading"], told["records"]) == (1, 2)
        assert server.requests["sign_in"] == 3


async def test_rows_are_the_same_if_it_is_killed_before_its_position_is_kept(
    tmp_path: Path,
) -> None:
    async with council(tmp_path) as (server, here):
        server.add(meeting(12))
        collector = here.collector()
        collector._state._file = tmp_path  # A folder in its place.
        told = await here.round(collector)
        assert told["reading"] == 0
        first = here.rows()
        assert first
        here.append.batches.clear()
        told = await here.round()
        assert (told["reading"], here.rows()) == (1, first)


async def test_calls_count_once_also_if_the_end_of_their_window_was_not_kept(
    tmp_path: Path,
) -> None:
    async with council(tmp_path) as (server, here):
        server.add(meeting(12))
        collector = here.collector()
        collector._state._file = tmp_path
        await here.round(collector)
        assert here.rows()
        here.append.batches.clear()
        collector._state._file = here.state
        here.now_ms += 900_000
        told = await here.round(collector)
        assert (told["windows"], told["records"], here.rows()) == (2, 1, {})


async def test_the_application_signs_in_with_a_certificate(tmp_path: Path) -> None:
    pem = tmp_path / "application.pem"
    pem.write_bytes(_certificate())
    async with council(tmp_path, certificate=pem) as (server, here):
        server.certificate = pem.read_bytes()
        server.secret = "no secret is right"
        server.add(meeting(12))
        assert (await here.round())["reading"] == 1
        pem.write_text("-----BEGIN CERTIFICATE-----")
        told = await here.round()
        assert "expected a certificate and its key" in told["state_text"]


async def test_rooms_are_known_by_the_estate_and_have_their_own_rows(
    tmp_path: Path,
) -> None:
    async with council(tmp_path) as (server, here):
        room = end(900)
        room["associatedIdentity"]["userPrincipalName"] = "Room1@example.gov.uk"
        poor = media(callerNetwork=network("10.150.3.3"))
        poor["streams"][0]["averageJitter"] = "PT0.09S"
        server.add(record([session("s1", room, medias=[poor])]))
        await here.round()
        assert here.rows()["committee-1", "town-hall", "audio"]["poor_ratio"] == 0.5


async def test_nobody_is_named_in_rows_state_or_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with council(tmp_path) as (server, here):
        odd = meeting(12)
        odd["sessions"][0]["segments"][0]["media"][0]["streams"][0]["averageJitter"] = (
            "Winifred"
        )
        odd["endDateTime"] = utc(BEGIN_MS + 1)
        server.add(odd)
        server.faults.extend([failed(400)])
        told = await here.round()
        told |= await here.round()
        assert here.append.batches
        shown = capsys.readouterr()
        kept = repr([(b.schema, b.columns, b.source) for b in here.append.batches])
        kept += here.state.read_text() + json.dumps(told) + shown.out + shown.err
        assert [word for word in PLANTED if word in kept] == []


def _certificate() -> bytes:
    """A certificate and its key in one PEM file, as an administrator makes it."""
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "towpath")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=30))
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
