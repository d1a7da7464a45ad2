"""Microsoft's record of calls is read over HTTPS, whatever Graph does meanwhile."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from append_doubles import ListAppend
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
from graph_server import GraphServer, failed, graph_server, throttled
from starlette.responses import JSONResponse

from collectors.calls.call_collector import CallCollector
from collectors.calls.call_places import CallLocator
from collectors.calls.calls_config import CallsConfig
from collectors.calls.graph_client import GraphClient
from collectors.calls.graph_token import GraphToken
from collectors.estate import Estate, Site
from collectors.estate.estate_model import Room

HALL = Site(id="town-hall", name="Hall", subnets=(ip_network("10.150.0.0/16"),))
ROOM = Room(
    id="committee-1",
    site="town-hall",
    ports=("sw-1 Gi1/0/1",),
    accounts=("ROOM1@example.gov.uk",),
)
ESTATE = Estate(sites=(HALL,), rooms=(ROOM,))
OVER_MS = BEGIN_MS + 900_000 + 10_800_000


class Council:
    """A collector at a fixed time, with what it writes and how long it waited."""

    def __init__(self, config: CallsConfig, state: Path) -> None:
        self.now_ms = OVER_MS
        self.waited_s: list[float] = []
        self.append = ListAppend()
        self.config, self.state = config, state
        state.write_text(json.dumps({"written_ms": BEGIN_MS}))

    def collector(self) -> CallCollector:
        async def sleep(seconds: float) -> None:
            self.waited_s.append(seconds)

        self.graph = GraphClient(self.config, GraphToken(self.config), sleep)
        made = CallCollector(
            self.config,
            lambda: ESTATE,
            lambda: CallLocator(ESTATE.sites),
            self.append,
            self.state,
            10,
            lambda: self.now_ms,
            self.graph,
        )
        made._written_ms = made._state.load()
        return made

    async def round(self, collector: CallCollector | None = None) -> dict[str, Any]:
        """Reads one round; the fields of `self_calls` after it."""
        one = collector or self.collector()
        async with self.graph as graph:
            await one.read_round(graph)
        [sample] = one.samples("calls", self.now_ms)
        return sample.fields

    def rows(self) -> dict[tuple[str, ...], dict[str, Any]]:
        """The fields of each row by its tags."""
        found = {}
        for batch in self.append.batches:
            columns = [batch.tag(name) for name in batch.schema.tags]
            for at, tags in enumerate(zip(*columns, strict=True)):
                found[tags] = {
                    name: batch.field(name)[at] for name in batch.schema.fields
                }
        return found


@contextlib.asynccontextmanager
async def council(
    folder: Path, page: int = 60, **settings: Any
) -> AsyncIterator[tuple[GraphServer, Council]]:
    async with graph_server(folder, page) as server:
        yield server, Council(server.config(**settings), folder / "calls.json")


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


@pytest.mark.parametrize(
    ("break_it", "sentence"),
    [
        (
            lambda server: setattr(server, "has_permission", False),
            "Microsoft Graph refuses (403): the application has no permission "
            "CallRecords.Read.All, or no administrator's consent to it any more",
        ),
        (
            lambda server: setattr(server, "secret", "another"),
            "Entra ID refuses the application: the secret is wrong: expected its "
            "value, not its id (AADSTS7000215)",
        ),
        (
            lambda server: server.faults.extend([failed()] * 9),
            "Microsoft Graph fails (503)",
        ),
        (
            lambda server: server.faults.extend([throttled(4000)]),
            "Microsoft Graph allows no more requests at present (429)",
        ),
        (
            lambda server: server.faults.append(failed(400)),
            "Microsoft Graph answered 400",
        ),
    ],
)
async def test_what_keeps_it_from_reading_is_one_sentence_and_loses_nothing(
    tmp_path: Path, break_it: Any, sentence: str
) -> None:
    async with council(tmp_path) as (server, here):
        server.add(meeting(12))
        break_it(server)
        told = await here.round()
        assert (told["reading"], told["state_text"]) == (0, sentence)
        assert (told["failures"], told["windows"], here.rows()) == (1, 0, {})
        server.has_permission, server.secret = True, "a secret of the application"
        server.faults.clear()
        told = await here.round()
        assert (told["reading"], told["records"]) == (1, 1)


async def test_pages_that_never_end_or_lead_elsewhere_are_refused(
    tmp_path: Path,
) -> None:
    async with council(tmp_path) as (server, here):
        page = f"{server.url}/v1.0/communications/callRecords/again"
        links = [page, page, "https://graph.example/steals-the-token"]
        server.faults.extend(
            JSONResponse({"value": [], "@odata.nextLink": link}) for link in links
        )
        told = await here.round()
        assert told["state_text"] == "Microsoft Graph's pages never end"
        told = await here.round()
        assert (
            told["state_text"] == "Microsoft Graph names another host for its next page"
        )


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


async def test_a_server_that_is_away_is_one_sentence(tmp_path: Path) -> None:
    async with council(tmp_path) as (server, here):
        url = server.url
        await server.server.stop()
        told = await here.round()
        assert told["state_text"].startswith(f"{url} cannot be reached for signing in")


async def test_a_record_that_is_gone_or_never_comes_does_not_stop_the_others(
    tmp_path: Path,
) -> None:
    async with council(tmp_path) as (server, here):
        good, gone, bad = meeting(12), meeting(1, number=2), meeting(1, number=3)
        server.add(good, gone, bad)
        server.always = {gone["id"]: 404, bad["id"]: 500}
        collector = here.collector()
        for _ in range(7):
            told = await here.round(collector)
            assert (told["reading"], here.rows()) == (0, {})
        told = await here.round(collector)
        assert (told["reading"], told["left_out"], told["records"]) == (1, 1, 1)
        assert told["gone"] == 8


async def test_a_window_whose_only_record_never_comes_does_not_stop_the_next(
    tmp_path: Path,
) -> None:
    async with council(tmp_path) as (server, here):
        bad = meeting(1)
        server.add(bad)
        server.always = {bad["id"]: 500}
        collector = here.collector()
        collector._tries[bad["id"]] = 94  # In a day, less two rounds.
        assert (await here.round(collector))["windows"] == 0
        told = await here.round(collector)
        assert (told["reading"], told["left_out"], told["windows"]) == (1, 1, 1)


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
